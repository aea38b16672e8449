"""The bodies of requests. What is not supported is refused by name, never ignored."""

from datetime import datetime
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from langgraph_agents_service.persistence.registry.base import RunStatus, ThreadStatus
from langgraph_agents_service.projects.config import Minutes

StreamMode = Literal[
    "values", "updates", "messages", "messages-tuple", "custom", "tasks", "checkpoints", "debug", "events"
]


def _not_of_the_protocol(given: Any) -> Any:
    for mode in given if isinstance(given, list) else [given]:
        if mode in ("tools", "lifecycle"):
            raise ValueError(f"{mode} is a channel of threads.stream, and no run streams it otherwise")
    return given


StreamModes = Annotated[StreamMode | list[StreamMode], BeforeValidator(_not_of_the_protocol)]
Names = Literal["*"] | list[str]
Metadata = dict[str, Any]


Webhook = Annotated[str, Field(min_length=1, max_length=100_000)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Config(Body):
    """What of a `RunnableConfig` can travel: all but its callbacks."""

    # Factories, because pydantic makes a deep copy of a default.
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)
    run_name: str | None = None
    run_id: UUID | None = Field(None, description="Taken, and not used: a run has an id of its own.")
    max_concurrency: int | None = Field(None, ge=1)
    recursion_limit: int | None = Field(None, ge=1)
    configurable: dict[str, Any] = Field(default_factory=dict)

    @field_validator("configurable")
    @classmethod
    def _not_internal(cls, value: dict[str, Any]) -> dict[str, Any]:
        internal = sorted(key for key in value if key.startswith("__"))
        if internal:
            raise ValueError(f"{', '.join(internal)} is LangGraph's own; leave it out")
        return value


class Checkpoint(Body):
    thread_id: UUID | None = None
    checkpoint_ns: str = ""
    checkpoint_id: UUID | None = None
    checkpoint_map: dict[str, Any] | None = None


class Send(Body):
    node: str
    input: Any = None


class Command(Body):
    """How a run that waits for somebody goes on."""

    resume: Any = None
    update: dict[str, Any] | list[tuple[str, Any]] | None = None
    goto: str | Send | list[str | Send] | None = None


class Question(Body):
    """What every run is asked."""

    input: Any = None
    command: Command | None = None
    config: Config = Field(default_factory=Config)


class LangSmithTracer(Body):
    """The project of LangSmith, and the example there, that a run is traced to besides the service's own."""

    project_name: str | None = None
    example_id: str | None = None


class RunCreate(Question):
    assistant_id: str = Field(description="Name of the graph, or id of its assistant.")
    stream_mode: StreamModes = ["values"]
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    metadata: Metadata = {}
    context: dict[str, Any] | None = None
    checkpoint: Checkpoint | None = None
    checkpoint_id: UUID | None = None
    interrupt_before: Names | None = None
    interrupt_after: Names | None = None
    multitask_strategy: Literal["reject", "enqueue", "interrupt", "rollback"] | None = None
    if_not_exists: Literal["create", "reject"] = "reject"
    on_disconnect: Literal["cancel", "continue"] = "continue"
    durability: Literal["sync", "async", "exit"] | None = None
    checkpoint_during: bool | None = Field(None, description="Before there was `durability`: async or exit.")
    after_seconds: float = Field(0, ge=0, le=366 * 86_400, description="Start the run only then.")
    feedback_keys: list[str] | None = Field(None, max_length=100)
    langsmith_tracer: LangSmithTracer | None = None
    webhook: Webhook | None = Field(None, description="Is sent a POST when the run has ended.")

    @property
    def modes(self) -> list[str]:
        given = self.stream_mode if isinstance(self.stream_mode, list) else [self.stream_mode]
        return [str(mode) for mode in given]


RunField = Literal[
    "run_id",
    "thread_id",
    "assistant_id",
    "created_at",
    "updated_at",
    "status",
    "metadata",
    "kwargs",
    "multitask_strategy",
]


class StatelessRunCreate(RunCreate):
    on_completion: Literal["delete", "keep"] = Field("delete", description="What becomes of its thread.")


