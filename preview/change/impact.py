"""The blast radius of a change: which agents restart, which stores are touched, whether requests can fail."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from preview.change import egress, entrance, names, pooling, processors
from preview.change.data import is_mounted, lost_by_name, new_keys, out_of_reach, renamed, single_pods
from preview.change.diff import Change, PlanDiff, Status
from preview.change.effects import (
    Effect,
    Refusal,
    effects,
    is_refused,
    one_way_doors,
    refusals,
    unknown,
    worst,
)
from preview.exposure import INTERNET, Edge, Exposure, Relation
from preview.recording.plan import Plan, PlannedResource
from preview.recording.values import is_at_or_below
from sandbox.emulated.changes import Does, Row

_DEPLOYMENT = "kubernetes:apps/v1:Deployment"
_TEMPLATE = "spec.template"
_DATABASE = "aws:rds/instance:Instance"
_CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"

_NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
_CLUSTER = "aws:eks/cluster:Cluster"
_PROVIDER = "pulumi:providers:aws"
_RELEASE = "kubernetes:helm.sh/v3:Release"
_NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
_NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
# What nodes are made by: when it changes, so do they.
_MAKERS_OF_NODES = (
    _NODE_GROUP,
    "aws:ec2/launchTemplate:LaunchTemplate",
    _CLUSTER,
    _NODE_CLASS,
    _NODE_POOL,
)
# What keeps a store from answering for a while.
_AWAY = (Does.RESTART, Does.FAILOVER, Does.OUTAGE)
_SERVICE = "kubernetes:core/v1:Service"
# What takes over before the old one goes.
_MADE_BESIDE = (
    _DEPLOYMENT,
    _SERVICE,
    "kubernetes:networking.k8s.io/v1:Ingress",
    "kubernetes:core/v1:Namespace",
)
# What a request passes on its way, and is refused without.
_ON_THE_WAY: Mapping[str, str] = {
    _SERVICE: "requests find no pods",
    "kubernetes:networking.k8s.io/v1:Ingress": "the ingress controller does not know the host",
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
    refused: tuple[Refusal, ...] = ()
    """What AWS or Pulumi will not do."""
    one_way: tuple[str, ...] = ()
    """What cannot be undone."""
    out_of_reach: tuple[str, ...] = ()
    """Data that stays, and that no agent reaches any more."""
    errors: tuple[str, ...] = ()
    """What is deployed without complaint, and is by all appearances a mistake that costs data."""
    notes: tuple[str, ...] = ()
    """What stays although it looks otherwise, and in which order things go over."""
    unknown: tuple[str, ...] = ()
    """Properties that change, and of which it is not known what that does."""


def impact(diff: PlanDiff, before: Exposure, after: Exposure) -> Impact:
    """What the changes of ``diff`` do.

    Args:
        before: the exposure of ``diff.before``.
        after: that of ``diff.after``.
    """
    opened, closed = _exposure_changes(diff, before, after)
    judged = [(change, effects(change, diff.after)) for change in diff.changes]
    failures = [
        sentence
        for change, found in judged
        if not is_refused(found)
        for sentence in (
            *_failures(change, found, diff.before, diff.after),
            *entrance.failures(diff, change, found),
        )
    ]
    failures += [*_cut_off(diff.after, closed), *egress.closed_early(diff), *new_keys(diff)]
    if any(change.resource.type == _PROVIDER and is_refused(found) for change, found in judged):
        # Nothing of its resources is done then.
        failures = []
    moved = _moved(judged, diff)
    failures += [*_alone(moved, diff.after), *(entrance.alone(diff.after) if moved else ())]
    failures += processors.crashes(diff)
    return Impact(
        restarts=_merged(
            *(restart for change in diff.changes for restart in _restarts(change, diff.after)), *moved
        ),
        stores=tuple(
            touched for change, found in judged for touched in _stores(change, found, before, diff.before)
        ),
        failures=tuple(dict.fromkeys(failures)),
        opened=opened,
        closed=closed,
        refused=(
            *(refusal for change, found in judged for refusal in refusals(change, found)),
            *names.refusals(diff),
        ),
        one_way=tuple(
            dict.fromkeys(door for change, found in judged for door in one_way_doors(change, found))
        ),
        out_of_reach=tuple(dict.fromkeys(out_of_reach(diff))),
        errors=(*lost_by_name(diff), *names.overwritten(diff)),
        notes=(
            *renamed(diff),
            *processors.notes(diff),
            *entrance.notes(diff),
            *names.notes(diff),
            *pooling.notes(diff),
        ),
        unknown=tuple(path for _, found in judged for path in unknown(found)),
    )


def _merged(*restarts: Restart) -> tuple[Restart, ...]:
    """One of each agent, with all its reasons."""
    why: dict[str, tuple[str, ...]] = {}
    for restart in restarts:
        why[restart.agent] = (*why.get(restart.agent, ()), *restart.why)
    return tuple(Restart(agent, reasons) for agent, reasons in why.items())


def _moved(judged: list[tuple[Change, tuple[Effect, ...]]], diff: PlanDiff) -> tuple[Restart, ...]:
    """The agents whose pods move, because the nodes under them do."""
    why = [
        f"nodes of {change.resource.name}: {', '.join(effect.properties)}"
        for change, found in judged
        if change.resource.type in _MAKERS_OF_NODES
        for effect in found
        if effect.row and effect.row.does in (Does.MOVES_PODS, Does.REPLACED)
    ]
    why += [
        f"nodes of {change.resource.name}, which goes"
        for change in diff.of(Status.DELETED)
        if change.resource.type == _NODE_GROUP or _is_pool_of_all(change.resource)
    ]
    # Karpenter takes the newest image of the cluster's version, and nodes of an older one drift.
    why += [
        f"nodes of {made.name}: version of {change.resource.name}"
        for change in diff.of(Status.UPDATED)
        if change.resource.type == _CLUSTER and any(d.path == "version" for d in change.differences)
        for made in diff.after.of_type(_NODE_CLASS)
    ]
    stay = [agent for agent in diff.after.agents if agent in diff.before.agents]
    return tuple(Restart(agent, tuple(why)) for agent in stay) if why else ()


def _is_pool_of_all(resource: PlannedResource) -> bool:
    """Whether it is a NodePool that any pod may be on, and whose nodes are drained when it goes; those on tainted ones
    have been rolled off them by then."""
    spec = ((resource.inputs.get("spec") or {}).get("template") or {}).get("spec") or {}
    return resource.type == _NODE_POOL and not spec.get("taints")


def _alone(moved: tuple[Restart, ...], after: Plan) -> Iterator[str]:
    alone = single_pods(after)
    for restart in moved:
        if alone.get(restart.agent):
            yield (
                f"{restart.agent} may run as one pod, which is evicted before another one starts:"
                " it does not answer for about a minute"
            )


def _restarts(change: Change, after: Plan) -> Iterator[Restart]:
    if change.resource.type != _DEPLOYMENT or change.after is None or change.before is None:
        return
    paths = tuple(d.path for d in change.differences if is_at_or_below(d.path, _TEMPLATE))
    if paths or change.status is Status.REPLACED:
        yield Restart(after.agent(change.after) or change.after.name, paths or change.reasons)


def _stores(
    change: Change, found: tuple[Effect, ...], before: Exposure, plan: Plan
) -> Iterator[StoreTouched]:
    old = change.before
    if old is None or old.type not in (_DATABASE, _CACHE) or change.status is Status.MOVED:
        return
    users = (
        plan.resources[edge.source].name for edge in before.into(old.urn) if edge.source in plan.resources
    )
    yield StoreTouched(old.name, _how(change, found), tuple(sorted(set(users))))


def _how(change: Change, found: tuple[Effect, ...]) -> str:
    if change.status is Status.DELETED:
        return "deleted"
    refused = worst(found)
    if change.status is Status.REPLACED and not (
        refused and refused.row and refused.row.does is Does.REFUSED
    ):
        return "replaced by an empty one"
    away = _away(found)
    if refused is None:
        return "changed in place, without a restart"
    properties = ", ".join(refused.properties)
    if refused.row is None:
        return f"{properties}: what a change does is not known"
    if refused.row.does is Does.REFUSED:
        return f"{properties}: refused, {refused.row.says}"
    if not away:
        waits = all(effect.in_window for effect in found)
        when = f", in the maintenance window ({_window(change.resource.inputs)})" if waits else ""
        return f"changed in place, without a restart{when}"
    names = [path for effect in away for path in effect.properties]
    longest = max(effect.row.minutes for effect in away if effect.row)
    waits = all(effect.in_window for effect in away)
    when = f"in the maintenance window ({_window(change.resource.inputs)})" if waits else "at once"
    verb = "changes" if len(names) == 1 else "change"
    return f"{', '.join(names)} {verb}: {_break(refused.row, longest)}, {when}"


def _break(row: Row, minutes: int) -> str:
    if row.does is Does.FAILOVER:
        return "a failover of a minute or two"
    if row.does is Does.OUTAGE:
        return f"away for {minutes} minutes or more"
    return "a restart of some minutes"


def _away(found: tuple[Effect, ...]) -> list[Effect]:
    return [effect for effect in found if effect.row and effect.row.does in _AWAY]


def _window(inputs: Mapping[str, Any]) -> str:
    return str(inputs.get("maintenanceWindow") or "of AWS's choice")


def _failures(change: Change, found: tuple[Effect, ...], before: Plan, after: Plan) -> Iterator[str]:
    resource = change.resource
    if change.beside and resource.type in _MADE_BESIDE:
        yield from _begins_alone(resource, after)
    elif change.status in (Status.DELETED, Status.REPLACED) and change.before is not None:
        if not entrance.is_on_the_way(change.before, before):
            return
        verb = "goes" if change.status is Status.DELETED else "is replaced"
        if resource.type == _RELEASE and resource.inputs.get("chart") == "traefik":
            yield f"{resource.name} {verb}: the load balancer has no pods behind it"
        elif resource.type in _ON_THE_WAY:
            yield f"{resource.name} {verb}: {_ON_THE_WAY[resource.type]}"
        elif resource.type == _DEPLOYMENT:
            until = "for good" if change.status is Status.DELETED else "until the new pods are ready"
            yield f"{resource.name} {verb}: {_agent(resource, after)} does not answer {until}"
    elif change.status is Status.UPDATED:
        if resource.type == _DEPLOYMENT:
            yield from _rollout(change, after)
        elif resource.type in (_DATABASE, _CACHE) and _away(found):
            yield f"{resource.name} restarts: requests wait for it, and fail after their time-out"
        yield from (
            f"{resource.name} changes: {effect.row.callers}"
            for effect in found
            if effect.row and effect.row.callers
        )


def _begins_alone(resource: PlannedResource, after: Plan) -> Iterator[str]:
    """A Deployment whose size its autoscaler sets has one pod before that has looked at it."""
    agent = _agent(resource, after)
    if resource.type == _DEPLOYMENT and not single_pods(after).get(agent, True):
        yield (
            f"{resource.name} is made anew: {agent} begins with one pod, and has less room for the minute that its"
            " autoscaler needs to start the others"
        )


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
        # Of hosts that go the entrance tells.
        stay = edge.source in after.resources and edge.target in after.resources
        if stay and not edge.by.startswith("https://"):
            source, target = after.resources[edge.source], after.resources[edge.target]
            if edge.relation is Relation.CONNECTS:
                yield f"{source.name} no longer reaches {target.name} ({edge.by})"
            elif edge.relation is Relation.READS and is_mounted(target, source, after):
                yield f"{source.name} may no longer read {target.name}"


def _exposure_changes(
    diff: PlanDiff, before: Exposure, after: Exposure
) -> tuple[tuple[Edge, ...], tuple[Edge, ...]]:
    """Edges that come and go; of resources that come or go themselves only those to and from the outside."""
    now = {old: new for new, old in diff.former.items() if old is not None}

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
