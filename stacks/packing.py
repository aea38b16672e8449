"""Pods onto nodes: whether they fit, and where they would stand. Pure arithmetic.

The largest workload first, each pod onto the first node with room. Workloads that spread over zones do so strictly,
as their topology spread constraint says (``maxSkew: 1``, ``DoNotSchedule``). Kubernetes' scheduler places pods as they
come and prefers empty nodes: what does not fit here is not expected to fit there, and what fits here may need pods to
be moved there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stacks.instance_types import NodeSize


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Equal pods."""

    name: str
    cpu_millis: int
    """What a pod requests."""
    memory_mib: int
    pods: int
    over_zones: bool = False
    """Spread over the zones, none of which may have two pods more than another."""

    @property
    def size(self) -> str:
        """What a pod requests, as Kubernetes writes it."""
        return f"{self.cpu_millis}m CPU and {self.memory_mib}Mi"


@dataclass(frozen=True, kw_only=True)
class NodeGroup:
    """Equal nodes."""

    name: str
    size: NodeSize
    """Of the smallest type that it may have."""
    nodes: int
    """The most that there may be."""
    zones: int


@dataclass
class Node:
    """A node, and what stands on it."""

    group: NodeGroup
    zone: int
    cpu_free: int
    memory_free: int
    pods_free: int
    workloads: dict[str, int] = field(default_factory=dict)
    """Pods by the name of their workload, without DaemonSets."""

    def has_room(self, workload: Workload) -> bool:
        return (
            self.pods_free > 0
            and workload.cpu_millis <= self.cpu_free
            and workload.memory_mib <= self.memory_free
        )

    def take(self, workload: Workload) -> None:
        self.cpu_free -= workload.cpu_millis
        self.memory_free -= workload.memory_mib
        self.pods_free -= 1
        self.workloads[workload.name] = self.workloads.get(workload.name, 0) + 1

    def give(self, workload: Workload) -> None:
        """A pod of it goes."""
        self.cpu_free += workload.cpu_millis
        self.memory_free += workload.memory_mib
        self.pods_free += 1
        self.workloads[workload.name] -= 1


@dataclass(frozen=True)
class Packing:
    """Where pods stand."""

    nodes: Sequence[Node]
    """All that there may be, with those that nothing stands on."""
    left_over: dict[str, int]
    """Pods that no node has room for, by the name of their workload."""

    @property
    def used(self) -> list[Node]:
        """The nodes that something stands on."""
        return [node for node in self.nodes if node.workloads]


def pack(workloads: Sequence[Workload], daemons: Sequence[Workload], groups: Sequence[NodeGroup]) -> Packing:
    """Place every pod that has a place.

    Args:
        daemons: what runs on every node; their ``pods`` is ignored.
    """
    nodes = [
        # An Auto Scaling group keeps its zones level.
        empty_node(group, index % group.zones, daemons)
        for group in groups
        for index in range(group.nodes)
    ]
    zones = sorted({node.zone for node in nodes})
    by_zone = {zone: [node for node in nodes if node.zone == zone] for zone in zones}
    left_over = {}
    for workload in sorted(workloads, key=lambda w: (-w.memory_mib - w.cpu_millis * 4, w.name)):
        placed = _spread(workload, by_zone) if workload.over_zones else _place(workload, nodes, workload.pods)
        if placed < workload.pods:
            left_over[workload.name] = workload.pods - placed
    return Packing(nodes, left_over)


def empty_node(group: NodeGroup, zone: int, daemons: Sequence[Workload]) -> Node:
    """A node with what runs on every one and nothing else."""
    size = group.size
    return Node(
        group=group,
        zone=zone,
        cpu_free=size.cpu_millis - sum(daemon.cpu_millis for daemon in daemons),
        memory_free=size.memory_mib - sum(daemon.memory_mib for daemon in daemons),
        pods_free=size.pods - len(daemons),
    )


def _place(workload: Workload, nodes: Sequence[Node], pods: int) -> int:
    """Place ``pods`` pods on the first nodes with room; returns how many found one."""
    placed = 0
    for node in nodes:
        while placed < pods and node.has_room(workload):
            node.take(workload)
            placed += 1
    return placed


def _spread(workload: Workload, by_zone: dict[int, list[Node]]) -> int:
    """Place pods zone by zone, as level as can be; one zone that is full ends it for all."""
    counts = dict.fromkeys(by_zone, 0)
    # Where one of these equal pods had no room, the next has none.
    rest = {zone: iter(nodes) for zone, nodes in by_zone.items()}
    current = {zone: next(nodes, None) for zone, nodes in rest.items()}
    for _ in range(workload.pods):
        least = min(counts.values(), default=0)
        for zone, count in counts.items():
            if count != least:
                continue
            while (node := current[zone]) is not None and not node.has_room(workload):
                current[zone] = next(rest[zone], None)
            if node is not None:
                node.take(workload)
                counts[zone] += 1
                break
        else:
            break
    return sum(counts.values())
