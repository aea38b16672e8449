"""The nodes of a stack with all its pods on them, as they are shown."""

from dataclasses import dataclass

from policies import capacity, pods_of_stack
from policies.model import Stack
from preview.recording.plan import Plan
from stacks.packing import Node, Workload

# More rows would all look the same.
_MOST = 40


@dataclass(frozen=True)
class Segment:
    """Pods of one workload on one node."""

    name: str
    pods: int
    left: float
    """Percent of the node's CPU that lies left of it."""
    width: float
    """Percent of the node's CPU that they request."""


@dataclass(frozen=True)
class NodeRow:
    """One node."""

    name: str
    """Group, type and zone."""
    segments: list[Segment]
    cpu: str
    """Requested, of what there is."""
    memory: str
    pods: str


@dataclass(frozen=True)
class PackedNodes:
    """All nodes that something stands on, when there are as many pods as there may be."""

    rows: list[NodeRow]
    summary: str
    """How many nodes that takes, of how many there may be."""
    left_over: list[str]
    """Pods that no node has room for."""


def packed_nodes(plan: Plan) -> PackedNodes | None:
    """None where nodes are started to fit the pods: without node groups, and with Karpenter."""
    stack = Stack(plan.resources.values())
    if not list(pods_of_stack.groups(stack)) or stack.of_type(pods_of_stack.NODE_POOL):
        return None
    packing = capacity.packed(stack)
    workloads = {workload.name: workload for workload in pods_of_stack.workloads(stack)}
    daemons = pods_of_stack.daemons(stack)
    used = packing.used
    pods = sum(sum(node.workloads.values()) for node in used)
    summary = (
        f"{pods} pods at their most, each agent being replaced, take {len(used)} of the {len(packing.nodes)} nodes"
        " that there may be"
    )
    if len(used) > _MOST:
        summary += f"; the first {_MOST} are shown"
    return PackedNodes(
        rows=[_row(node, workloads, daemons) for node in used[:_MOST]],
        summary=summary,
        left_over=[f"{count} of {name}" for name, count in packing.left_over.items()],
    )


def _row(node: Node, workloads: dict[str, Workload], daemons: list[Workload]) -> NodeRow:
    size = node.group.size
    on_node = [(name, count, count * workloads[name].cpu_millis) for name, count in node.workloads.items()]
    shares = [("on every node", len(daemons), sum(d.cpu_millis for d in daemons)), *on_node]
    segments, left = [], 0.0
    for name, count, millis in shares:
        width = round(100 * millis / size.cpu_millis, 2)
        segments.append(Segment(name, count, round(left, 2), width))
        left += width
    return NodeRow(
        name=f"{node.group.name} {size.instance_type}, zone {node.zone + 1}",
        segments=segments,
        cpu=f"{(size.cpu_millis - node.cpu_free) / 1000:.1f} of {size.cpu_millis / 1000:.1f} CPU",
        memory=f"{(size.memory_mib - node.memory_free) / 1024:.1f} of {size.memory_mib / 1024:.1f} GiB",
        pods=f"{size.pods - node.pods_free} of {size.pods} pods",
    )
