"""What a team may want of an agent's pods besides what all agents have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components.workload.container import Companion

#: Where the image expects its secret files, each named like the variable that it replaces.
SECRETS_DIR = "/var/run/secrets/langgraph-agents"
#: Where connection URIs say that the authorities of RDS are (``sslrootcert``).
CERTIFICATES_DIR = "/etc/langgraph-agents"

#: Volumes of every agent.
TAKEN_VOLUMES = frozenset({"secrets", "certificates", "tmp"})
#: Where those are, and what is to be done instead of mounting something over them.
TAKEN_MOUNTS: Mapping[str, str] = {
    SECRETS_DIR: "where the agent's secrets are",
    CERTIFICATES_DIR: "where the database's authorities are",
    "/tmp": "whose size is pod.ephemeralStorage",  # noqa: S108
}


@dataclass(frozen=True, kw_only=True)
class PodVolume:
    """A volume, and where it is mounted."""

    volume: k8s.core.v1.VolumeArgs
    mount_path: str
    read_only: bool

    def __post_init__(self) -> None:
        if self.volume.name in TAKEN_VOLUMES:
            raise ValueError(f"volume {self.volume.name} is one of every agent: choose another name")
        if self.volume.host_path is not None:
            raise ValueError(
                f"volume {self.volume.name} is a path of the node, which the restricted Pod Security Standard refuses:"
                " use an emptyDir or a claim"
            )


@dataclass(frozen=True, kw_only=True)
class PodOptions:
    """Options of pods, in Kubernetes' own terms."""

    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[k8s.core.v1.TolerationArgs] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    priority_class: str | None = None
    ephemeral_storage: str | None = None
    """The size of ``/tmp``, reserved on the node; None is 64Mi that are not reserved."""
    volumes: Sequence[PodVolume] = ()
    companions: Sequence[Companion] = ()
    """Containers before and beside the agent's own, in the order that they start in."""
    image_pull_secrets: Sequence[pulumi.Input[str]] = ()
    """Secrets of the namespace with logins to registries."""

    def placement(self) -> "PodOptions":
        """Of these what decides where pods run and what their image is pulled with: an agent's Jobs need no more."""
        return PodOptions(
            node_selector=self.node_selector,
            tolerations=self.tolerations,
            image_pull_secrets=self.image_pull_secrets,
        )
