"""What the service asks of whatever keeps crons."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from langgraph_agents_service.persistence.registry.base import Json, Owner, Run, now

SORTS = (
    "cron_id",
    "assistant_id",
    "thread_id",
    "created_at",
    "updated_at",
    "next_run_date",
    "end_time",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A run that is made whenever its schedule is due."""

    cron_id: str
    assistant_id: str
    schedule: str
    payload: Json
    """What its runs are asked, as a request that makes a run says it."""
    owner: str = ""
    """The name of the owner that made it, which its runs and threads belong to."""
    user: Json | None = None
    """On whose behalf its runs execute, where a project has its own authentication."""
    configurable: Mapping[str, str] = field(default_factory=dict)
    """What its runs are given of the headers of the request that made it."""
    thread_id: str | None = None
    """None: each run has a thread of its own."""
    on_run_completed: str | None = None
    """What becomes of such a thread: `delete` or `keep`."""
    timezone: str | None = None
    """None: UTC."""
    end_time: datetime | None = None
    enabled: bool = True
    metadata: Json = field(default_factory=dict)
    next_run_date: datetime | None = None
    """None: it is never due again."""
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class CronSearch:
    assistant_id: str | None = None
    thread_id: str | None = None
    enabled: bool | None = None
    metadata: Json = field(default_factory=dict)


class TakenAwayError(Exception):
    """The cron was changed or deleted since it was taken, or held for too long."""


class Firing(Protocol):
    """A cron that is due, held by this process alone. Its next time is set at the end at the latest."""

    @property
    def cron(self) -> Cron: ...

    async def enter(self, run: Run, owner: Owner, *, create_thread: bool) -> None:
        """Enter its run. With PostgreSQL that and the next time come to be together, or neither does. Raises
        ThreadBusyError, NotFoundError, TakenAwayError."""


class Crons(Protocol):
    """Methods that take an owner raise NotFoundError for what belongs to someone else."""

    async def create(self, cron: Cron, owner: Owner) -> Cron:
        """Raises NotFoundError if its thread is not the owner's."""

    async def get(self, cron_id: str, owner: Owner) -> Cron: ...

    async def update(self, cron_id: str, owner: Owner, changes: Mapping[str, Any]) -> Cron:
        """Set fields of Cron by their names; `metadata` and `payload` are merged into what there is."""

    async def delete(self, cron_id: str, owner: Owner) -> None: ...

    async def search(
        self,
        owner: Owner,
        search: CronSearch,
        *,
        limit: int,
        offset: int,
        sort_by: str = "created_at",
        descending: bool = True,
    ) -> list[Cron]: ...

    async def count(self, owner: Owner, search: CronSearch) -> int: ...

    async def delete_of_assistant(self, assistant_id: str) -> None:
        """Delete the crons of an assistant that is deleted."""

    def due(self) -> AbstractAsyncContextManager[Firing | None]:
        """Take one that is due; no other process has it meanwhile. None: there is none."""
