"""The control plane's start and end, with scripts in place of the binaries."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cluster import controlplane
from sandbox.cluster.controlplane import ROLES, ControlPlane
from sandbox.common import processes
from sandbox.common.errors import SandboxError
from sandbox.common.state import State


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State(tmp_path / ".sandbox", "dev")
    state.create()
    yield state
    controlplane.stop(state)


def binaries(tmp_path: Path, **bodies: str) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for role in ROLES:
        (folder / role).write_text(f"#!/bin/sh\n{bodies.get(role.replace('-', '_'), 'exec sleep 60')}\n")
        (folder / role).chmod(0o755)
    return folder


def test_a_process_that_ends_at_its_start_is_reported_with_the_end_of_its_log(
    state: State, tmp_path: Path
) -> None:
    folder = binaries(tmp_path, etcd="echo 'panic: the disk is full'; exit 1")
    with pytest.raises(
        SandboxError, match=r"etcd ended at its start; .*etcd.log:\n  panic: the disk is full"
    ):
        ControlPlane(state, folder, tmp_path).ensure()


def test_taken_ports_are_tried_again_and_then_reported(state: State, tmp_path: Path) -> None:
    counted = tmp_path / "starts"
    folder = binaries(tmp_path, etcd=f"echo x >> {counted}; echo 'bind: address already in use'; exit 1")
    with pytest.raises(
        SandboxError, match=r"no free ports on 127.0.0.1 after 3 attempts: bind: address already"
    ):
        ControlPlane(state, folder, tmp_path).ensure()
    assert counted.read_text() == "x\n" * 3
    assert not processes.running(state.id)


def test_an_api_server_that_never_answers_is_given_up(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controlplane, "_START_SECONDS", 0.3)
    with pytest.raises(SandboxError, match="the API server is not ready after 0 s; see the logs in"):
        ControlPlane(state, binaries(tmp_path), tmp_path).ensure()


def test_a_controller_that_ends_right_after_its_start_is_started_again_with_the_others(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.cluster.api.Api.ready", lambda _self: True)
    monkeypatch.setattr("sandbox.cluster.addons.ensure", lambda _api, _folder: None)
    (tmp_path / "stages").mkdir()
    counted = tmp_path / "starts"
    folder = binaries(tmp_path, kwok=f"echo x >> {counted}; [ $(wc -l < {counted}) -gt 1 ] && exec sleep 60")
    ControlPlane(state, folder, tmp_path).ensure()
    assert counted.read_text() == "x\n" * 2
    assert set(processes.running(state.id)) == set(ROLES)


def test_a_control_plane_with_a_missing_process_does_not_count_as_running(state: State) -> None:
    state.endpoint.write_text(json.dumps({"server": "https://127.0.0.1:1", "made_of": []}))
    processes.start(state.id, "etcd", ["sleep", "60"], state.logs / "etcd.log")
    assert controlplane.running_endpoint(state) is None


def test_stopping_ends_what_runs_and_what_an_interrupted_command_left(state: State) -> None:
    for role in ("etcd", "pulumi"):
        processes.start(state.id, role, ["sleep", "60"], state.logs / f"{role}.log")
    assert len(controlplane.stop(state)) == 2
    assert not processes.running(state.id)


def test_stopping_a_sandbox_that_never_was_is_no_error(tmp_path: Path) -> None:
    assert controlplane.stop(State(tmp_path, "dev")) == []


def test_every_address_is_on_loopback(state: State, tmp_path: Path) -> None:
    seen = tmp_path / "arguments"
    folder = binaries(tmp_path, etcd=f'echo "$@" > {seen}; exit 1')
    with pytest.raises(SandboxError):
        ControlPlane(state, folder, tmp_path).ensure()
    listens = [word for word in seen.read_text().split() if word.startswith("--listen")]
    assert len(listens) == 2
    assert all("=https://127.0.0.1:" in word for word in listens)


def test_free_ports_are_all_different() -> None:
    assert len(set(controlplane._free_ports(8))) == 8
