"""What the pods of a plan ask of its nodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from policies.pods import AUTOSCALERS, bounds_of, is_sidecar, target_of
from preview.recording.plan import Plan, PlannedResource
from stacks.pod_requests import effective
from stacks.vocabulary import quantity

_DEPLOYMENT = "kubernetes:apps/v1:Deployment"


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
    scaled = {target_of(scaler): bounds_of(scaler) for type_ in AUTOSCALERS for scaler in plan.of_type(type_)}
    found = []
    for deployment in plan.of_type(_DEPLOYMENT):
        metadata = deployment.inputs["metadata"]
        fixed = deployment.inputs["spec"].get("replicas", 1)
        fewest, most = scaled.get((metadata.get("namespace"), metadata.get("name")), (fixed, fixed))
        replicas = fewest if end == "min" else most
        pod = deployment.inputs["spec"]["template"]["spec"]
        cores, bytes_ = _pod(pod, "cpu"), _pod(pod, "memory")
        found.append(Requested(deployment, replicas * cores, replicas * bytes_ / 2**30))
    return found


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
