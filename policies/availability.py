"""What outlives the loss of a pod, a node or a zone."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from policies.model import UNKNOWN, Resource, Severity, Stack, at, is_true, items, number, stack_rule
from policies.pods import (
    AUTOSCALERS,
    DEPLOYMENT,
    SERVERS,
    STATEFUL_SET,
    bounds_of,
    namespace_of,
    pods_of,
    selects,
    target_of,
)
from policies.pods_of_stack import CHART_REPLICAS

_RELEASE = "kubernetes:helm.sh/v3:Release"

# Labels that say what an object is. All others say how it is today.
_LASTING_LABELS = frozenset(
    {"app.kubernetes.io/name", "app.kubernetes.io/component", "app.kubernetes.io/instance"}
)
_SELECTORS = {
    DEPLOYMENT: ("spec", "selector"),
    STATEFUL_SET: ("spec", "selector"),
    "kubernetes:apps/v1:DaemonSet": ("spec", "selector"),
    "kubernetes:policy/v1:PodDisruptionBudget": ("spec", "selector"),
    "kubernetes:core/v1:Service": ("spec",),
}


@stack_rule(
    id="more-than-one-replica",
    severity=Severity.HIGH,
    production_only=True,
    reason="One pod is an outage with every node that is drained and every crash",
    remedy="run two or more: replicas.min of the agent, minReplicas of the autoscaler, replicas of the chart",
    link="https://kubernetes.io/docs/concepts/workloads/pods/disruptions/",
)
def more_than_one_replica(stack: Stack) -> Iterator[tuple[Resource, str]]:
    fewest = {target_of(scaler): bounds_of(scaler)[0] for scaler in stack.of_type(*AUTOSCALERS)}
    for workload in stack.of_type(DEPLOYMENT, STATEFUL_SET):
        name = at(workload.inputs, "metadata", "name")
        scaled = fewest.get((namespace_of(workload), name))
        # Kubernetes runs one pod where nobody says how many.
        replicas = scaled if scaled is not None else at(workload.inputs, "spec", "replicas")
        if number(1 if replicas is None else replicas) < 2:
            yield workload, f"runs {replicas or 1} pod, and nothing keeps a second one"
    for release in stack.of_type(_RELEASE):
        for path in CHART_REPLICAS:
            replicas = at(release.inputs, "values", *path)
            if replicas is not None and number(replicas) < 2:
                yield release, f"{'.'.join(path)} is {replicas}"


@stack_rule(
    id="multi-az",
    severity=Severity.HIGH,
    production_only=True,
    reason="A store in one zone is gone with it, and so are all agents; so is their way out with a single NAT gateway",
    remedy="set database.multiAz, cache.replicas to 1 or more, and network.natGateways to per-zone",
    link="https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.MultiAZ.html",
)
def multi_az(stack: Stack) -> Iterator[tuple[Resource, str]]:
    for database in stack.of_type("aws:rds/instance:Instance"):
        if not is_true(database.inputs.get("multiAz")):
            yield database, "has no standby in another zone (multiAz)"
    for cache in stack.of_type("aws:elasticache/replicationGroup:ReplicationGroup"):
        for field in ("multiAzEnabled", "automaticFailoverEnabled"):
            if not is_true(cache.inputs.get(field)):
                yield cache, f"{field} is off"
    for cluster in stack.of_type("aws:eks/cluster:Cluster"):
        zones = len(items(at(cluster.inputs, "vpcConfig", "subnetIds")))
        gateways = stack.of_type("aws:ec2/natGateway:NatGateway")
        if gateways and len(gateways) < zones:
            yield gateways[0], f"serves {zones} zones with {len(gateways)} NAT gateway"


@stack_rule(
    id="stable-selectors",
    severity=Severity.HIGH,
    reason="A Deployment's selector can never be changed: with a label in it that does, the next release is refused;"
    " a Service whose selector misses the pods sends requests nowhere",
    remedy="select by app.kubernetes.io/name, component and instance only, each of them a label of the pods",
    link="https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#label-selector-updates",
)
def stable_selectors(stack: Stack) -> Iterator[tuple[Resource, str]]:
    served = {
        (pods.namespace, selector)
        for pods in map(pods_of, stack.of_type(*SERVERS))
        for selector in _combinations(pods.labels)
    }
    for type_, path in _SELECTORS.items():
        for resource in stack.of_type(type_):
            selector = _match_labels(resource, path)
            changing = sorted(set(selector) - _LASTING_LABELS)
            if changing:
                yield resource, f"selects by {', '.join(changing)}"
            if not selector or UNKNOWN in selector.values():
                continue
            own = type_ in SERVERS
            if own and not selects({"matchLabels": selector}, pods_of(resource).labels):
                yield resource, f"selects none of its own pods by {_shown(selector)}"
            elif (
                not own
                and not changing
                and (namespace_of(resource), frozenset(selector.items())) not in served
            ):
                yield resource, f"selects no pod of the stack by {_shown(selector)}"


def _combinations(labels: Mapping[str, Any]) -> Iterator[frozenset[tuple[str, Any]]]:
    """Every selector of lasting labels that selects pods with ``labels``."""
    lasting = [(key, value) for key, value in labels.items() if key in _LASTING_LABELS]
    for size in range(1, len(lasting) + 1):
        yield from map(frozenset, combinations(lasting, size))


def _match_labels(resource: Resource, path: tuple[str, ...]) -> dict[str, Any]:
    selector = at(resource.inputs, *path, "selector" if path == ("spec",) else "matchLabels")
    return dict(selector) if isinstance(selector, dict) else {}


def _shown(selector: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