class CronRun(Question):
    """What each run of a cron is asked."""

    assistant_id: str = Field(description="Name of the graph, or id of its assistant.")
    stream_mode: StreamModes = ["values"]
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    context: dict[str, Any] | None = None
    interrupt_before: Names | None = None
    interrupt_after: Names | None = None
    multitask_strategy: Literal["reject", "enqueue", "interrupt", "rollback"] | None = None
    durability: Literal["sync", "async", "exit"] | None = None
    checkpoint_during: bool | None = Field(None, description="Before there was `durability`: async or exit.")
    webhook: Webhook | None = None


class ThreadCronCreate(CronRun):
    schedule: str = Field(
        description="Minute, hour, day of month, month, day of week, as crontab has them.", max_length=200
    )
    timezone: str | None = Field(None, description="IANA name; UTC if there is none.", max_length=100)
    end_time: datetime | None = Field(None, description="No run is made after this.")
    enabled: bool = True
    metadata: Metadata = {}


class CronCreate(ThreadCronCreate):
    on_run_completed: Literal["delete", "keep"] = Field(
        "delete", description="What becomes of the thread that each run has of its own."
    )


class CronUpdate(Body):
    """What changes of a cron; all else stays."""

    schedule: str | None = Field(None, max_length=200)
    timezone: str | None = Field(None, max_length=100)
    end_time: datetime | None = Field(None, description="null: none any more.")
    enabled: bool | None = None
    on_run_completed: Literal["delete", "keep"] | None = None
    metadata: Metadata | None = None
    input: Any = None
    config: Config | None = None
    context: dict[str, Any] | None = None
    stream_mode: StreamMode | list[StreamMode] | None = None
    stream_subgraphs: bool | None = None
    stream_resumable: bool | None = None
    interrupt_before: Names | None = None
    interrupt_after: Names | None = None
    durability: Literal["sync", "async", "exit"] | None = None
    webhook: Webhook | None = None


CronField = Literal[
    "cron_id",
    "assistant_id",
    "thread_id",
    "on_run_completed",
    "end_time",
    "schedule",
    "timezone",
    "created_at",
    "updated_at",
    "payload",
    "user_id",
    "next_run_date",
    "metadata",
    "enabled",
]


class CronCount(Body):
    assistant_id: UUID | None = None
    thread_id: UUID | None = None
    metadata: Metadata | None = None


class CronSearchQuery(CronCount):
    enabled: bool | None = None
    limit: int = Field(10, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=2**31)
    sort_by: (
        Literal[
            "cron_id",
            "assistant_id",
            "thread_id",
            "next_run_date",
            "end_time",
            "created_at",
            "updated_at",
        ]
        | None
    ) = None
    sort_order: Literal["asc", "desc"] | None = None
    select: list[CronField] | None = None


class RunsCancel(Body):
    """Of one thread these runs, or all of a status."""

    thread_id: UUID | None = None
    run_ids: list[UUID] | None = Field(None, max_length=1000)
    status: Literal["pending", "running", "all"] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "RunsCancel":
        if self.status and (self.thread_id or self.run_ids):
            raise ValueError(
                "status: cancels runs of all threads; leave thread_id and run_ids out, or status"
            )
        if not self.status and not (self.thread_id and self.run_ids):
            raise ValueError("thread_id, run_ids: give both, or status")
        return self


class Invoke(Question):
    """The simple case: one question, one answer."""

    assistant_id: str | None = Field(None, description="Default: the first graph of langgraph.json.")
    thread_id: UUID | None = Field(None, description="Conversation to go on with; made if there is none.")


class Interrupt(BaseModel):
    id: str
    value: Any


class Answer(BaseModel):
    output: Any
    thread_id: str | None
    run_id: str
    interrupts: list[Interrupt] = Field(description="What the graph waits for; answer with `command.resume`.")


class Ttl(Body):
    """How long a thread stays after its last change."""

    ttl: Minutes = Field(description="Minutes.")
    strategy: Literal["delete", "keep_latest"] = "delete"


