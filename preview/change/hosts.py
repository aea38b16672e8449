"""Hosts that an agent answers at from now on, and when they do."""

from collections.abc import Iterator, Mapping
from typing import Any

from preview.change.diff import PlanDiff, Status

_INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
# What a new host waits for, by the class of its Ingress.
_WAITS: Mapping[str, str] = {
    # external-dns looks once a minute; cert-manager asks Let's Encrypt once the name leads to Traefik.
    "traefik": "external-dns has written its record and cert-manager has its certificate, a minute or two",
    # Its certificate is there before: the Ingress names one that ACM has validated.
    "alb": "external-dns has written its record, about a minute",
}


def notes(diff: PlanDiff) -> Iterator[str]:
    """When new hosts of agents that stay are reached."""
    for change in diff.of(Status.UPDATED):
        if change.resource.type != _INGRESS or change.before is None or change.after is None:
            continue
        old, new = _hosts(change.before.inputs), _hosts(change.after.inputs)
        waits = _WAITS.get((change.after.inputs.get("spec") or {}).get("ingressClassName") or "")
        if waits and new - old:
            agent = diff.after.agent(change.after) or change.resource.name
            gone = f"; nobody is sent on from {', '.join(sorted(old - new))}" if old - new else ""
            yield f"{agent} is reached at {', '.join(sorted(new - old))} when {waits} after the change{gone}"


def _hosts(inputs: Mapping[str, Any]) -> set[str]:
    return {str(rule["host"]) for rule in (inputs.get("spec") or {}).get("rules") or () if rule.get("host")}
