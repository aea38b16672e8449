"""Whether a real node can be had, and where it stands: decided before anything starts."""

import os
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from sandbox.common import addresses
from sandbox.common.addresses import Addresses, free_block
from sandbox.common.errors import InputError, SandboxError
from sandbox.machine.choice import Nodes, choose


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Linux machine, as root."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: type("Done", (), {"returncode": 0}))


def test_simulated_nodes_are_had_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert choose("simulated", (tmp_path,)) == (Nodes.SIMULATED, "")


@pytest.mark.usefixtures("able")
def test_real_nodes_are_had_where_nothing_stands_against_it(tmp_path: Path) -> None:
    assert choose("real", (tmp_path,)) == choose(None, (tmp_path,)) == (Nodes.REAL, "")


@pytest.mark.usefixtures("able")
def test_where_nobody_decides_an_obstacle_is_reported_and_nodes_are_simulated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    nodes, obstacle = choose(None, (tmp_path,))
    assert nodes is Nodes.SIMULATED
    assert "sudo -E make up" in obstacle


def test_another_word_is_refused_with_the_two_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"NODES is 'reel': give real or simulated"):
        choose("reel", (tmp_path,))


@pytest.mark.usefixtures("able")
def test_another_system_than_linux_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(InputError, match=r"a kubelet needs Linux, and this is darwin"):
        choose("real", (tmp_path,))


@pytest.mark.usefixtures("able")
def test_without_root_the_message_asks_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(InputError, match=r"sudo -E make up"):
        choose("real", (tmp_path,))


@pytest.mark.usefixtures("able")
def test_a_checkout_that_the_node_would_hide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"/var/lib/ci/\.sandbox lies in /var/lib"):
        choose("real", (tmp_path, Path("/var/lib/ci/.sandbox")))


def test_a_block_is_one_that_this_machine_has_no_route_to() -> None:
    first = free_block([])
    inside = next(first.subnets(new_prefix=24))
    assert not free_block([inside]).overlaps(first)
    assert not free_block([IPv4Network("10.252.0.0/14")]).overlaps(IPv4Network("10.252.0.0/14"))


def test_sandboxes_that_start_at_once_do_not_choose_the_same_block() -> None:
    assert len({free_block([]) for _ in range(20)}) > 10


def test_a_machine_with_routes_to_everything_is_reported() -> None:
    with pytest.raises(SandboxError, match="take one away"):
        free_block([IPv4Network("10.0.0.0/8")])


def test_the_parts_of_a_block_do_not_meet() -> None:
    block = Addresses(IPv4Network("10.254.0.0/16"))
    stores = {block.store(number) for number in range(50)}
    alone = {block.node, block.machine, block.dns, *stores}
    assert len(alone) == 53
    assert not block.pods.overlaps(block.services)
    assert all(address in block.block for address in alone)
    assert not any(address in network for address in alone for network in (block.pods, block.services))


def test_addresses_once_chosen_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(addresses, "_routed", list)
    chosen = addresses.ensure(tmp_path / "addresses.json")
    monkeypatch.setattr(addresses, "_routed", lambda: [chosen.block])
    assert addresses.ensure(tmp_path / "addresses.json") == chosen
