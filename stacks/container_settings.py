"""What a stack file says of a container: its size, and of those that run before or beside an agent's own."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from stacks.vocabulary import (
    Cpu,
    EnvName,
    Flag,
    ImageReference,
    Memory,
    Model,
    ObjectName,
    Port,
    Whole,
    matches,
    quantity,
    sounds_secret,
)


def _no_secret_in_env(env: dict[str, str]) -> dict[str, str]:
    for name in env:
        if sounds_secret(name):
            raise ValueError(
                f"{name} sounds like a secret, and env ends up in a ConfigMap in plain text:"
                f" declare it under secrets, as {{name: {name}}}"
            )
    return env


Variables = Annotated[dict[EnvName, str], AfterValidator(_no_secret_in_env)]
"""Plain variables by name."""

MountPath = Annotated[
    str,
    AfterValidator(
        matches(r"(/(?!\.\.?(/|$))[A-Za-z0-9._-]+)+", "write an absolute path other than /, such as /data")
    ),
]


class Resource(Model):
    """CPU and memory, as Kubernetes quantities."""

    cpu: Cpu
    """Cores or millicores."""
    memory: Memory
    """Bytes with a unit."""


class Resources(Model):
    """What each pod is promised, and what it may not exceed."""

    requests: Resource = Resource(cpu="500m", memory="1Gi")
    """What the scheduler reserves."""
    limits: Resource = Resource(cpu="1000m", memory="2Gi")
    """Where CPU is throttled and memory is killed."""

    @model_validator(mode="after")
    def _limits_are_at_least_requests(self) -> Self:
        for name in ("cpu", "memory"):
            requested, limit = getattr(self.requests, name), getattr(self.limits, name)
            if quantity(requested) > quantity(limit):
                raise ValueError(
                    f"requests.{name} {requested} is above limits.{name} {limit}: raise the limit"
                )
        return self


class HttpGet(Model):
    """A path that answers with 200 to 399."""

    path: Annotated[str, Field(pattern=r"^/")]
    """Such as /healthz."""
    port: Port
    """Where it is served."""


class TcpSocket(Model):
    """A port that takes connections."""

    port: Port
    """The port."""


class Exec(Model):
    """A command in the container that ends with 0."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    """The program and its arguments."""


_CHECKS = ("http_get", "tcp_socket", "exec")


class Probe(Model):
    """How the kubelet asks a container, by one of ``httpGet``, ``tcpSocket`` and ``exec``."""

    http_get: HttpGet | None = None
    """A path that answers."""
    tcp_socket: TcpSocket | None = None
    """A port that takes connections."""
    exec: Exec | None = None
    """A command that succeeds."""
    initial_delay_seconds: Annotated[Whole, Field(ge=0, le=3600)] = 0
    """How long it waits first."""
    period_seconds: Annotated[Whole, Field(ge=1, le=3600)] = 10
    """How often it asks."""
    timeout_seconds: Annotated[Whole, Field(ge=1, le=3600)] = 1
    """How long an answer may take."""
    failure_threshold: Annotated[Whole, Field(ge=1, le=1000)] = 3
    """How many failures count."""

    @model_validator(mode="after")
    def _asks_in_one_way(self) -> Self:
        given = [name for name in _CHECKS if getattr(self, name) is not None]
        if len(given) != 1:
            names = ", ".join(str(type(self).model_fields[name].alias) for name in given or _CHECKS)
            raise ValueError(f"write {'only ' if given else ''}one of {names}")
        return self


class VolumeMount(Model):
    """One of ``pod.volumes`` in a further container."""

    name: ObjectName
    """The volume's."""
    mount_path: MountPath
    """Where the container finds it."""
    read_only: Flag = False
    """ConfigMaps and Secrets always are."""


class InitContainer(Model):
    """A container that runs to its end before the agent's own starts, as the agent's user, on a read-only root."""

    name: ObjectName
    """Unique in the pod."""
    image: ImageReference
    """By tag or digest, as an agent's."""
    command: tuple[str, ...] = ()
    """In the place of the image's entry point."""
    args: tuple[str, ...] = ()
    """In the place of the image's arguments."""
    env: Variables = Field(default_factory=dict)
    """Plain variables; it gets none of the agent's."""
    resources: Resources
    """What it gets; the pod is as large as what runs at once."""
    volume_mounts: tuple[VolumeMount, ...] = ()
    """Of ``pod.volumes``."""


class Sidecar(InitContainer):
    """A container beside the agent's own: it starts before, and ends after it."""

    liveness_probe: Probe
    """Restarts it when it hangs."""
    readiness_probe: Probe
    """The pod gets requests when it is ready, too."""
