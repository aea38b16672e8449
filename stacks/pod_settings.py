"""What a stack file says of an agent's pods besides their sizes: where they run, what is mounted, whom they reach."""

import ipaddress
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from components.workload.pod_options import TAKEN_MOUNTS, TAKEN_VOLUMES
from stacks.container_settings import InitContainer, MountPath, Sidecar
from stacks.vocabulary import (
    Annotations,
    Flag,
    LabelName,
    LabelValue,
    Memory,
    Model,
    ObjectName,
    Port,
    PriorityClass,
    TaintEffect,
    TolerationOperator,
    Whole,
)

_ADDRESSES = (
    "a NetworkPolicy knows addresses and no names: write the network that the host is in as cidr, such as"
    " 10.60.4.0/24, or its address with /32. HTTPS to the internet is open without an entry"
)
# The metadata service of instances, which hands out the node's credentials, is in here.
_LINK_LOCAL = ipaddress.IPv4Network("169.254.0.0/16")


def _destination(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"{_ADDRESSES} ({error})") from None
    if network.overlaps(_LINK_LOCAL):
        raise ValueError(
            f"includes {_LINK_LOCAL}, where nodes get their credentials: name the networks that the agent has to reach"
        )
    return value


def _mount_path(value: str) -> str:
    for taken, instead in TAKEN_MOUNTS.items():
        if value == taken or value.startswith(f"{taken}/") or taken.startswith(f"{value}/"):
            raise ValueError(f"is at {taken}, {instead}: choose another path")
    return value


AgentMountPath = Annotated[MountPath, AfterValidator(_mount_path)]


class Egress(Model):
    """A network that an agent's pods may connect to, beside their stores, AWS and HTTPS to the internet."""

    cidr: Annotated[str, AfterValidator(_destination)]
    """Its addresses. Of a host in the VPC, its security group has to admit the cluster's pods too."""
    ports: Annotated[tuple[Port, ...], Field(min_length=1)]
    """TCP ports."""

    @model_validator(mode="before")
    @classmethod
    def _names_no_host(cls, data: Any) -> Any:
        if isinstance(data, dict) and "host" in data:
            raise ValueError(f"host {data['host']}: {_ADDRESSES}")
        return data


class Toleration(Model):
    """A taint of nodes that an agent's pods may run on nevertheless, in Kubernetes' terms."""

    key: LabelName
    """The taint's key."""
    operator: TolerationOperator = TolerationOperator.EQUAL
    """Of this value, or of any."""
    value: LabelValue | None = None
    """The taint's value, with ``Equal``."""
    effect: TaintEffect | None = None
    """All effects unless set."""
    toleration_seconds: Annotated[Whole, Field(ge=0, le=86_400)] | None = None
    """How long a pod stays on a node that gets the taint, with ``NoExecute``; for ever unless set."""

    @model_validator(mode="after")
    def _a_value_goes_with_equal(self) -> Self:
        if self.operator is TolerationOperator.EXISTS and self.value is not None:
            raise ValueError("operator Exists takes any value: remove value, or set operator: Equal")
        if self.operator is TolerationOperator.EQUAL and self.value is None:
            raise ValueError("operator Equal needs value; or set operator: Exists")
        if self.toleration_seconds is not None and self.effect is not TaintEffect.NO_EXECUTE:
            raise ValueError("tolerationSeconds goes with effect: NoExecute")
        return self


class EmptyDir(Model):
    """A folder that lives as long as its pod."""

    size_limit: Memory
    """A pod that writes more is evicted."""


class PersistentVolumeClaim(Model):
    """A claim that exists in the agents' namespace."""

    claim_name: ObjectName
    """Its name. All pods of an agent mount the one claim, which several nodes can do only with ReadWriteMany."""


class ConfigMapVolume(Model):
    """A ConfigMap that exists in the agents' namespace; each key becomes a file."""

    name: ObjectName
    """Its name."""


class SecretVolume(Model):
    """A Kubernetes Secret that exists in the agents' namespace; each key becomes a file."""

    secret_name: ObjectName
    """Its name. The agent's own ``secrets`` need no volume."""


_SOURCES = ("empty_dir", "persistent_volume_claim", "config_map", "secret")


class Volume(Model):
    """What is mounted into the pods that serve, from one of ``emptyDir``, ``persistentVolumeClaim``, ``configMap`` and
    ``secret``.
    """

    name: ObjectName
    """Unique in the pod."""
    mount_path: AgentMountPath
    """Where the agent finds it."""
    read_only: Flag = False
    """ConfigMaps and Secrets always are."""
    empty_dir: EmptyDir | None = None
    """A folder that lives as long as its pod."""
    persistent_volume_claim: PersistentVolumeClaim | None = None
    """Storage that remains."""
    config_map: ConfigMapVolume | None = None
    """Files of settings."""
    secret: SecretVolume | None = None
    """Files that are secret."""

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> Self:
        given = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            names = ", ".join(str(type(self).model_fields[name].alias) for name in given or _SOURCES)
            raise ValueError(f"write {'only ' if given else ''}one of {names}")
        if self.name in TAKEN_VOLUMES:
            raise ValueError(f"name {self.name} is a volume of every agent: choose another name")
        return self


def _distinct(volumes: tuple[Volume, ...]) -> tuple[Volume, ...]:
    for field, alias in (("name", "name"), ("mount_path", "mountPath")):
        values = [getattr(volume, field) for volume in volumes]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ValueError(f"{alias} {', '.join(twice)} is there twice: change one")
    return volumes


class Pod(Model):
    """Where an agent's pods run, and what is mounted into those that serve."""

    node_selector: dict[LabelName, LabelValue] = Field(default_factory=dict)
    """Labels that a node has to have; of all pods of the agent, Jobs included."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that do not keep them away; of all pods of the agent, Jobs included."""
    annotations: Annotations = Field(default_factory=dict)
    """Of the pods that serve."""
    priority_class: PriorityClass | None = None
    """A PriorityClass that exists in the cluster, for the pods that serve."""
    ephemeral_storage: Memory | None = None
    """How much ``/tmp`` holds, and what is reserved for it on the node. Unless set, 64Mi that are not reserved."""
    volumes: Annotated[tuple[Volume, ...], AfterValidator(_distinct)] = ()
    """Further ones of the pods that serve."""
    init_containers: tuple[InitContainer, ...] = ()
    """What runs in the pods that serve before the agent, one after the other."""
    sidecars: tuple[Sidecar, ...] = ()
    """What runs in the pods that serve beside the agent, and already beside ``initContainers``."""

    @model_validator(mode="after")
    def _containers_are_distinct_and_mount_what_is_there(self) -> Self:
        containers = (*self.sidecars, *self.init_containers)
        names = ["agent", *(each.name for each in containers)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"containers {', '.join(twice)} are there twice (agent is the agent's own): change a name"
            )
        volumes = {volume.name for volume in self.volumes}
        for container in containers:
            unknown = [mount.name for mount in container.volume_mounts if mount.name not in volumes]
            if unknown:
                raise ValueError(
                    f"container {container.name} mounts {', '.join(unknown)}, and volumes has"
                    f" {', '.join(sorted(volumes)) or 'none'}: add it there"
                )
        return self
