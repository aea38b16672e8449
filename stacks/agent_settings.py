"""What a stack file says of one agent. Everything but its name and host may come from the stack's ``defaults``."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from stacks.aws_vocabulary import Arn, IamAction, SecretArn
from stacks.container_settings import Resources, Variables
from stacks.pod_settings import Egress, Pod
from stacks.vocabulary import (
    Checkpointer,
    CheckpointHistory,
    CronSchedule,
    Days,
    Durability,
    EnvName,
    Flag,
    Fqdn,
    ImageReference,
    KeyPrefix,
    LogLevel,
    Model,
    ModelName,
    MultitaskStrategy,
    Name,
    Percent,
    ProjectPath,
    Runtime,
    SecretSource,
    Whole,
)

#: Seconds that a stopping service needs after its last run: flushing traces, closing pools, and a little to spare.
SHUTDOWN_MARGIN = 10


#: The most seconds that a stopping pod may take.
LONGEST_GRACE = 4200


#: The fewest PostgreSQL connections that a pod may be given at most.
LEAST_POOL = 2


class Replicas(Model):
    """How many pods the HorizontalPodAutoscaler may run."""

    min: Annotated[Whole, Field(ge=1, le=1000)] = 1
    """The fewest pods."""
    max: Annotated[Whole, Field(ge=1, le=1000)] = 3
    """The most pods."""

    @model_validator(mode="after")
    def _min_is_at_most_max(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: lower min or raise max")
        return self


class WorkerReplicas(Replicas):
    """How many pods the autoscaler may run."""

    min: Annotated[Whole, Field(ge=0, le=1000)] = 1
    """The fewest pods. 0 with ``autoscaling.queue`` and outside production: the first run starts the first pod."""


class Autoscaling(Model):
    """What the autoscaler aims at: whichever asks for most pods counts."""

    cpu: Percent = 70
    """Average CPU use, in percent of the requests."""
    memory: Percent = 80
    """Average memory use, likewise."""
    queue: Annotated[Whole, Field(ge=1, le=1000)] | None = None
    """Runs that wait or execute, a pod, such as 10: KEDA adds pods where there are more. Unless set, they do not
    count."""


class Pool(Model):
    """The PostgreSQL connections that one pod keeps."""

    min_size: Annotated[Whole, Field(ge=0, le=100)] = 1
    """Kept open when idle."""
    max_size: Annotated[Whole, Field(ge=LEAST_POOL, le=100)] = 10
    """Never exceeded; more requests wait."""

    @model_validator(mode="after")
    def _min_is_at_most_max(self) -> Self:
        if self.min_size > self.max_size:
            raise ValueError(f"minSize {self.min_size} is above maxSize {self.max_size}: lower minSize")
        return self


class Lifetimes(Model):
    """How long things may take, in seconds."""

    run_timeout: Annotated[Whole, Field(ge=1, le=3600)] = 300
    """The longest run, after which the agent ends it."""
    pre_stop: Annotated[Whole, Field(ge=0, le=300)] = 10
    """How long a stopping pod goes on as before, while load balancers learn that it leaves."""
    grace_period: Annotated[Whole, Field(ge=1, le=LONGEST_GRACE)] = 330
    """terminationGracePeriodSeconds: when a stopping pod is killed."""

    @model_validator(mode="after")
    def _a_pod_outlives_its_longest_run(self) -> Self:
        needed = self.pre_stop + self.run_timeout + SHUTDOWN_MARGIN
        if self.grace_period < needed:
            raise ValueError(
                f"gracePeriod {self.grace_period} must be at least preStop {self.pre_stop} + runTimeout"
                f" {self.run_timeout} + {SHUTDOWN_MARGIN} for shutting down, or a rollout would kill running requests:"
                f" set it to {needed} or more"
            )
        return self


class RateLimit(Model):
    """What the ingress lets one client address ask of an agent."""

    average: Annotated[Whole, Field(ge=1, le=100_000)] = 100
    """Requests a second, sustained."""
    burst: Annotated[Whole, Field(ge=1, le=100_000)] = 200
    """Requests at once."""

    @model_validator(mode="after")
    def _burst_is_at_least_average(self) -> Self:
        if self.burst < self.average:
            raise ValueError(f"burst {self.burst} is below average {self.average}: raise burst")
        return self


class Retention(Model):
    """When idle threads are removed."""

    idle_days: Days = 30
    """Threads without a checkpoint for longer are removed."""
    schedule: CronSchedule = "17 3 * * *"
    """When the CronJob runs, in UTC."""


class AgentSecret(Model):
    """A secret of an agent, mounted as the file ``<name>``."""

    name: EnvName
    """The file's name, and the variable that the agent's libraries know it by."""
    source: SecretSource = SecretSource.CONFIG
    """Where the value comes from."""
    arn: SecretArn | None = None
    """The entry, where ``source`` is ``existing``. One under a KMS key of yours needs that key's policy to admit the
    agent's role."""

    @model_validator(mode="after")
    def _an_arn_goes_with_existing(self) -> Self:
        if self.source is SecretSource.EXISTING and self.arn is None:
            raise ValueError("source existing needs arn, the full ARN of the entry")
        if self.source is not SecretSource.EXISTING and self.arn is not None:
            raise ValueError(f"arn goes with source existing, not {self.source}: change source or remove arn")
        return self