class StepUpdate(Body):
    values: dict[str, Any] | list[dict[str, Any]] | None = None
    command: Command | None = None
    as_node: str | None = None


class Superstep(Body):
    updates: list[StepUpdate] = Field(min_length=1, max_length=1000)


class ThreadPrune(Body):
    thread_ids: list[UUID] = Field(max_length=1000)
    strategy: Literal["delete", "keep_latest"] = "delete"


class ThreadCreate(Body):
    thread_id: UUID | None = None
    metadata: Metadata | None = None
    if_exists: Literal["raise", "do_nothing"] = "raise"
    ttl: Ttl | None = None
    supersteps: list[Superstep] | None = Field(None, max_length=1000)


class ThreadUpdate(Body):
    metadata: Metadata | None = None
    ttl: Ttl | None = None


class ThreadCount(Body):
    metadata: Metadata | None = None
    values: dict[str, Any] | None = Field(None, description="What the state holds. It is not indexed.")
    status: ThreadStatus | None = None


ThreadField = Literal[
    "thread_id",
    "created_at",
    "updated_at",
    "state_updated_at",
    "metadata",
    "config",
    "context",
    "status",
    "error",
    "values",
    "interrupts",
]


Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
ThreadPath = Annotated[
    str,
    Field(
        pattern=r"^(values|metadata|config|interrupts|error)([.][^.\[\]]+|\[-?[0-9]{1,9}\])*$", max_length=500
    ),
]
"""Where a value stands in a thread, e.g. `values.messages[-1].content`."""


class ThreadSearch(ThreadCount):
    ids: list[UUID] | None = Field(None, max_length=1000)
    limit: int = Field(10, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=2**31)
    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] | None = None
    sort_order: Literal["asc", "desc"] | None = None
    select: list[ThreadField] | None = None
    extract: dict[Name, ThreadPath] | None = Field(None, max_length=10)

    @field_validator("extract")
    @classmethod
    def _not_of_the_thread(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        taken = sorted(set(value or ()) & set(get_args(ThreadField)))
        if taken:
            raise ValueError(f"{', '.join(taken)}: a thread has this already; choose another name")
        return value


class StateUpdate(Body):
    values: dict[str, Any] | list[dict[str, Any]] | None = None
    as_node: str | None = None
    checkpoint: Checkpoint | None = None
    checkpoint_id: UUID | None = None


class StateQuery(Body):
    checkpoint: Checkpoint
    subgraphs: bool = False
    select: list[str] | None = None


class HistoryQuery(Body):
    limit: int = Field(10, ge=1, le=1000)
    before: Checkpoint | UUID | None = None
    metadata: Metadata | None = None
    checkpoint: Checkpoint | None = None
    select: list[str] | None = None


AssistantField = Literal[
    "assistant_id",
    "graph_id",
    "name",
    "description",
    "config",
    "context",
    "created_at",
    "updated_at",
    "metadata",
    "version",
]


class AssistantCount(Body):
    graph_id: str | None = None
    name: str | None = None
    metadata: Metadata | None = None


class AssistantSearch(AssistantCount):
    limit: int = Field(10, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=2**31)
    sort_by: Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"] | None = None
    sort_order: Literal["asc", "desc"] | None = None
    select: list[AssistantField] | None = None


class AssistantUpdate(Body):
    graph_id: str | None = None
    config: Config | None = None
    context: dict[str, Any] | None = None
    metadata: Metadata | None = None
    name: str | None = Field(None, max_length=1000)
    description: str | None = None


class AssistantCreate(AssistantUpdate):
    graph_id: str
    assistant_id: UUID | None = None
    if_exists: Literal["raise", "do_nothing"] = "raise"


class AssistantVersions(Body):
    metadata: Metadata | None = None
    limit: int = Field(10, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=2**31)


class AssistantLatest(Body):
    version: int = Field(ge=1, le=2**31 - 1)


Limit = Annotated[int, Field(ge=1, le=1000)]
Offset = Annotated[int, Field(ge=0, le=2**31)]
RunStatusFilter = RunStatus | None
