"""What of a stack decides how it scales, read from its plan: autoscalers, pods, places, nodes and what they cost."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langgraph_agents_service.configuration.settings import Settings as Service
from policies import pods_of_stack
from policies.model import Stack, at, items, mapping
from policies.pods import AUTOSCALERS, DEPLOYMENT, namespace_of, pods_of, target_of
from preview.cost import Range, monthly
from preview.cost.charges import AUTO_MODE_INSTANCE
from preview.cost.prices import HOURS, prices_of
from preview.cost.report import CostReport
from preview.recording.plan import Plan, PlannedResource
from sandbox.common.errors import InputError
from simulate.assumptions import CONSOLIDATE_SECONDS, UNNEEDED_SECONDS, UNNEEDED_SHARE
from simulate.autoscaler import Policy, Rules, Select, Spec, Unit
from simulate.cluster import Group
from simulate.keda import ScaledObject
from simulate.metrics import QueueTarget, ResourceTarget, Target, thousandths
from stacks.instance_types import node_size
from stacks.packing import NodeGroup, Workload, empty_node
from stacks.service import ROLE
from stacks.vocabulary import quantity

_SCALED_OBJECT = AUTOSCALERS[1]
_CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
_SUBNET = "aws:ec2/subnet:Subnet"
_CLUSTER = "aws:eks/cluster:Cluster"
_DAYS = HOURS / 24
# More nodes than anybody's pods fill, where nothing bounds them.
_UNBOUNDED = 1000
_SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")


@dataclass(frozen=True)
class Fleet:
    """The pods of an agent that execute its runs, and what scales them."""

    agent: str
    deployment: str
    """Its name."""
    workload: Workload
    """A pod, as it is placed."""
    requests: Mapping[str, int]
    """As its autoscaler reckons with them."""
    cpu_limit: float | None
    """Cores of the container that executes runs."""
    places: int
    """MAX_CONCURRENT_RUNS: runs that a pod executes at once."""
    run_timeout: float
    grace_seconds: float
    spec: Spec
    scaled: ScaledObject | None
    """Where KEDA scales it."""
    answers_itself: bool
    """Whether its own pods tell KEDA how long the queue is: there are none that answer beside them."""


@dataclass(frozen=True)
class Scaling:
    """All that a replay needs of a stack."""

    stack: str
    fleets: Sequence[Fleet]
    standing: Sequence[Workload]
    """What else stands on the nodes."""
    daemons: Sequence[Workload]
    groups: Sequence[Group]
    """Empty where the nodes are not the stack's."""
    other_daily: Range
    """USD a day of all that does not scale with the load."""
    notes: Sequence[str]
    """What its reader has to know of this stack's nodes and prices."""


def scaling_of(plan: Plan) -> Scaling:
    """Read a plan.

    Raises:
        InputError: it has no agent whose pods are scaled, or a size that has no price.
    """
    stack = Stack(plan.resources.values())
    fleets = list(_fleets(plan))
    if not fleets:
        raise InputError(
            f"stack {plan.stack} has no agent with an autoscaler: there is nothing to replay a load against"
        )
    deployments = {
        resource.urn
        for resource in plan.of_type(DEPLOYMENT)
        if at(resource.inputs, "metadata", "name") in {fleet.deployment for fleet in fleets}
    }
    standing = list(pods_of_stack.standing(stack, without=deployments))
    daemons = pods_of_stack.daemons(stack)
    largest = max((fleet.workload for fleet in fleets), key=lambda w: (w.cpu_millis, w.memory_mib))
    report = monthly(plan)
    groups, nodes_urns, notes = _groups(plan, stack, report, daemons, largest)
    other = [item.monthly for item in report.items if item.urn not in nodes_urns]
    if nodes_urns & {cluster.urn for cluster in plan.of_type(_CLUSTER)}:
        # Auto Mode's nodes are charged with the cluster, whose control plane does not scale.
        other.append(Range.exactly(prices_of(plan.region).monthly("eksClusterHour")))
    low, high = sum(cost.low for cost in other), sum(cost.high for cost in other)
    return Scaling(
        stack=plan.stack,
        fleets=fleets,
        standing=standing,
        daemons=daemons,
        groups=groups,
        other_daily=Range(low / _DAYS, high / _DAYS),
        notes=[*notes, report.notes[0]],
    )


