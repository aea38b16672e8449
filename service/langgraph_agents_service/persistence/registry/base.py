"""What the service asks of a registry of threads and runs, whatever keeps it."""

import asyncio
from collections.abc import AsyncIterator, Sequence, Set
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol
from weakref import WeakValueDictionary

from langgraph_agents_service.persistence.registry.filters import Filter

Json = dict[str, Any]

ATTEMPT_STRIDE = 1_000_000
"""Event numbers of an attempt start at attempt x stride, so that they rise over all attempts of a run."""


@dataclass(frozen=True, slots=True)
class Owner:
    """On whose behalf a registry is asked: it shows and changes what belongs to the name, and of that what `only`
    admits."""

    name: str
    """A digest of the key, never the key. The same for all users of a project's own authentication."""
    only: Filter | None = None
    """What the project's authorization says for this request; None: no more than the name."""

    def admits(self, metadata: Json) -> bool:
        """Whether something with this metadata is the owner's, given that its name is."""
        return self.only is None or self.only.admits(metadata)

    def owns(self, name: str, metadata: Json) -> bool:
        return name == self.name and self.admits(metadata)


class RunStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"

    @property
    def active(self) -> bool:
        return self in (RunStatus.PENDING, RunStatus.RUNNING)


class ThreadStatus(StrEnum):
    IDLE = "idle"
    BUSY = "busy"
    INTERRUPTED = "interrupted"
    ERROR = "error"


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Thread:
    thread_id: str
    owner: str
    """The name of the owner that made the thread."""
    metadata: Json = field(default_factory=dict)
    status: ThreadStatus = ThreadStatus.IDLE
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    state_updated_at: datetime = field(default_factory=now)
    config: Json = field(default_factory=dict)
    """Of its assistants and runs, as `of_thread` merges them."""
    error: Json | None = None
    """How its last run failed."""
    ttl_minutes: float | None = None
    """How long it stays after its last change; None: as long as the service's own settings say."""
    ttl_strategy: str | None = None


@dataclass(slots=True)
class Run:
    run_id: str
    thread_id: str
    assistant_id: str
    graph_id: str
    payload: Json
    """What the request asked for: input, command, config, stream modes and so on, as JSON."""
    owner: str = ""
    """Whose it is: the owner of its thread, on whichever process it executes."""
    metadata: Json = field(default_factory=dict)
    """Once it is entered, together with that of its assistant and thread."""
    assistant: Json = field(default_factory=dict)
    """`metadata` and `config` of its assistant, which stand below the thread's and its own."""
    multitask_strategy: str = "reject"
    status: RunStatus = RunStatus.RUNNING
    attempt: int = 1
    """Grows with every process that takes the run up, and fences off the ones before."""
    error: Json | None = None
    record_events: bool = False
    """Whether its events are kept for readers on other processes."""
    webhook: str | None = None
    """Who is told how it ended."""
    after_seconds: float = 0
    """How long it waits at least, from its entry on."""
    rollback: bool = False
    """Whether it is to be undone, instead of driven."""
    answered: bool = False
    """Whether an answer that it brings has been taken in, and may not be given again."""
    fresh_thread: bool = False
    """Whether its thread was made together with it, and so has no checkpoints."""
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)

    @property
    def own_config(self) -> Json:
        """What its thread keeps of its config."""
        given = self.payload.get("config") or {}
        return {name: value for name, value in given.items() if name != "configurable"}


@dataclass(slots=True)
class Event:
    """One server-sent event of a run."""

    seq: int
    """Rises within a run, over all its attempts."""
    event: str
    data: bytes
    """JSON."""


@dataclass(slots=True)
class Orders:
    """Which runs this process still holds, and what others want of them."""

    held: set[str] | None = None
    """None: all that it thinks it holds."""
    cancel: set[str] = field(default_factory=set)
    rollback: set[str] = field(default_factory=set)
    """Of those to cancel, the ones to undo."""
    record: set[str] = field(default_factory=set)
    pending: int = 0
    """Runs that wait, in all."""
    elsewhere: int = 0
    """Runs that other processes execute, as far as this one can know."""


def of_thread(assistant: Json, thread: Json, run: Json) -> Json:
    """The config of a thread, when a run with a config begins on it. What the run alone is configured with stays its
    own."""
    configurable = {**(assistant.get("configurable") or {}), **(thread.get("configurable") or {})}
    return {**assistant, **thread, **run, "configurable": configurable}


class NotFoundError(Exception):
    """There is no such thread or run, or it belongs to another key."""


class ThreadBusyError(Exception):
    """Another run holds the thread."""


class ThreadExistsError(Exception):
    """The thread id is taken."""


