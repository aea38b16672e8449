"""Containers: what each is promised and may do, and those that run before or beside an agent's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s


@dataclass(frozen=True, kw_only=True)
class ContainerResources:
    """What a container is promised and bounded by: Kubernetes quantities."""

    cpu_request: str
    memory_request: str
    cpu_limit: str
    memory_limit: str

    def requirements(self, **requests: str) -> k8s.core.v1.ResourceRequirementsArgs:
        """As Kubernetes has them; ``requests`` are further ones, by name."""
        return k8s.core.v1.ResourceRequirementsArgs(
            requests={"cpu": self.cpu_request, "memory": self.memory_request, **requests},
            limits={"cpu": self.cpu_limit, "memory": self.memory_limit},
        )


@dataclass(frozen=True, kw_only=True)
class Companion:
    """A container that runs before the agent's own, or as a sidecar beside it, from before it starts until it ended.

    Attributes:
        image: by digest. It runs as the user of the agent's, on a read-only root file system.
        command: replaces the image's entry point; empty keeps it.
        args: its arguments; empty keeps the image's.
        sidecar: stays. Without it the container runs to its end, and the next one starts.
        liveness: of a sidecar.
        readiness: of a sidecar.
    """

    name: str
    image: pulumi.Input[str]
    resources: ContainerResources
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[k8s.core.v1.VolumeMountArgs] = ()
    sidecar: bool = False
    liveness: k8s.core.v1.ProbeArgs | None = None
    readiness: k8s.core.v1.ProbeArgs | None = None

    def __post_init__(self) -> None:
        if self.sidecar and not (self.liveness and self.readiness):
            raise ValueError(
                f"sidecar {self.name} lacks liveness or readiness: nobody would notice that it hangs, and the agent"
                " would get requests before it is there"
            )


def restricted() -> k8s.core.v1.SecurityContextArgs:
    """What the restricted Pod Security Standard asks of a container, on a root file system that nobody writes."""
    return k8s.core.v1.SecurityContextArgs(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        capabilities=k8s.core.v1.CapabilitiesArgs(drop=["ALL"]),
    )


def companion_container(companion: Companion) -> k8s.core.v1.ContainerArgs:
    """An init container; one that restarts always is a sidecar:
    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    """
    return k8s.core.v1.ContainerArgs(
        name=companion.name,
        image=companion.image,
        image_pull_policy="IfNotPresent",
        command=list(companion.command) or None,
        args=list(companion.args) or None,
        env=[
            k8s.core.v1.EnvVarArgs(name=name, value=value)
            for name, value in sorted(companion.variables.items())
        ]
        or None,
        resources=companion.resources.requirements(),
        restart_policy="Always" if companion.sidecar else None,
        security_context=restricted(),
        liveness_probe=companion.liveness,
        readiness_probe=companion.readiness,
        volume_mounts=list(companion.mounts) or None,
    )
