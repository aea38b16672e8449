"""Everything of a stack that runs on its nodes, and the nodes that it may have."""

import math
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any

from policies.model import Resource, Stack, at, items, mapping
from policies.pods import (
    AUTOSCALERS,
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    STATEFUL_SET,
    bounds_of,
    is_sidecar,
    namespace_of,
    pods_of,
    target_of,
)
from stacks.addon_pods import ADDON_PODS, AddonPods
from stacks.instance_types import NodeSize, node_size
from stacks.packing import NodeGroup, Workload
from stacks.pod_requests import effective
from stacks.vocabulary import quantity

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
_ADDON = "aws:eks/addon:Addon"
_RELEASE = "kubernetes:helm.sh/v3:Release"
_ZONE = "topology.kubernetes.io/zone"

# Where a chart of several Deployments keeps what each of them requests, by where it keeps their numbers of pods.
_CHART_PARTS = {"operator": "operator", "metricsServer": "metricServer", "webhooks": "webhooks"}
#: Where charts keep the number of pods of a Deployment.
CHART_REPLICAS = (
    ("replicaCount",),
    ("replicas",),
    ("deployment", "replicas"),
    *((part, "replicaCount") for part in _CHART_PARTS),
)


def daemons(stack: Stack) -> list[Workload]:
    """What runs once on every node."""
    found = [_of_addon(pods) for pods in _addon_pods(stack) if pods.pods is None]
    return found + [_workload(resource, resource.name, 1) for resource in stack.of_type(DAEMON_SET)]


def workloads(stack: Stack) -> Iterator[Workload]:
    """What runs on some nodes, at its most pods, while every Deployment is being replaced."""
    yield from _brought(stack)
    for resource, name, pods in _servers(stack, most=True):
        yield _workload(resource, name, pods)
        if surge := _surge(resource, pods):
            # Pods of a new revision are spread by themselves.
            yield _workload(resource, f"{name} (new revision)", surge)
    for resource in stack.of_type(JOB, CRON_JOB):
        yield _workload(resource, resource.name, 1)


def standing(stack: Stack, without: Collection[str]) -> Iterator[Workload]:
    """What runs on some nodes all the time, at its fewest pods.

    Args:
        without: URNs of Deployments that are left out.
    """
    yield from _brought(stack)
    for resource, name, pods in _servers(stack, most=False):
        if resource.urn not in without and pods:
            yield _workload(resource, name, pods)


def workload(resource: Resource) -> Workload:
    """One pod of a Deployment."""
    return _workload(resource, str(at(resource.inputs, "metadata", "name")), 1)


def _brought(stack: Stack) -> Iterator[Workload]:
    """The pods of add-ons and charts."""
    yield from (_of_addon(pods) for pods in _addon_pods(stack) if pods.pods is not None)
    for release in stack.of_type(_RELEASE):
        yield from _of_chart(release)


def _servers(stack: Stack, *, most: bool) -> Iterator[tuple[Resource, str, int]]:
    """What serves until it is stopped, with its name, and its most or its fewest pods."""
    bounds = {target_of(scaler): bounds_of(scaler)[most] for scaler in stack.of_type(*AUTOSCALERS)}
    for resource in stack.of_type(DEPLOYMENT, STATEFUL_SET):
        name = at(resource.inputs, "metadata", "name")
        replicas = bounds.get((namespace_of(resource), name), at(resource.inputs, "spec", "replicas"))
        yield resource, str(name), replicas if isinstance(replicas, int) else 1


def groups(stack: Stack) -> Iterator[tuple[Resource, NodeGroup]]:
    """The node groups whose size is known, each by the smallest type that it may have."""
    for resource in stack.of_type(NODE_GROUP):
        sizes = [node_size(str(type_)) for type_ in items(resource.inputs.get("instanceTypes"))]
        most = at(resource.inputs, "scalingConfig", "maxSize")
        known = [size for size in sizes if size is not None]
        if known and len(known) == len(sizes) and isinstance(most, int):
            zones = len(items(resource.inputs.get("subnetIds"))) or 1
            yield (
                resource,
                NodeGroup(name=resource.name, size=_smallest(known), nodes=most, zones=zones),
            )


