"""What the pods of a plan ask of its nodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from policies.pods import is_sidecar
from preview.recording.plan import Plan, PlannedResource
from stacks.pod_requests import effective
from stacks.vocabulary import quantity

_DEPLOYMENT = "kubernetes:apps/v1:Deployment"
_AUTOSCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"


@dataclass(frozen=True)
class Requested:
    """What the pods of a Deployment reserve together."""

    deployment: PlannedResource
    cores: float
    gibibytes: float

    def nodes(self, cores: float, gibibytes: float) -> float:
        """How many nodes of this shape that fills, by whichever runs out first."""
        return max(self.cores / cores, self.gibibytes / gibibytes)


def requested(plan: Plan, end: Literal["min", "max"]) -> list[Requested]:
    """What every Deployment asks for at its fewest or at its most replicas."""
    scaled = {_target(scaler): scaler.inputs["spec"] for scaler in plan.of_type(_AUTOSCALER)}
    found = []
    for deployment in plan.of_type(_DEPLOYMENT):
        metadata = deployment.inputs["metadata"]
        bounds = scaled.get((metadata.get("namespace"), metadata.get("name")), {})
        replicas = bounds.get(f"{end}Replicas") or deployment.inputs["spec"].get("replicas", 1)
        pod = deployment.inputs["spec"]["template"]["spec"]
        cores, bytes_ = _pod(pod, "cpu"), _pod(pod, "memory")
        found.append(Requested(deployment, replicas * cores, replicas * bytes_ / 2**30))
    return found


def _target(scaler: PlannedResource) -> tuple[Any, Any]:
    return scaler.inputs["metadata"].get("namespace"), scaler.inputs["spec"]["scaleTargetRef"]["name"]


def _pod(spec: Mapping[str, Any], resource: str) -> float:
    """What a pod requests, its sidecars included."""
    return float(
        effective(
            [_request(container, resource) for container in spec["containers"]],
            [
                (_request(container, resource), is_sidecar(container))
                for container in spec.get("initContainers") or ()
            ],
        )
    )


def _request(container: Mapping[str, Any], resource: str) -> Decimal:
    requests = (container.get("resources") or {}).get("requests") or {}
    return quantity(str(requests.get(resource, "0")))
