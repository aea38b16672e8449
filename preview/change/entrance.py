"""How callers come in, and how they notice a change on their way: names, load balancer, Traefik, certificates."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from policies.model import at, items, mapping
from policies.pods import AUTOSCALERS, bounds_of, target_of
from preview.change.diff import Change, PlanDiff, Status
from preview.change.effects import Effect
from preview.recording.plan import Plan, PlannedResource
from preview.recording.values import is_at_or_below
from sandbox.emulated.changes import Does

_DEPLOYMENT = "kubernetes:apps/v1:Deployment"
_INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
_NAMESPACE = "kubernetes:core/v1:Namespace"
_RELEASE = "kubernetes:helm.sh/v3:Release"
_SERVICE = "kubernetes:core/v1:Service"
_ADDON = "aws:eks/addon:Addon"
_ISSUER = "cert-manager.io/cluster-issuer"
_STAGING = "letsencrypt-staging"
# What a new host waits for, by the class of its Ingress.
_WAITS: Mapping[str, str] = {
    # external-dns looks once a minute; cert-manager asks Let's Encrypt once the name leads to Traefik.
    "traefik": "external-dns has written its record and cert-manager has its certificate, a minute or two",
    # Its certificate is there before: the Ingress names one that ACM has validated.
    "alb": "external-dns has written its record, about a minute",
}
# With this label on their namespace pods are ready once the load balancer sends them requests. Each controller reads
# its own: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/ and
# https://aws.amazon.com/blogs/containers/how-to-build-highly-available-kubernetes-applications-with-amazon-eks-auto-mode/
_GATE, _AUTO_MODES_GATE = (
    f"{group}/pod-readiness-gate-inject" for group in ("elbv2.k8s.aws", "eks.amazonaws.com")
)
_AUTO_MODES_CLASS = "eks.amazonaws.com/nlb"


@dataclass(frozen=True)
class Roll:
    """Pods behind a load balancer that are replaced one after the other."""

    release: PlannedResource
    """What rolls: Traefik's release, or an agent's Deployment."""
    load_balancer: str
    """``nlb`` or ``alb``."""
    agents: str
    """Who is reached through it."""
    pods: int
    gated: bool
    """Whether each waits until the load balancer sends it requests, before an old one stops."""


def failures(diff: PlanDiff, change: Change, found: tuple[Effect, ...]) -> Iterator[str]:
    """How callers notice a change of what they pass on their way in."""
    if change.before is None or change.after is None:
        return
    yield from _rolls(change, found, diff.after)
    if change.resource.type == _INGRESS:
        if change.status is Status.UPDATED:
            yield from _gone_hosts(change.before, change.after, diff)
        yield from _without_certificate(change.before, change.after, change.beside, diff)


def is_on_the_way(resource: PlannedResource, plan: Plan) -> bool:
    """Whether requests pass it: not a worker, a pooler that agents no longer ask, or a namespace of neither."""
    if resource.type == _DEPLOYMENT:
        return _serves(resource) and bool(plan.agent(resource))
    if resource.type == _SERVICE:
        return bool(plan.agent(resource))
    if resource.type == _NAMESPACE:
        passed = [
            *plan.of_type(_INGRESS),
            *(r for r in plan.of_type(_RELEASE) if r.inputs.get("chart") == "traefik"),
        ]
        return at(resource.inputs, "metadata", "name") in set(map(_namespace, passed))
    return True


def _namespace(resource: PlannedResource) -> str:
    """Where an object is, or what a release installs."""
    return str((resource.inputs.get("metadata") or resource.inputs).get("namespace") or "")


def alone(plan: Plan) -> Iterator[str]:
    """What a single pod of Traefik keeps from callers while it moves to another node."""
    for release in plan.of_type(_RELEASE):
        pods = at(release.inputs, "values", "deployment", "replicas")
        if (
            release.inputs.get("chart") == "traefik"
            and pods in (None, 1)
            and (agents := _behind(plan, "traefik"))
        ):
            yield (
                f"{release.name} has one pod, which is evicted before another one starts: {agents} cannot be reached"
                " for a minute or two"
            )


def notes(diff: PlanDiff) -> Iterator[str]:
    """When new hosts of agents that stay are reached, and certificates of another issuer are there."""
    for change in diff.of(Status.UPDATED):
        old, new = change.before, change.after
        if change.resource.type != _INGRESS or old is None or new is None:
            continue
        agent = _agent(new, diff.after)
        waits = _WAITS.get(_class(new))
        came, gone = _hosts(new) - _hosts(old), _hosts(old) - _hosts(new)
        if waits and came:
            left = f"; nobody is sent on from {', '.join(sorted(gone))}" if gone else ""
            yield f"{agent} is reached at {', '.join(sorted(came))} when {waits} after the change{left}"
        issuers = _annotation(old, _ISSUER), _annotation(new, _ISSUER)
        if all(issuers) and issuers[0] != issuers[1]:
            yield (
                f"{agent} is served with the certificate of {issuers[0]} until cert-manager has that of {issuers[1]},"
                " about a minute after the change"
            )
    yield from _new_gates(diff)
    yield from _left_records(diff)


def roll(change: Change, found: tuple[Effect, ...], after: Plan) -> Roll | None:
    """What a change does to pods behind a load balancer; None where none of them is replaced."""
    new = change.resource
    if change.status is not Status.UPDATED:
        return None
    if new.type == _RELEASE and new.inputs.get("chart") == "traefik":
        agents = _behind(after, "traefik")
        if not agents or not any(effect.row and effect.row.does is Does.RESTART for effect in found):
            return None
        values = new.inputs.get("values")
        class_ = at(values, "service", "spec", "loadBalancerClass")
        gate = _AUTO_MODES_GATE if class_ == _AUTO_MODES_CLASS else _GATE
        pods = int(at(values, "deployment", "replicas") or 1)
        return Roll(new, "nlb", agents, pods, _is_gated(_namespace(new), gate, after))
    rolled = any(is_at_or_below(difference.path, "spec.template") for difference in change.differences)
    if (
        rolled
        and new.type == _DEPLOYMENT
        and _serves(new)
        and after.agent(new) in _agents_behind(after, "alb")
    ):
        gated = _is_gated(_namespace(new), _GATE, after)
        return Roll(new, "alb", after.agent(new), _at_least(new, after), gated)
    return None


def _rolls(change: Change, found: tuple[Effect, ...], after: Plan) -> Iterator[str]:
    """Pods behind a load balancer that are replaced faster than it takes the new ones in."""
    rolling = roll(change, found, after)
    if rolling and not rolling.gated:
        yield (
            f"{rolling.release.name} rolls faster than the load balancer takes new pods in, which have to be healthy"
            f" there first: {rolling.agents} may not be reached for up to two minutes"
        )


def _at_least(deployment: PlannedResource, plan: Plan) -> int:
    """The pods that a Deployment has at the least, by its autoscaler."""
    for scaler in (scaler for type_ in AUTOSCALERS for scaler in plan.of_type(type_)):
        if target_of(scaler) == (_namespace(deployment), at(deployment.inputs, "metadata", "name")):
            return max(1, int(bounds_of(scaler)[0]))
    return 1


def _new_gates(diff: PlanDiff) -> Iterator[str]:
    """Readiness gates that come: they are put into pods when these are made."""
    for change in diff.of(Status.UPDATED):
        if change.resource.type != _NAMESPACE or change.before is None:
            continue
        if _gates(change.resource) - _gates(change.before):
            name = at(change.resource.inputs, "metadata", "name")
            yield (
                f"pods that are made in {name} from now on are ready once their load balancer sends them requests;"
                " those that are there serve on, and get such a gate when they are next replaced"
            )


def _gone_hosts(old: PlannedResource, new: PlannedResource, diff: PlanDiff) -> Iterator[str]:
    for host in sorted(_hosts(old) - _hosts(new)):
        yield f"{new.name} gives up {host}: {_agent(new, diff.after)} no longer answers there"


def _without_certificate(
    old: PlannedResource, new: PlannedResource, beside: bool, diff: PlanDiff
) -> Iterator[str]:
    if _class(new) != "traefik":
        return
    agent = _agent(new, diff.after)
    if beside and _hosts(old) & _hosts(new):
        yield (
            f"{new.name} is made anew in another namespace, where its certificate is not: {agent} is served with one"
            " that callers refuse until cert-manager has it, a minute or two"
        )
    issuers = _annotation(old, _ISSUER), _annotation(new, _ISSUER)
    if issuers[1] == _STAGING and issuers[0] not in ("", _STAGING):
        yield (
            f"{new.name} gets a certificate of {_STAGING}: callers of {agent} refuse it, for nobody trusts that issuer"
        )


def _left_records(diff: PlanDiff) -> Iterator[str]:
    """Records of a zone that external-dns no longer looks at."""
    for change in diff.of(Status.UPDATED):
        if change.resource.type != _ADDON or change.resource.inputs.get("addonName") != "external-dns":
            continue
        zones = [_zones(resource) for resource in (change.before, change.after)]
        for zone in sorted(zones[0] - zones[1]):
            yield (
                f"external-dns no longer looks at {zone}: its records there, A and TXT, stay and lead to the load"
                " balancer until you delete them"
            )


def _zones(addon: PlannedResource | None) -> set[str]:
    values = json.loads(str(addon.inputs.get("configurationValues") or "{}")) if addon else {}
    return set(map(str, values.get("domainFilters") or ()))


def _is_gated(namespace: str, gate: str, plan: Plan) -> bool:
    made = (n for n in plan.of_type(_NAMESPACE) if at(n.inputs, "metadata", "name") == namespace)
    return any(gate in _gates(namespace) for namespace in made)


def _gates(namespace: PlannedResource) -> set[str]:
    labels = mapping(at(namespace.inputs, "metadata", "labels"))
    return {gate for gate in (_GATE, _AUTO_MODES_GATE) if labels.get(gate) == "enabled"}


def _agents_behind(plan: Plan, class_: str) -> list[str]:
    served = (ingress for ingress in plan.of_type(_INGRESS) if _class(ingress) == class_)
    return sorted({_agent(ingress, plan) for ingress in served})


def _behind(plan: Plan, class_: str) -> str:
    return ", ".join(_agents_behind(plan, class_))


def _agent(ingress: PlannedResource, plan: Plan) -> str:
    return plan.agent(ingress) or ingress.name


def _class(ingress: PlannedResource) -> str:
    return str(at(ingress.inputs, "spec", "ingressClassName") or "")


def _annotation(ingress: PlannedResource, name: str) -> str:
    return str(at(ingress.inputs, "metadata", "annotations", name) or "")


def _hosts(ingress: PlannedResource) -> set[str]:
    return {str(rule["host"]) for rule in items(at(ingress.inputs, "spec", "rules")) if rule.get("host")}


def _serves(deployment: PlannedResource) -> bool:
    """Whether its pods answer requests; workers do not."""
    return bool(at(deployment.inputs, "metadata", "labels", "app.kubernetes.io/component") != "worker")