class Changes:
    """One change of a thread at a time, among those of this process."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def alone(self, thread_id: str) -> AsyncIterator[None]:
        async with self._locks.setdefault(thread_id, asyncio.Lock()):
            yield


class Registry(Protocol):
    """Threads and runs. Methods that take an owner raise NotFoundError for what belongs to someone else."""

    durable: bool
    """Whether runs outlive the process that executes them."""

    hold_seconds: float
    """How long after it was renewed a process still holds its runs."""

    @property
    def worker_id(self) -> str | None:
        """What this process is called where others may take up its runs."""

    async def create_thread(self, thread: Thread, owner: Owner, *, reuse: bool) -> Thread:
        """Raises ThreadExistsError if the id is taken, unless `reuse` and the owner may have it."""

    async def get_thread(self, thread_id: str, owner: Owner) -> Thread: ...

    async def update_thread(
        self, thread_id: str, owner: Owner, metadata: Json, *, ttl: tuple[float, str] | None = None
    ) -> Thread:
        """Merge metadata into the thread's, and give it another life time: minutes and strategy."""

    async def search_threads(
        self,
        owner: Owner,
        *,
        metadata: Json | None = None,
        ids: Sequence[str] | None = None,
        status: ThreadStatus | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: str = "updated_at",
        descending: bool = True,
    ) -> list[Thread]: ...

    async def count_threads(
        self, owner: Owner, *, metadata: Json | None = None, status: ThreadStatus | None = None
    ) -> int: ...

    async def delete_thread(self, thread_id: str, owner: Owner) -> None:
        """Raises ThreadBusyError while a run is active."""

    async def set_thread_status(self, thread_id: str, status: ThreadStatus) -> None:
        """After its state has been changed other than by a run."""

    def alone(self, thread_id: str) -> AbstractAsyncContextManager[None]:
        """While a thread's state is changed other than by a run: nobody else does, on any process. Raises
        ThreadBusyError when it takes too long."""

    async def begin(
        self, run: Run, owner: Owner, *, create_thread: bool, start: bool, attended: bool = False
    ) -> Run:
        """Enter a run: running here if `start` and the thread is free, else pending. A thread that is made for it
        gets the run's metadata.

        By the strategies `interrupt` and `rollback` it takes the place of the thread's other active runs, which are
        cancelled, or undone, as `cancel_runs` has it.

        `attended`: a client waits for it, so that nothing is promised before its first checkpoint.

        Raises ThreadBusyError when the thread is not free and the run's strategy is `reject`.
        """

    async def claim(self, limit: int, graphs: Sequence[str]) -> list[Run]:
        """Take up to `limit` pending runs of these graphs whose threads are free, oldest first."""

    async def finish(
        self,
        run: Run,
        status: RunStatus,
        error: Json | None,
        thread_status: ThreadStatus,
        result: bytes | None = None,
    ) -> RunStatus | None:
        """End a run of this process. Returns how it ended: a run that was cancelled before is `interrupted`, whatever
        came of it. None if it is no longer its own.

        `result`: what its webhook is told besides, as JSON.
        """

    async def release(self, run: Run) -> None:
        """Give a run back, for another process to take up. It ends if it was cancelled, and where runs do not outlive
        their process."""

    def let_go(self, run: Run) -> None:
        """Hold a run no longer whose end could not be recorded."""

    async def give_back(self, run_ids: Set[str]) -> None:
        """Give back runs of this process that it does not execute, by their ids. That counts as an attempt that failed:
        who releases runs in order leaves none."""

    async def get_run(self, thread_id: str, run_id: str, owner: Owner) -> Run: ...

    async def list_runs(
        self, thread_id: str, owner: Owner, *, limit: int, offset: int, status: RunStatus | None
    ) -> list[Run]: ...

    async def delete_run(self, thread_id: str, run_id: str, owner: Owner) -> None:
        """With its checkpoints, where the registry keeps them. Raises ThreadBusyError while the run is active."""

    async def undo(self, run: Run) -> bool:
        """Delete a run of this process, and where the registry keeps them its checkpoints. False if the run is no
        longer its own."""

    async def cancel_runs(
        self,
        owner: Owner,
        *,
        thread_id: str | None = None,
        run_ids: Sequence[str] | None = None,
        assistant_id: str | None = None,
        statuses: Sequence[RunStatus] = (RunStatus.PENDING, RunStatus.RUNNING),
        rollback: bool = False,
    ) -> list[str]:
        """End those that wait of the active runs that fit, and ask whoever executes the others to stop; returns their
        ids. From then on each of them ends as cancelled, whatever becomes of its process. `rollback`: undo them,
        whoever executes them: each is deleted with its checkpoints."""

    async def ask_for_events(self, run_id: str) -> None:
        """Have the process that executes the run record its events."""

    async def add_events(self, run_id: str, events: Sequence[Event]) -> None: ...

    async def read_events(self, run_id: str, after: int) -> list[Event]: ...

    async def beat(self, executing: int = 0) -> Orders:
        """Say that this process lives and executes so many runs, and hear what others want of them."""

    async def renew(self) -> None:
        """Say that this process lives, and no more. May be called on another event loop than the rest."""

    async def reap(self) -> None:
        """Give back the runs of processes that have died."""

    async def retire(self) -> None:
        """Say that this process ends."""
