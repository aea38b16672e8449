"""Connections that a NetworkPolicy takes from pods that still run."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from policies.model import at, mapping
from preview.change.diff import PlanDiff, Status
from preview.exposure.labels import selects
from preview.recording.plan import PlannedResource
from preview.recording.values import is_at_or_below

_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
_DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def closed_early(diff: PlanDiff) -> Iterator[str]:
    """Policies close a way at once; pods that go it stay until their Deployment has replaced them."""
    updated = diff.of(Status.UPDATED)
    rolling = [
        (
            diff.after.agent(change.resource),
            mapping(at(change.before.inputs, "spec", "template", "metadata", "labels")),
        )
        for change in updated
        if change.resource.type == _DEPLOYMENT
        and change.before is not None
        and any(is_at_or_below(difference.path, "spec.template") for difference in change.differences)
    ]
    for change in updated:
        if change.resource.type != _POLICY or change.before is None or change.after is None:
            continue
        lost = _ways(change.before) - _ways(change.after)
        ports = ", ".join(sorted({port for _, port in lost}))
        selector = mapping(at(change.before.inputs, "spec", "podSelector"))
        for agent, labels in rolling if lost else ():
            if agent == diff.after.agent(change.resource) and selects(selector, labels):
                yield (
                    f"{change.resource.name} closes {ports} at once: pods of {agent} that still run make no new"
                    " connections there until they are replaced, about a minute"
                )


def _ways(policy: PlannedResource) -> set[tuple[str, str]]:
    """Peer and port of everything that a policy lets out."""
    rules: Iterable[Mapping[str, Any]] = at(policy.inputs, "spec", "egress") or ()
    anything: Sequence[Mapping[str, Any]] = ({},)
    return {
        (json.dumps(peer, sort_keys=True, default=str), _port(port))
        for rule in rules
        for peer in rule.get("to") or anything
        for port in rule.get("ports") or anything
    }


def _port(port: Mapping[str, Any]) -> str:
    return f"{port.get('port', 'every port')}/{str(port.get('protocol') or 'TCP').lower()}"
