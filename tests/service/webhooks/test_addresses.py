"""Where webhooks may go."""

import asyncio
import socket
from typing import Any

import httpcore
import pytest

from langgraph_agents_service.projects.webhooks import UrlPolicy
from langgraph_agents_service.webhooks.addresses import BlockedError, Guarded, judge
from langgraph_agents_service.webhooks.checking import WebhookError, check

STRICT = UrlPolicy()
LAX = UrlPolicy(disable_loopback=False, disable_private_ips=False, require_https=False)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "100.64.0.1",
        "fd12::1",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:0a00:0001::",
    ],
)
def test_private_addresses_are_out_of_bounds_in_whatever_form(address: str) -> None:
    assert judge(address, STRICT) == "it is a private address"
    assert judge(address, LAX) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_out_of_bounds(address: str) -> None:
    assert judge(address, STRICT) == "it is this machine"
    assert judge(address, LAX) is None


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "100.100.100.200",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
    ],
)
def test_metadata_and_what_is_no_host_is_out_of_bounds_whatever_is_allowed(address: str) -> None:
    assert judge(address, STRICT)
    assert judge(address, LAX)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8"]
)
def test_public_addresses_are_fine(address: str) -> None:
    assert judge(address, STRICT) is None


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Names lead to these addresses, one list for each time that they are looked up."""
    left = list(answers)

    async def getaddrinfo(_self: Any, _host: str, port: int, **_: Any) -> list[Any]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(asyncio.get_running_loop().__class__, "getaddrinfo", getaddrinfo, raising=False)


async def test_a_name_that_leads_out_of_bounds_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, ["93.184.215.14", "169.254.169.254"])
    with pytest.raises(WebhookError, match="link-local or metadata"):
        await check("https://rebinding.example.com/", STRICT)


async def test_a_name_is_judged_again_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    await check("https://rebinding.example.com/", STRICT)
    with pytest.raises(BlockedError, match="this machine"):
        await Guarded(STRICT).connect_tcp("rebinding.example.com", 443)


async def test_the_connection_goes_to_the_address_that_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    reached = []

    async def connect_tcp(_self: Any, host: str, *_: Any) -> None:
        reached.append(host)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect_tcp)
    await Guarded(STRICT).connect_tcp("rebinding.example.com", 443)
    assert reached == ["93.184.215.14"]


async def test_a_name_that_nobody_knows_yet_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: Any) -> list[str]:
        raise socket.gaierror

    monkeypatch.setattr("langgraph_agents_service.webhooks.checking.resolve", resolve)
    await check("https://later.example.com/", STRICT)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/", "begin with https"),
        ("/internal/hook", "whole https:// URL"),
        ("ftp://example.com/", "whole https:// URL"),
        ("https://", "whole https:// URL"),
        ("https://example.com:99999/", "no URL"),
        ("https://user:secret@example.com/", "must not hold a password"),
        ("https://example.com/a b", "without blanks"),
        ("https://127.0.0.1/", "this machine"),
        ("https://[::1]:8000/", "this machine"),
        ("https://169.254.169.254/latest/meta-data", "link-local or metadata"),
        (f"https://example.com/{'x' * 5000}", "longer than 4096"),
    ],
)
async def test_an_address_that_cannot_be_taken_is_refused_with_the_reason(url: str, words: str) -> None:
    with pytest.raises(WebhookError, match=words):
        await check(url, STRICT)


async def test_domains_and_ports_are_those_that_langgraph_json_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def resolve(*_: Any) -> list[str]:
        return []

    monkeypatch.setattr("langgraph_agents_service.webhooks.checking.resolve", resolve)
    policy = UrlPolicy(allowed_domains=["hooks.example.com", "*.corp.example"], allowed_ports=[443, 8443])
    for url in ("https://hooks.example.com/", "https://a.corp.example:8443/"):
        await check(url, policy)
    for url in ("https://evil-hooks.example.com/", "https://corp.example/", "https://hooks.example.com:80/"):
        with pytest.raises(WebhookError, match="is not among"):
            await check(url, policy)