class Permission(Model):
    """What an agent's pods may do in AWS: a statement that allows, in the terms of IAM."""

    actions: Annotated[tuple[IamAction, ...], Field(min_length=1)]
    """Such as ``s3:GetObject``."""
    resources: Annotated[tuple[Arn, ...], Field(min_length=1)]
    """ARNs that they act on, such as ``arn:aws:s3:::reports/*``."""

    @model_validator(mode="after")
    def _wild_actions_have_named_resources(self) -> Self:
        wild = [action for action in self.actions if "*" in action]
        if wild and "*" in self.resources:
            raise ValueError(
                f"actions {', '.join(wild)} on resources *: name the actions, or the resources they act on"
            )
        return self


class Workers(Model):
    """Pods that execute an agent's runs, so that those of the agent itself only answer requests. Their
    ``terminationGracePeriodSeconds`` is the agent's."""

    replicas: WorkerReplicas = WorkerReplicas()
    """How many pods."""
    autoscaling: Autoscaling = Autoscaling()
    """What the autoscaler aims at."""
    resources: Resources = Resources()
    """What each pod gets."""
    pool: Pool = Pool()
    """PostgreSQL connections of a pod."""


class AgentDefaults(Model):
    """Settings of an agent that the stack's ``defaults`` may set for all of them."""

    source: ProjectPath | None = None
    """A LangGraph project, the folder of its ``langgraph.json`` or that file: the agent's image is made of it."""
    image: ImageReference | None = None
    """A ready image, by digest, or by a tag whose digest is asked for at each deployment. Without it and ``source`` the
    stack builds ``image.context``."""
    runtime: Runtime = Runtime.SERVICE
    """What serves its graphs: ``service`` is this project's own, ``langgraph-server`` is LangGraph's Agent Server,
    which wants a licence: docs/agent-server.md."""
    model: ModelName = "fake"
    """The model that the agent speaks to."""
    max_iterations: Annotated[Whole, Field(ge=1, le=1000)] = 25
    """LangGraph's recursion limit."""
    log_level: LogLevel = LogLevel.INFO
    """How much the agent logs."""
    checkpointer: Checkpointer = Checkpointer.POSTGRES
    """Where checkpoints go."""
    checkpoint_ttl: Annotated[Whole, Field(ge=60, le=31_536_000)] = 3600
    """Seconds that the ``valkey`` checkpointer keeps a thread."""
    checkpoint_history: CheckpointHistory = CheckpointHistory.ALL
    """Which checkpoints of a thread stay between its runs. ``keep_latest`` needs the ``postgres`` checkpointer."""
    durability: Durability = Durability.ASYNC
    """When checkpoints are written."""
    multitask_strategy: MultitaskStrategy = MultitaskStrategy.ENQUEUE
    """What a second run on a busy thread gets, where the client does not say."""
    max_request_bytes: Annotated[Whole, Field(ge=1024, le=100 * 2**20)] = 16_777_216
    """The largest request body."""
    requests_per_minute: Annotated[Whole, Field(ge=1, le=1_000_000)] = 600
    """What one API key may ask of one pod."""
    cors_origins: tuple[str, ...] = ()
    """Origins that browsers may call from; closed when empty."""
    replicas: Replicas = Replicas()
    """How many pods."""
    autoscaling: Autoscaling = Autoscaling()
    """What the autoscaler aims at."""
    resources: Resources = Resources()
    """What each pod gets."""
    pool: Pool = Pool()
    """PostgreSQL connections of a pod."""
    workers: Workers | None = None
    """Pods of their own that execute runs: ``{}`` for those of default size. Without them, the pods that answer do."""
    spot: Flag = False
    """Its pods may run on Spot instances, with ``compute: karpenter``: cheaper, and taken back by AWS at two minutes'
    notice. A run that takes longer than what is left of them is begun anew by another pod from its last checkpoint."""
    lifetimes: Lifetimes = Lifetimes()
    """Longest run and shutdown."""
    rate_limit: RateLimit = RateLimit()
    """At the ingress."""
    retention: Retention = Retention()
    """Of idle threads."""
    env: Variables = Field(default_factory=dict)
    """Further plain variables."""
    permissions: tuple[Permission, ...] = ()
    """What its pods may do in AWS besides. A model of Bedrock needs nothing here: calling it is allowed."""
    egress: tuple[Egress, ...] = ()
    """Networks that its pods may connect to besides."""
    pod: Pod = Pod()
    """Where its pods run, and what is mounted into them."""
    secrets: tuple[AgentSecret, ...] = (AgentSecret(name="API_KEYS", source=SecretSource.GENERATED),)
    """The agent's secrets. ``API_KEYS`` are the keys that its callers send as X-API-Key."""

    @model_validator(mode="after")
    def _an_image_comes_from_one_place(self) -> Self:
        if self.source is not None and self.image is not None:
            raise ValueError(
                f"image and source are both there: remove image, and {self.source} is built, or remove source"
            )
        return self


