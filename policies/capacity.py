"""Whether all that a stack runs has a place on the nodes that it may have."""

from collections.abc import Iterator, Sequence

from policies import pods_of_stack
from policies.model import Resource, Severity, Stack, at, stack_rule
from stacks.packing import NodeGroup, Packing, Workload, pack


@stack_rule(
    id="pods-fit-nodes",
    severity=Severity.HIGH,
    reason="A pod that no node has room for stays Pending: the first deployment waits for it until it fails, or the"
    " agents' autoscalers ask for pods that never come",
    remedy="raise maxSize of the node group, take larger instance types, or lower replicas.max or resources.requests of"
    " an agent",
    link="https://kubernetes.io/docs/concepts/scheduling-eviction/",
)
def pods_fit_nodes(stack: Stack) -> Iterator[tuple[Resource, str]]:
    known = list(pods_of_stack.groups(stack))
    pools = stack.of_type(pods_of_stack.NODE_POOL)
    if pools:
        yield from _over_the_limit(stack, pools)
        return
    # Who has no node groups has nodes that are made to fit; who has types of unknown size is not judged.
    if not known or len(known) < len(stack.of_type(pods_of_stack.NODE_GROUP)):
        return
    packing = packed(stack)
    if packing.left_over:
        groups = [group for _, group in known]
        yield known[0][0], _what_is_missing(list(pods_of_stack.workloads(stack)), packing, groups)


def _over_the_limit(stack: Stack, pools: Sequence[Resource]) -> Iterator[tuple[Resource, str]]:
    """Karpenter starts what pods ask for, up to a limit of each pool; Spot may have nothing to give."""
    pool = next((p for p in pools if at(p.inputs, "metadata", "name") == "on-demand"), pools[0])
    limit = at(pool.inputs, "spec", "limits", "cpu")
    needed = sum(workload.cpu_millis * workload.pods for workload in pods_of_stack.workloads(stack)) / 1000
    if isinstance(limit, str) and limit.isdigit() and needed > int(limit):
        yield (
            pool,
            f"is limited to {limit} vCPUs, and pods request {needed:.1f} when all are at their most and being replaced:"
            " raise cluster.karpenter.cpuLimit",
        )


def packed(stack: Stack) -> Packing:
    """Where the pods of a stack stand when there are as many of them as there may be."""
    groups = [group for _, group in pods_of_stack.groups(stack)]
    return pack(list(pods_of_stack.workloads(stack)), pods_of_stack.daemons(stack), groups)


def _what_is_missing(workloads: Sequence[Workload], packing: Packing, groups: Sequence[NodeGroup]) -> str:
    by_name = {workload.name: workload for workload in workloads}
    left = ", ".join(
        f"{count} of {by_name[name].pods} of {name} ({by_name[name].size} each)"
        for name, count in packing.left_over.items()
    )
    nodes = ", ".join(f"{group.nodes} x {group.size}" for group in groups)
    cpu = sum(workload.cpu_millis * workload.pods for workload in workloads)
    memory = sum(workload.memory_mib * workload.pods for workload in workloads)
    return (
        f"have no room for {sum(packing.left_over.values())} pods when all are at their most and being replaced:"
        f" {left}."
        f" They request {cpu}m CPU and {memory}Mi together; there are at most {nodes}, less what runs on every node"
    )
