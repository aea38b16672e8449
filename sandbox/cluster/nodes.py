"""Simulated nodes in a stack's availability zones. kwok keeps them Ready and answers for the pods on them."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.common.errors import SandboxError
from stacks.instance_types import NodeSize

if TYPE_CHECKING:
    # Whoever only reads a stack file need not wait for an HTTP client.
    from sandbox.cluster.api import Api

SIMULATED = "kwok.x-k8s.io/node=fake"
"""The annotation of the nodes that kwok answers for."""

#: As components.cluster.node_groups labels the nodes of a group.
NODE_GROUP_LABEL = "langgraph-agents/node-group"

_READY_SECONDS = 30.0

# Where a stack names no nodes. Two in a zone, so that pods can be spread over hosts as well as over zones.
_PER_ZONE = 2
_SIZE = NodeSize(
    instance_type="m7i.2xlarge", vcpus=8, memory_gib=32, cpu_millis=7910, memory_mib=28745, pods=110
)
# Beyond that they would say nothing more, and kwok answers for each.
_MOST = 60


@dataclass(frozen=True)
class NodeGroup:
    """Equal nodes, as many as there may be."""

    name: str
    size: NodeSize
    nodes: int


@dataclass(frozen=True)
class Topology:
    """Where a stack's nodes stand."""

    region: str
    zones: int
    architecture: str
    groups: tuple[NodeGroup, ...] = ()
    """What the stack's own node groups may have; two nodes in a zone where it has none."""

    @property
    def zone_names(self) -> list[str]:
        """Names such as `eu-central-1a`."""
        return [f"{self.region}{chr(ord('a') + index)}" for index in range(self.zones)]


def manifests(topology: Topology) -> list[dict[str, Any]]:
    """The nodes of a topology, as objects of the API."""
    groups = topology.groups or (_unnamed(topology),)
    sizes = [group for group in groups for _ in range(group.nodes)][:_MOST]
    zones = topology.zone_names
    return [
        _node(topology, zones[number % len(zones)], number // len(zones), group)
        for number, group in enumerate(sizes)
    ]


def _unnamed(topology: Topology) -> NodeGroup:
    return NodeGroup("", _SIZE, _PER_ZONE * topology.zones)


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


def _node(topology: Topology, zone: str, index: int, group: NodeGroup) -> dict[str, Any]:
    name = f"sandbox-{zone}-{index}"
    allocatable = {
        "cpu": f"{group.size.cpu_millis}m",
        "memory": f"{group.size.memory_mib}Mi",
        "ephemeral-storage": "44Gi",
        "pods": str(group.size.pods),
    }
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
                "node.kubernetes.io/instance-type": group.size.instance_type,
                **({NODE_GROUP_LABEL: group.name} if group.name else {}),
                "topology.kubernetes.io/region": topology.region,
                "topology.kubernetes.io/zone": zone,
            },
        },
        "status": {
            "allocatable": allocatable,
            "capacity": allocatable,
            "nodeInfo": {"architecture": topology.architecture, "operatingSystem": "linux"},
        },
    }