def _smallest(sizes: list[NodeSize]) -> NodeSize:
    """What any of these nodes has."""
    first = min(sizes, key=lambda size: (size.cpu_millis, size.memory_mib))
    return NodeSize(
        instance_type=first.instance_type,
        vcpus=first.vcpus,
        memory_gib=first.memory_gib,
        cpu_millis=first.cpu_millis,
        memory_mib=min(size.memory_mib for size in sizes),
        pods=min(size.pods for size in sizes),
    )


def _addon_pods(stack: Stack) -> Iterator[AddonPods]:
    for addon in stack.of_type(_ADDON):
        yield from ADDON_PODS.get(str(addon.inputs.get("addonName")), ())


def _of_addon(pods: AddonPods) -> Workload:
    return Workload(
        name=pods.name, cpu_millis=pods.cpu_millis, memory_mib=pods.memory_mib, pods=pods.pods or 1
    )


def _of_chart(release: Resource) -> Iterator[Workload]:
    values = mapping(release.inputs.get("values"))
    own = str(release.inputs.get("name") or release.name)
    parts = [part for part in _CHART_PARTS if isinstance(at(values, part, "replicaCount"), int)]
    for part in parts:
        cpu, memory = _requests(mapping(at(values, "resources", _CHART_PARTS[part], "requests")))
        pods = int(values[part]["replicaCount"])
        yield Workload(name=f"{own} ({part})", cpu_millis=cpu, memory_mib=memory, pods=pods)
    if parts:
        return
    replicas = next((n for path in CHART_REPLICAS if isinstance(n := at(values, *path), int)), 1)
    cpu, memory = _requests(
        mapping(at(values, "resources", "requests"))
        or mapping(at(values, "controller", "resources", "requests"))
    )
    yield Workload(name=own, cpu_millis=cpu, memory_mib=memory, pods=replicas)


def _workload(resource: Resource, name: str, pods: int) -> Workload:
    spec = pods_of(resource).spec
    cpu, memory = (
        effective(
            [_request(c, resource) for c in items(spec.get("containers"))],
            [(_request(c, resource), is_sidecar(c)) for c in items(spec.get("initContainers"))],
        )
        for resource in ("cpu", "memory")
    )
    return Workload(
        name=name,
        cpu_millis=math.ceil(cpu * 1000),
        memory_mib=math.ceil(memory / 2**20),
        pods=pods,
        over_zones=any(
            constraint.get("topologyKey") == _ZONE and constraint.get("whenUnsatisfiable") == "DoNotSchedule"
            for constraint in items(spec.get("topologySpreadConstraints"))
        ),
    )


def _surge(resource: Resource, pods: int) -> int:
    """How many pods more there are while a Deployment is replaced; a quarter where nobody says how many."""
    if resource.type != DEPLOYMENT:
        return 0
    surge = at(resource.inputs, "spec", "strategy", "rollingUpdate", "maxSurge")
    if isinstance(surge, int):
        return surge
    share = float(surge.removesuffix("%")) / 100 if isinstance(surge, str) else 0.25
    return math.ceil(pods * share)


def _request(container: Mapping[str, Any], resource: str) -> Decimal:
    return _amount(at(container, "resources", "requests", resource))


def _requests(requests: Mapping[str, Any]) -> tuple[int, int]:
    """Millicores and MiB."""
    cpu, memory = (_amount(requests.get(name)) for name in ("cpu", "memory"))
    return math.ceil(cpu * 1000), math.ceil(memory / 2**20)


def _amount(value: object) -> Decimal:
    try:
        return quantity(str(value))
    except ValueError:
        # Not known yet, or not said.
        return Decimal(0)