def _fleets(plan: Plan) -> Iterator[Fleet]:
    deployments = {_place(resource): resource for resource in plan.of_type(DEPLOYMENT)}
    variables = {
        _place(resource): mapping(resource.inputs.get("data")) for resource in plan.of_type(_CONFIG_MAP)
    }
    found: dict[str, list[Fleet]] = {}
    for scaler in plan.of_type(*AUTOSCALERS):
        deployment = deployments.get(target_of(scaler))
        agent = plan.agent(scaler)
        if deployment is None or not agent:
            continue
        environment = _environment(deployment, variables)
        # Pods that only answer execute nothing.
        if environment.get(ROLE) != "answer":
            found.setdefault(agent, []).append(_fleet(agent, scaler, deployment, environment))
    for agent in plan.agents:
        yield from found.get(agent, [])


def _place(resource: PlannedResource) -> tuple[Any, Any]:
    """Its namespace and its name."""
    return namespace_of(resource), at(resource.inputs, "metadata", "name")


def _fleet(
    agent: str, scaler: PlannedResource, deployment: PlannedResource, environment: Mapping[str, str]
) -> Fleet:
    pods = pods_of(deployment)
    servers = list(pods.servers())
    requests = {}
    for resource in ("cpu", "memory"):
        asked = [at(container, "resources", "requests", resource) for container in servers]
        # One container without a request, and the autoscaler cannot tell the use.
        if all(amount is not None for amount in asked):
            requests[resource] = thousandths(float(sum(quantity(str(amount)) for amount in asked)))
    limit = at(pods.spec, "containers")[0].get("resources", {}).get("limits", {}).get("cpu")
    spec, scaled = _scaled_object(scaler) if scaler.type == _SCALED_OBJECT else (_autoscaler(scaler), None)
    fields = Service.model_fields
    return Fleet(
        agent=agent,
        deployment=str(at(deployment.inputs, "metadata", "name")),
        workload=pods_of_stack.workload(deployment),
        requests=requests,
        cpu_limit=float(quantity(str(limit))) if limit is not None else None,
        places=int(environment.get("MAX_CONCURRENT_RUNS", fields["max_concurrent_runs"].default)),
        run_timeout=float(environment.get("RUN_TIMEOUT_SECONDS", fields["run_timeout_seconds"].default)),
        grace_seconds=float(pods.spec.get("terminationGracePeriodSeconds") or 30),
        spec=spec,
        scaled=scaled,
        answers_itself=environment.get(ROLE) != "execute",
    )


def _environment(
    deployment: PlannedResource, config_maps: Mapping[tuple[Any, Any], Mapping[str, Any]]
) -> dict[str, str]:
    """The plain variables of a Deployment's first container."""
    container = items(pods_of(deployment).spec.get("containers"))[0]
    found: dict[str, str] = {}
    for source in items(container.get("envFrom")):
        name = at(source, "configMapRef", "name")
        found |= config_maps.get((namespace_of(deployment), name), {})
    return found | {
        entry["name"]: entry["value"]
        for entry in items(container.get("env"))
        if entry.get("value") is not None
    }


def _autoscaler(scaler: PlannedResource) -> Spec:
    spec = scaler.inputs["spec"]
    targets: list[Target] = [
        ResourceTarget(metric["resource"]["name"], metric["resource"]["target"]["averageUtilization"])
        for metric in spec["metrics"]
    ]
    return _spec(spec["minReplicas"], spec["maxReplicas"], targets, spec["behavior"])


