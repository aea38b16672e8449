"""The addresses of one sandbox: a block that this machine has no route to, cut into what a cluster needs."""

import json
import random
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from sandbox.common.errors import SandboxError
from sandbox.common.state import write_private

# Where few networks are: VPCs, offices and container engines take 10.0, 10.10, 172.17, 192.168 and their like.
_CANDIDATES = tuple(IPv4Network(f"10.{second}.0.0/16") for second in range(254, 199, -1))


@dataclass(frozen=True)
class Addresses:
    """A block of 65,536 addresses, all of them behind one link."""

    block: IPv4Network

    @property
    def node(self) -> IPv4Address:
        """The node's, and the API server's."""
        return self.block[1]

    @property
    def machine(self) -> IPv4Address:
        """This machine's end of the link."""
        return self.block[254]

    @property
    def dns(self) -> IPv4Address:
        return self.block[53]

    @property
    def ingress(self) -> IPv4Address:
        """In the place of a load balancer's."""
        return self.block[80]

    @property
    def pods(self) -> IPv4Network:
        return IPv4Network((self.block[256], 24))

    @property
    def services(self) -> IPv4Network:
        return IPv4Network((self.block[128 * 256], 20))

    def store(self, number: int) -> IPv4Address:
        """Of a database or a cache; each has an address of its own, so that each has its usual port."""
        return self.block[2 * 256 + 1 + number]


def ensure(file: Path) -> Addresses:
    """The addresses noted in `file`, chosen now unless they are: what the cluster stores refers to them."""
    if file.exists():
        return Addresses(IPv4Network(json.loads(file.read_text())["block"]))
    addresses = Addresses(free_block(_routed()))
    write_private(file, json.dumps({"block": str(addresses.block)}))
    return addresses


def free_block(routed: Iterable[IPv4Network]) -> IPv4Network:
    """A candidate that overlaps none of the networks.

    At random: until the first of two sandboxes that start at once has its route, the second would choose the same one.

    Raises:
        SandboxError: there is none.
    """
    taken = list(routed)
    for candidate in random.sample(_CANDIDATES, len(_CANDIDATES)):
        if not any(candidate.overlaps(network) for network in taken):
            return candidate
    raise SandboxError(
        f"this machine has routes to all of {_CANDIDATES[-1]} to {_CANDIDATES[0]}: take one away (ip route), or use"
        " NODES=simulated"
    )


def _routed() -> list[IPv4Network]:
    routes = subprocess.run(
        ["ip", "-4", "-json", "route", "show", "table", "all"], capture_output=True, text=True, check=True
    ).stdout
    destinations = [route["dst"] for route in json.loads(routes or "[]")]
    return [IPv4Network(destination) for destination in destinations if destination != "default"]
