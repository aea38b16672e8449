"""The pods of a plan: what runs, under which labels, as whom."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from preview.recording.plan import Plan, PlannedResource

# Where each kind keeps its pod template.
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "kubernetes:apps/v1:DaemonSet": ("spec", "template"),
    "kubernetes:apps/v1:Deployment": ("spec", "template"),
    "kubernetes:apps/v1:StatefulSet": ("spec", "template"),
    "kubernetes:batch/v1:CronJob": ("spec", "jobTemplate", "spec", "template"),
    "kubernetes:batch/v1:Job": ("spec", "template"),
}


@dataclass(frozen=True)
class Workload:
    """What a controller of pods runs."""

    resource: PlannedResource
    namespace: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    """The pod's."""

    @property
    def service_account(self) -> str:
        return str(self.spec.get("serviceAccountName") or "default")

    @property
    def ports(self) -> dict[str, int]:
        """The containers' named ports."""
        return {
            str(port["name"]): int(port["containerPort"])
            for container in self.spec.get("containers") or ()
            for port in container.get("ports") or ()
            if "name" in port
        }


def workloads(plan: Plan) -> Iterator[Workload]:
    """Everything that runs pods."""
    for resource in plan.of_type(*_TEMPLATES):
        template: Any = resource.inputs
        for step in _TEMPLATES[resource.type]:
            template = (template or {}).get(step)
        template = template or {}
        yield Workload(
            resource,
            str((resource.inputs.get("metadata") or {}).get("namespace") or "default"),
            (template.get("metadata") or {}).get("labels") or {},
            template.get("spec") or {},
        )