def _scaled_object(scaler: PlannedResource) -> tuple[Spec, ScaledObject]:
    """The HorizontalPodAutoscaler that KEDA makes of a ScaledObject, and what KEDA does by itself."""
    spec = scaler.inputs["spec"]
    targets: list[Target] = []
    for trigger in spec["triggers"]:
        metadata = trigger["metadata"]
        if trigger["type"] in ("cpu", "memory"):
            targets.append(ResourceTarget(trigger["type"], int(metadata["value"])))
        else:
            targets.append(QueueTarget(thousandths(float(metadata["targetValue"]))))
    least = spec["minReplicaCount"]
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    scaled = ScaledObject(
        least=least,
        polling_seconds=spec["pollingInterval"],
        cooldown_seconds=spec["cooldownPeriod"],
        failures=spec["fallback"]["failureThreshold"],
        fallback_replicas=spec["fallback"]["replicas"],
    )
    # An autoscaler has one pod at least; the way to zero is KEDA's own.
    return _spec(max(1, least), spec["maxReplicaCount"], targets, behavior), scaled


def _spec(least: int, most: int, targets: Sequence[Target], behavior: Mapping[str, Any]) -> Spec:
    def rules(direction: str) -> Rules:
        of = behavior[direction]
        policies = [Policy(Unit(p["type"]), p["value"], p["periodSeconds"]) for p in of["policies"]]
        return Rules(policies, of["stabilizationWindowSeconds"], Select(of["selectPolicy"]))

    return Spec(least=least, most=most, targets=targets, up=rules("scaleUp"), down=rules("scaleDown"))


def _groups(
    plan: Plan, stack: Stack, report: CostReport, daemons: Sequence[Workload], largest: Workload
) -> tuple[list[Group], set[str], list[str]]:
    """The nodes, the URNs of what is charged for them, and what a reader has to know."""
    pools = plan.of_type(pods_of_stack.NODE_POOL)
    automatic = [c for c in plan.of_type(_CLUSTER) if at(c.inputs, "computeConfig", "enabled")]
    groups, urns, notes = [], set[str](), list[str]()
    for resource, nodes in pods_of_stack.groups(stack):
        least = int(at(resource.inputs, "scalingConfig", "minSize"))
        # Karpenter starts nodes of its own, and nothing moves the groups beside it.
        most = least if pools else nodes.nodes
        # All that is charged for the group at its most, its disks and its dearest type included.
        whole = sum(item.monthly.high for item in report.items if item.urn == resource.urn) / HOURS
        groups.append(
            Group(
                replace(nodes, nodes=most),
                least,
                whole / most if most else 0,
                unneeded_seconds=UNNEEDED_SECONDS,
                unneeded_share=UNNEEDED_SHARE,
            )
        )
        urns.add(resource.urn)
    if pools or automatic:
        fitting = _fitting(plan, daemons, largest, pools)
        groups.append(fitting)
        urns |= {resource.urn for resource in pools or automatic}
        notes.append(
            f"{'Karpenter' if pools else 'Auto Mode'} starts nodes to fit; they are reckoned as"
            f" {fitting.nodes.size.instance_type}s on demand"
        )
    if not groups:
        notes.append(
            "the nodes are not this stack's, or of types that are not known: every pod finds a place at once"
        )
    return groups, urns, notes


def _fitting(
    plan: Plan, daemons: Sequence[Workload], largest: Workload, pools: Sequence[PlannedResource]
) -> Group:
    """Nodes that are started to fit: like those that costs are reckoned by, in the least size that holds every pod."""
    prices = prices_of(plan.region)
    family = AUTO_MODE_INSTANCE.partition(".")[0]
    known = [size for name in _SIZES if (size := node_size(f"{family}.{name}"))]
    zones = len({subnet.inputs.get("availabilityZone") for subnet in plan.of_type(_SUBNET)}) or 1
    limits = [str(at(pool.inputs, "spec", "limits", "cpu")) for pool in pools]
    cores = max((int(limit) for limit in limits if limit.isdigit()), default=None)
    candidates = [
        NodeGroup(
            name="fitting", size=size, nodes=_UNBOUNDED if cores is None else cores // size.vcpus, zones=zones
        )
        for size in known
    ]
    group = next((g for g in candidates if empty_node(g, 0, daemons).has_room(largest)), candidates[-1])
    fee = 0 if pools else prices.of("eksAutoModeShare")
    return Group(
        group,
        0,
        prices.instance_month(group.size.instance_type) / HOURS * (1 + fee),
        unneeded_seconds=CONSOLIDATE_SECONDS,
        # It takes any node whose pods fit elsewhere.
        unneeded_share=math.inf,
        rests=False,
    )
