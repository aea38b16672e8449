"""The blast radius of a change: which agents restart, which stores are touched, whether requests can fail."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from preview.change.diff import Change, PlanDiff, Status, former_urns
from preview.exposure import INTERNET, Edge, Exposure, Relation
from preview.recording.plan import Plan, PlannedResource
from preview.recording.values import is_at_or_below

_DEPLOYMENT = "kubernetes:apps/v1:Deployment"
_TEMPLATE = "spec.template"
_DATABASE = "aws:rds/instance:Instance"
_CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"

# Changes that restart or fail over the instance, by the column "Downtime" of
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ModifyInstance.Settings.html
_RESTARTS_DATABASE = ("instanceClass", "engineVersion", "parameterGroupName", "caCertIdentifier", "port")
_RESTARTS_CACHE = ("nodeType", "engineVersion", "engine", "transitEncryptionEnabled")
# What a request passes on its way, and is refused without.
_ON_THE_WAY: Mapping[str, str] = {
    "kubernetes:core/v1:Service": "requests find no pods",
    "kubernetes:networking.k8s.io/v1:Ingress": "the ingress controller does not know the host",
    "kubernetes:helm.sh/v3:Release": "the load balancer has no pods behind it",
    "kubernetes:core/v1:Namespace": "everything in the namespace goes with it",
    "aws:eks/cluster:Cluster": "everything in the cluster goes with it",
    "aws:ec2/vpc:Vpc": "everything in the network goes with it",
    _DATABASE: "no agent reads or writes checkpoints",
    _CACHE: "no agent takes new runs",
}


@dataclass(frozen=True)
class Restart:
    """An agent whose pods are replaced by new ones."""

    agent: str
    why: tuple[str, ...]
    """The properties of the pod template that change."""


@dataclass(frozen=True)
class StoreTouched:
    """A database or cache that a change concerns."""

    store: str
    how: str
    users: tuple[str, ...]
    """The workloads that reach it."""


@dataclass(frozen=True)
class Impact:
    """What a change does to those who use the stack."""

    restarts: tuple[Restart, ...]
    stores: tuple[StoreTouched, ...]
    failures: tuple[str, ...]
    """How requests can fail while it is deployed, or after; empty when they cannot."""
    opened: tuple[Edge, ...]
    """What is reached that was not."""
    closed: tuple[Edge, ...]
    """What is reached no more."""


def impact(diff: PlanDiff, before: Exposure, after: Exposure) -> Impact:
    """What the changes of ``diff`` do.

    Args:
        before: the exposure of ``diff.before``.
        after: that of ``diff.after``.
    """
    opened, closed = _exposure_changes(diff, before, after)
    failures = [sentence for change in diff.changes for sentence in _failures(change, diff.after)]
    failures += _cut_off(diff.after, closed)
    return Impact(
        restarts=tuple(restart for change in diff.changes for restart in _restarts(change, diff.after)),
        stores=tuple(touched for change in diff.changes for touched in _stores(change, before, diff.before)),
        failures=tuple(dict.fromkeys(failures)),
        opened=opened,
        closed=closed,
    )


def _restarts(change: Change, after: Plan) -> Iterator[Restart]:
    if change.resource.type != _DEPLOYMENT or change.after is None or change.before is None:
        return
    paths = tuple(d.path for d in change.differences if is_at_or_below(d.path, _TEMPLATE))
    if paths or change.status is Status.REPLACED:
        yield Restart(after.agent(change.after) or change.after.name, paths or change.reasons)


def _stores(change: Change, before: Exposure, plan: Plan) -> Iterator[StoreTouched]:
    old = change.before
    if old is None or old.type not in (_DATABASE, _CACHE) or change.status is Status.MOVED:
        return
    users = (
        plan.resources[edge.source].name for edge in before.into(old.urn) if edge.source in plan.resources
    )
    yield StoreTouched(old.name, _how(change, old), tuple(sorted(set(users))))


def _how(change: Change, old: PlannedResource) -> str:
    if change.status is Status.DELETED:
        return "deleted"
    if change.status is Status.REPLACED:
        return "replaced by an empty one"
    restarting = _restarting(change)
    if not restarting:
        return "changed in place, without a restart"
    properties = ", ".join(restarting)
    redundant = old.inputs.get("multiAz") or old.inputs.get("automaticFailoverEnabled")
    break_ = "a failover of a minute or two" if redundant else "a restart of some minutes"
    at_once = change.resource.inputs.get("applyImmediately")
    when = "at once" if at_once else f"in the maintenance window ({_window(change.resource.inputs)})"
    return f"{properties} {'changes' if len(restarting) == 1 else 'change'}: {break_}, {when}"


def _restarting(change: Change) -> list[str]:
    watched = _RESTARTS_DATABASE if change.resource.type == _DATABASE else _RESTARTS_CACHE
    return [key for key in watched if any(is_at_or_below(d.path, key) for d in change.differences)]


def _window(inputs: Mapping[str, Any]) -> str:
    return str(inputs.get("maintenanceWindow") or "of AWS's choice")


def _failures(change: Change, after: Plan) -> Iterator[str]:
    resource = change.resource
    if change.status in (Status.DELETED, Status.REPLACED) and change.before is not None:
        verb = "goes" if change.status is Status.DELETED else "is replaced"
        if resource.type in _ON_THE_WAY:
            yield f"{resource.name} {verb}: {_ON_THE_WAY[resource.type]}"
        elif resource.type == _DEPLOYMENT:
            until = "for good" if change.status is Status.DELETED else "until the new pods are ready"
            yield f"{resource.name} {verb}: {_agent(resource, after)} does not answer {until}"
    elif change.status is Status.UPDATED:
        if resource.type == _DEPLOYMENT:
            yield from _rollout(change, after)
        elif resource.type in (_DATABASE, _CACHE) and _restarting(change):
            yield f"{resource.name} restarts: requests wait for it, and fail after their time-out"


def _rollout(change: Change, after: Plan) -> Iterator[str]:
    if not any(is_at_or_below(d.path, _TEMPLATE) for d in change.differences):
        return
    resource = change.resource
    spec = resource.inputs.get("spec") or {}
    strategy = spec.get("strategy") or {}
    agent = _agent(resource, after)
    if strategy.get("type") == "Recreate":
        yield f"{resource.name} is recreated: {agent} does not answer until the new pods are ready"
        return
    unavailable = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%")
    if unavailable not in (0, "0", "0%"):
        yield f"{resource.name} rolls with up to {unavailable} of its pods missing: {agent} has less room"
    for container in ((spec.get("template") or {}).get("spec") or {}).get("containers") or ():
        if not container.get("readinessProbe"):
            yield (
                f"{resource.name} rolls without a readiness probe on {container.get('name')}:"
                f" {agent} gets requests before it can answer"
            )
        if not (container.get("lifecycle") or {}).get("preStop"):
            yield (
                f"{resource.name} rolls without a preStop hook on {container.get('name')}:"
                " requests that are on their way to a stopping pod fail"
            )


def _cut_off(after: Plan, closed: tuple[Edge, ...]) -> Iterator[str]:
    """Workloads that stay, and lose a store or a secret."""
    for edge in closed:
        if edge.source in after.resources and edge.target in after.resources:
            source, target = after.resources[edge.source], after.resources[edge.target]
            if edge.relation is Relation.CONNECTS:
                yield f"{source.name} no longer reaches {target.name} ({edge.by})"
            elif edge.relation is Relation.READS:
                yield f"{source.name} may no longer read {target.name}"


def _exposure_changes(
    diff: PlanDiff, before: Exposure, after: Exposure
) -> tuple[tuple[Edge, ...], tuple[Edge, ...]]:
    """Edges that come and go; of resources that come or go themselves only those to and from the outside."""
    now = {old: new for new, old in former_urns(diff.before, diff.after).items() if old is not None}

    def key(edge: Edge, names: Mapping[str, str]) -> tuple[object, ...]:
        ends = (names.get(edge.source, edge.source), names.get(edge.target, edge.target))
        return (*ends, edge.relation, edge.by, edge.origins)

    old = {key(edge, now): edge for edge in before.edges}
    new = {key(edge, {}): edge for edge in after.edges}
    stays = set(now.values()) | {INTERNET}

    def worth_telling(source: str, target: str, edge: Edge) -> bool:
        public = edge.source == INTERNET or edge.by.startswith("https://") or edge.leaves_the_stack
        return public or (source in stays and target in stays)

    opened = [
        edge for k, edge in new.items() if k not in old and worth_telling(edge.source, edge.target, edge)
    ]
    closed = [edge for k, edge in old.items() if k not in new and worth_telling(str(k[0]), str(k[1]), edge)]
    return tuple(opened), tuple(closed)


def _agent(resource: PlannedResource, plan: Plan) -> str:
    return plan.agent(resource) or str((resource.inputs.get("metadata") or {}).get("name") or resource.name)
