"""Rules about nodes and the pods that are to run on them; called as those of ``stacks.rules`` are."""

import math
from collections.abc import Iterator, Mapping

from stacks.addon_pods import ON_EVERY_NODE
from stacks.agent_settings import Agent
from stacks.container_settings import Resources
from stacks.instance_types import NodeSize, node_size
from stacks.pod_requests import serving_pod
from stacks.problems import Problem
from stacks.settings import Cluster
from stacks.vocabulary import Compute, quantity

Agents = Mapping[int, Agent]

# Types of one group may differ by this factor, as m7i.large and r7i.large do in memory.
_WIDEST = 2


def every_type_of_a_group_is_as_large(cluster: Cluster) -> Iterator[Problem]:
    """Autoscalers reckon with one size for a group, and pods that fit one type would wait for ever on another."""
    for group, settings in enumerate(cluster.node_groups):
        sizes = [size for type_ in settings.instance_types if (size := node_size(type_)) is not None]
        for what in ("vcpus", "memory_gib"):
            smallest = min(sizes, key=lambda size: getattr(size, what), default=None)
            largest = max(sizes, key=lambda size: getattr(size, what), default=None)
            if smallest and largest and getattr(largest, what) > _WIDEST * getattr(smallest, what):
                yield Problem(
                    f"cluster.nodeGroups[{group}].instanceTypes",
                    list(settings.instance_types),
                    f"differ by more than {_WIDEST} times: {_shape(smallest)} and {_shape(largest)}. Pods that fit the"
                    " one may not fit the other, and which comes is AWS's choice: give the other a group of its own",
                )
                break


def every_type_has_room_for_an_agent(cluster: Cluster, agents: Agents) -> Iterator[Problem]:
    """What the node itself and the add-ons leave of it has to hold one pod of an agent at least."""
    pods = [_requests(agent, fleet.resources) for agent in agents.values() for fleet in agent.fleets.values()]
    if not pods or cluster.existing or cluster.compute is not Compute.NODE_GROUPS:
        return
    least = min(pods)
    for group, settings in enumerate(cluster.node_groups):
        for index, type_ in enumerate(settings.instance_types):
            size = node_size(type_)
            if size is not None and not _fits(least, size):
                cpu, memory = _left(size)
                yield Problem(
                    f"cluster.nodeGroups[{group}].instanceTypes[{index}]",
                    type_,
                    f"leaves {cpu}m CPU and {memory}Mi beside what runs on every node, and the smallest pod of an agent"
                    f" requests {least[0]}m and {least[1]}Mi: take a larger type",
                )


def every_agent_has_a_node_to_run_on(cluster: Cluster, agents: Agents) -> Iterator[Problem]:
    """A pod that is larger than every node is never placed, however many nodes there are."""
    # A group's pods have to fit whichever of its types comes.
    sizes = [[node_size(type_) for type_ in settings.instance_types] for settings in cluster.node_groups]
    # Nobody knows here what nodes a cluster has that is there already.
    if cluster.existing or cluster.compute is not Compute.NODE_GROUPS:
        return
    if any(size is None for group in sizes for size in group):
        return
    known = [[size for size in group if size is not None] for group in sizes]
    fleets = [
        (f"agents[{index}].{prefix}resources.requests", _requests(agent, fleet.resources))
        for index, agent in agents.items()
        for prefix, fleet in agent.fleets.items()
    ]
    for field, requests in fleets:
        if not any(all(_fits(requests, size) for size in group) for group in known):
            left = "; ".join(
                f"{size.instance_type} has {_left(size)[0]}m CPU and {_left(size)[1]}Mi"
                for group in known
                for size in group
            )
            yield Problem(
                field,
                f"{requests[0]}m CPU, {requests[1]}Mi",
                f"is more than a node has left beside what runs on every one: {left}. Lower them, or add a node group"
                " of larger instance types",
            )


RULES = (
    every_type_of_a_group_is_as_large,
    every_type_has_room_for_an_agent,
    every_agent_has_a_node_to_run_on,
)


def _requests(agent: Agent, own: Resources) -> tuple[int, int]:
    """Millicores and MiB of a pod."""
    pod = serving_pod(agent, own)
    return math.ceil(quantity(pod.cpu_request) * 1000), math.ceil(quantity(pod.memory_request) / 2**20)


def _left(size: NodeSize) -> tuple[int, int]:
    """Millicores and MiB beside what runs on every node."""
    cpu, memory = ON_EVERY_NODE
    return max(0, size.cpu_millis - cpu), max(0, size.memory_mib - memory)


def _fits(requests: tuple[int, int], size: NodeSize) -> bool:
    cpu, memory = _left(size)
    return requests[0] <= cpu and requests[1] <= memory


def _shape(size: NodeSize) -> str:
    return f"{size.instance_type} has {size.vcpus} vCPUs and {size.memory_gib:g} GiB"