class Agent(AgentDefaults):
    """One agent."""

    name: Name
    """Names its Kubernetes objects, its database, its login and its key prefix."""
    renamed_from: Name | None = None
    """The first name it had, which its data keeps: database, login, key prefix, entries of Secrets Manager, IAM roles.
    It stays here for good, also when the agent is renamed again: docs/preview.md."""
    host: Fqdn
    """Where it answers: https://<host>."""
    key_prefix: KeyPrefix = Field(
        default_factory=lambda data: str(data.get("renamed_from") or data.get("name", ""))
    )
    """Its keys in the cache begin with this and a colon; its first name unless set."""

    @property
    def data_name(self) -> str:
        """The name of its data, and of its resources in Pulumi: the first that the agent had."""
        return self.renamed_from or self.name

    @model_validator(mode="after")
    def _the_checkpointer_can_shorten_threads(self) -> Self:
        if (
            self.checkpoint_history is CheckpointHistory.KEEP_LATEST
            and self.checkpointer is not Checkpointer.POSTGRES
        ):
            raise ValueError(
                f"checkpointHistory keep_latest needs checkpointer postgres, and it is {self.checkpointer}: remove"
                " checkpointHistory, or change the checkpointer"
            )
        return self

    @property
    def fleets(self) -> "Mapping[str, Agent | Workers]":
        """What scales by itself, by what its fields begin with below the agent's."""
        return {"": self} if self.workers is None else {"": self, "workers.": self.workers}

    @property
    def scales_by_queue(self) -> bool:
        """Whether KEDA scales any of its pods."""
        return any(fleet.autoscaling.queue for fleet in self.fleets.values())

    @property
    def images(self) -> tuple[str, ...]:
        """All images that its pods name."""
        companions = tuple(each.image for each in (*self.pod.sidecars, *self.pod.init_containers))
        return (self.image, *companions) if self.image else companions
