"""Simulated nodes in a stack's availability zones. kwok keeps them Ready and answers for the pods on them."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.common.errors import SandboxError

if TYPE_CHECKING:
    # Whoever only reads a stack file need not wait for an HTTP client.
    from sandbox.cluster.api import Api

SIMULATED = "kwok.x-k8s.io/node=fake"
"""The annotation of the nodes that kwok answers for."""

_READY_SECONDS = 30.0

# Two in a zone, so that rules that spread pods over hosts hold as well as those over zones.
_PER_ZONE = 2
# An m7i.2xlarge, less what EKS reserves.
_ALLOCATABLE = {"cpu": "7910m", "memory": "30Gi", "ephemeral-storage": "44Gi", "pods": "58"}


@dataclass(frozen=True)
class Topology:
    """Where a stack's nodes stand."""

    region: str
    zones: int
    architecture: str

    @property
    def zone_names(self) -> list[str]:
        """Names such as `eu-central-1a`."""
        return [f"{self.region}{chr(ord('a') + index)}" for index in range(self.zones)]


def manifests(topology: Topology) -> list[dict[str, Any]]:
    """The nodes of a topology, as objects of the API."""
    return [_node(topology, zone, index) for zone in topology.zone_names for index in range(_PER_ZONE)]


def ensure(api: "Api", topology: Topology) -> None:
    """Give the cluster the nodes of its topology, and take away those of an earlier one."""
    wanted = {node["metadata"]["name"]: node for node in manifests(topology)}
    for node in api.list("v1", "Node"):
        if node["metadata"]["name"] not in wanted:
            api.delete("v1", "Node", None, node["metadata"]["name"])
    for node in wanted.values():
        api.apply(node, force=True)
    _wait(api, set(wanted))


def _wait(api: "Api", names: set[str]) -> None:
    """Wait until kwok answers for the nodes: pods are placed on none before, and nobody would say why."""
    deadline = time.monotonic() + _READY_SECONDS
    while missing := names - {node["metadata"]["name"] for node in api.list("v1", "Node") if _ready(node)}:
        if time.monotonic() > deadline:
            raise SandboxError(
                f"the simulated nodes {', '.join(sorted(missing))} are not Ready after {_READY_SECONDS:.0f} s: see "
                "logs/kwok.log of the sandbox; `make down`, then `make up` begins anew"
            )
        time.sleep(0.1)


def _ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _node(topology: Topology, zone: str, index: int) -> dict[str, Any]:
    name = f"sandbox-{zone}-{index}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": dict([SIMULATED.split("=")]),
            "labels": {
                "kubernetes.io/arch": topology.architecture,
                "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": name,
                "node.kubernetes.io/instance-type": "m7i.2xlarge",
                "topology.kubernetes.io/region": topology.region,
                "topology.kubernetes.io/zone": zone,
            },
        },
        "status": {
            "allocatable": _ALLOCATABLE,
            "capacity": _ALLOCATABLE,
            "nodeInfo": {"architecture": topology.architecture, "operatingSystem": "linux"},
        },
    }
