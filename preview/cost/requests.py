"""What the pods of a plan ask of its nodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from preview.recording.plan import Plan, PlannedResource
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
        containers = deployment.inputs["spec"]["template"]["spec"]["containers"]
        cores = sum(_request(container, "cpu") for container in containers)
        bytes_ = sum(_request(container, "memory") for container in containers)
        found.append(Requested(deployment, replicas * cores, replicas * bytes_ / 2**30))
    return found


def _target(scaler: PlannedResource) -> tuple[Any, Any]:
    return scaler.inputs["metadata"].get("namespace"), scaler.inputs["spec"]["scaleTargetRef"]["name"]


def _request(container: Mapping[str, Any], resource: str) -> float:
    requests = (container.get("resources") or {}).get("requests") or {}
    return float(quantity(str(requests.get(resource, "0"))))
