"""Which addresses of the network a webhook may go to, whatever name leads there.

A name is looked up and its addresses are judged at the moment of connecting, and the connection goes to the address
that was judged, so that a name cannot mean another address a moment later.
"""

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpcore

from langgraph_agents_service.projects.webhooks import UrlPolicy

RESOLVE_SECONDS = 5.0

_METADATA = frozenset({ip_address("fd00:ec2::254"), ip_address("100.100.100.200")})
"""Of cloud providers' metadata services, those that do not have link-local addresses."""

_NAT64 = ip_network("64:ff9b::/96")


class BlockedError(Exception):
    """The address is none that a webhook may go to."""


def judge(address: str, policy: UrlPolicy) -> str | None:
    """Why a webhook may not go to this address; None if it may."""
    found = _bare(ip_address(address.partition("%")[0]))
    if found in _METADATA or found.is_link_local:
        return "it is a link-local or metadata address"
    if found.is_unspecified or found.is_multicast or (found.is_reserved and not found.is_loopback):
        return "it is no address of a host"
    if found.is_loopback:
        return "it is this machine" if policy.disable_loopback else None
    if not found.is_global:
        return "it is a private address" if policy.disable_private_ips else None
    return None


def _bare(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that one of IPv6 stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


async def resolve(host: str, port: int, policy: UrlPolicy) -> list[str]:
    """The addresses of a host. Raises BlockedError if one of them is out of bounds, OSError if there is none."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(RESOLVE_SECONDS):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    for address in addresses:
        if reason := judge(address, policy):
            raise BlockedError(reason)
    return addresses


class Guarded(httpcore.AsyncNetworkBackend):
    """Connects to addresses that a webhook may go to, and to no others."""

    def __init__(self, policy: UrlPolicy) -> None:
        self._policy = policy
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises BlockedError, and httpcore's and the system's errors."""
        problem: Exception = OSError("the name has no address")
        for address in await resolve(host, port, self._policy):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
