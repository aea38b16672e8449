"""Threads and runs in PostgreSQL: what makes runs outlive their process and exclude each other across pods.

A process holds its runs by a lease: it beats, and what a silent process held goes back to `pending`. The runs
of a process carry its id and an attempt number, and every statement that ends or gives back a run names both,
so that a process that was only thought dead cannot touch what another one has taken up.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence, Set
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import orjson
from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from langgraph_agents_service.persistence.batcher import Batcher
from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.persistence.registry import statements
from langgraph_agents_service.persistence.registry.base import (
    Changes,
    Event,
    Json,
    NotFoundError,
    Orders,
    Owner,
    Run,
    RunStatus,
    Thread,
    ThreadBusyError,
    ThreadExistsError,
    ThreadStatus,
)
from langgraph_agents_service.persistence.registry.owned import one, owned

SCHEMA = files("langgraph_agents_service.persistence.registry").joinpath("schema.sql").read_text()

_Begin = tuple[Run, Owner, bool, bool]
_Finish = tuple[Run, RunStatus, Json | None, ThreadStatus, bytes | None]


class PostgresRegistry:
    """See Registry in base.py. Raises psycopg.OperationalError when the database stays away."""

    durable = True

    def __init__(
        self, database: Database, *, lease_seconds: float, max_attempts: int, relaxed: bool = True
    ) -> None:
        self.worker_id = str(uuid.uuid4())
        self._database = database
        self.hold_seconds = lease_seconds
        self._max_attempts = max_attempts
        self._healthy_since: float | None = None
        self._changes = Changes()
        self._begins: Batcher[_Begin, DictRow] = Batcher(
            lambda items: self._flush_begins(items, statements.BEGIN_RUNS)
        )
        self._attended_begins: Batcher[_Begin, DictRow] = Batcher(
            lambda items: self._flush_begins(
                items, statements.BEGIN_RUNS_RELAXED if relaxed else statements.BEGIN_RUNS
            )
        )
        self._finish = statements.FINISH_RUNS_RELAXED if relaxed else statements.FINISH_RUNS
        self._finishes: Batcher[_Finish, RunStatus | None] = Batcher(self._flush_finishes)
        self._events: Batcher[tuple[str, Event], None] = Batcher(self._flush_events)

    # Threads

    async def create_thread(self, thread: Thread, owner: Owner, *, reuse: bool) -> Thread:
        rows = await self._database.fetch(
            statements.CREATE_THREAD,
            (thread.thread_id, thread.owner, Jsonb(thread.metadata), thread.ttl_minutes, thread.ttl_strategy),
        )
        if rows:
            return _thread(rows[0])
        if not reuse:
            raise ThreadExistsError
        try:
            return await self.get_thread(thread.thread_id, owner)
        except NotFoundError:
            raise ThreadExistsError from None

    async def get_thread(self, thread_id: str, owner: Owner) -> Thread:
        rows = await self._database.fetch(statements.GET_THREAD, owned(owner, thread_id=thread_id))
        return _thread(one(rows))

    async def update_thread(
        self, thread_id: str, owner: Owner, metadata: Json, *, ttl: tuple[float, str] | None = None
    ) -> Thread:
        minutes, strategy = ttl or (None, None)
        rows = await self._database.fetch(
            statements.UPDATE_THREAD,
            owned(
                owner,
                thread_id=thread_id,
                metadata=Jsonb(metadata),
                ttl_minutes=minutes,
                ttl_strategy=strategy,
            ),
        )
        return _thread(one(rows))

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
    ) -> list[Thread]:
        rows = await self._database.fetch(
            statements.search_threads(sort_by, descending),
            owned(
                owner,
                metadata=Jsonb(metadata or {}),
                ids=list(ids) if ids is not None else None,
                status=status,
                limit=limit,
                offset=offset,
            ),
        )
        return [_thread(row) for row in rows]

    async def count_threads(
        self, owner: Owner, *, metadata: Json | None = None, status: ThreadStatus | None = None
    ) -> int:
        rows = await self._database.fetch(
            statements.COUNT_THREADS, owned(owner, metadata=Jsonb(metadata or {}), status=status)
        )
        return int(rows[0]["count"])

    async def delete_thread(self, thread_id: str, owner: Owner) -> None:
        rows = await self._database.fetch(statements.DELETE_THREAD, owned(owner, thread_id=thread_id))
        if not rows:
            await self.get_thread(thread_id, owner)
            raise ThreadBusyError

    async def set_thread_status(self, thread_id: str, status: ThreadStatus) -> None:
        await self._database.fetch(statements.SET_THREAD_STATUS, (status, thread_id))

    @asynccontextmanager
    async def alone(self, thread_id: str) -> AsyncIterator[None]:
        async with self._changes.alone(thread_id), self._database.alone(f"agent_threads {thread_id}"):
            yield

    # Runs

    async def begin(
        self, run: Run, owner: Owner, *, create_thread: bool, start: bool, attended: bool = False
    ) -> Run:
        for _ in range(3):
            batcher = self._attended_begins if attended else self._begins
            row = await batcher.submit((run, owner, create_thread, start))
            if row["entered"]:
                return _entered(run, row)
            if row["known"] is None and create_thread:
                continue  # another process made the thread while this statement ran: look again
            _refuse(run, row)
            # The thread was taken while this statement ran: now it is seen as busy, and the run waits.
        raise ThreadBusyError

    async def enter(
        self, connection: AsyncConnection[DictRow], run: Run, owner: Owner, *, create_thread: bool
    ) -> None:
        """Enter a run that waits, as a part of the connection's transaction. Raises as `begin` does."""
        parameters = self._begun([(run, owner, create_thread, False)])
        cursor = await connection.execute(statements.BEGIN_RUNS, parameters)
        (row,) = await cursor.fetchall()
        if not row["entered"]:
            _refuse(run, row)
            raise ThreadBusyError
        _entered(run, row)

    async def _flush_begins(self, items: list[_Begin], statement: str) -> list[DictRow]:
        rows = await self._database.fetch(statement, self._begun(items), patient=True)
        found = {str(row["run_id"]): row for row in rows}
        return [found[run.run_id] for run, *_ in items]

    def _begun(self, items: list[_Begin]) -> list[Any]:
        """The parameters of a statement that begins runs."""
        columns = zip(
            *[
                (
                    run.run_id,
                    run.thread_id,
                    owner.name,
                    orjson.dumps(owner.only.document()).decode() if owner.only else None,
                    run.assistant_id,
                    run.graph_id,
                    orjson.dumps(run.payload).decode(),
                    orjson.dumps(run.metadata).decode(),
                    orjson.dumps({"metadata": {}, "config": {}, **run.assistant}).decode(),
                    orjson.dumps(run.own_config).decode(),
                    run.multitask_strategy,
                    run.record_events,
                    create_thread,
                    start and not run.after_seconds,
                    run.multitask_strategy != "reject",
                    str(run.after_seconds),
                    run.webhook or "",
                )
                for run, owner, create_thread, start in items
            ],
            strict=True,
        )
        return [*[list(column) for column in columns], self.worker_id]

    async def claim(self, limit: int, graphs: Sequence[str]) -> list[Run]:
        try:
            rows = await self._database.fetch(statements.CLAIM_RUNS, (self.worker_id, list(graphs), limit))
        except UniqueViolation:  # another process was quicker on one of the threads
            return []
        return [_run(row) for row in rows]

    async def finish(
        self,
        run: Run,
        status: RunStatus,
        error: Json | None,
        thread_status: ThreadStatus,
        result: bytes | None = None,
    ) -> RunStatus | None:
        return await self._finishes.submit((run, status, error, thread_status, result))

    async def _flush_finishes(self, items: list[_Finish]) -> list[RunStatus | None]:
        columns = zip(
            *[
                (
                    run.run_id,
                    run.attempt,
                    status,
                    orjson.dumps(error).decode() if error else "",
                    thread,
                    result.decode() if result else "",
                )
                for run, status, error, thread, result in items
            ],
            strict=True,
        )
        rows = await self._database.fetch(
            self._finish,
            [*[list(column) for column in columns], self.worker_id],
            patient=True,
        )
        recorded = {str(row["run_id"]): RunStatus(row["recorded"]) for row in rows}
        return [recorded.get(run.run_id) for run, *_ in items]

    async def release(self, run: Run) -> None:
        await self._database.fetch(statements.RELEASE_RUN, (run.run_id, self.worker_id, run.attempt))

    def let_go(self, run: Run) -> None:
        return None  # the next beats find it, and give it back

    async def give_back(self, run_ids: Set[str]) -> None:
        if run_ids:
            names = {"run_ids": list(run_ids), "worker": self.worker_id, "max_attempts": self._max_attempts}
            await self._database.fetch(statements.GIVE_BACK_RUNS, names)

    async def get_run(self, thread_id: str, run_id: str, owner: Owner) -> Run:
        rows = await self._database.fetch(
            statements.GET_RUN, owned(owner, run_id=run_id, thread_id=thread_id)
        )
        return _run(one(rows))

    async def list_runs(
        self, thread_id: str, owner: Owner, *, limit: int, offset: int, status: RunStatus | None
    ) -> list[Run]:
        await self.get_thread(thread_id, owner)
        rows = await self._database.fetch(statements.LIST_RUNS, (thread_id, status, status, limit, offset))
        return [_run(row) for row in rows]

    async def delete_run(self, thread_id: str, run_id: str, owner: Owner) -> None:
        if (await self.get_run(thread_id, run_id, owner)).status.active:
            raise ThreadBusyError
        await self._database.fetch(statements.DELETE_RUN, {"run_id": run_id})

    async def undo(self, run: Run) -> bool:
        fence = {"run_id": run.run_id, "worker": self.worker_id, "attempt": run.attempt}
        return bool(await self._database.fetch(statements.UNDO_RUN, fence, patient=True))

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
        rows = await self._database.fetch(
            statements.CANCEL_RUNS,
            owned(
                owner,
                thread_id=thread_id,
                run_ids=list(run_ids) if run_ids is not None else None,
                assistant_id=assistant_id,
                statuses=[str(status) for status in statuses],
                rollback=rollback,
            ),
        )
        return [str(row["run_id"]) for row in rows]

    # Events, for readers on other processes

    async def ask_for_events(self, run_id: str) -> None:
        await self._database.fetch(statements.ASK_FOR_EVENTS, (run_id,))

    async def add_events(self, run_id: str, events: Sequence[Event]) -> None:
        await asyncio.gather(*(self._events.submit((run_id, event)) for event in events))

    async def _flush_events(self, items: list[tuple[str, Event]]) -> list[None]:
        columns: list[Any] = [
            [run_id for run_id, _ in items],
            [event.seq for _, event in items],
            [event.event for _, event in items],
            [event.data for _, event in items],
        ]
        await self._database.fetch(statements.ADD_EVENTS, columns, patient=True)
        return [None] * len(items)

    async def read_events(self, run_id: str, after: int) -> list[Event]:
        rows = await self._database.fetch(statements.READ_EVENTS, (run_id, after))
        return [Event(row["seq"], row["event"], bytes(row["data"])) for row in rows]

    # The lease

    async def beat(self, executing: int = 0) -> Orders:
        values = {"worker": self.worker_id, "executing": executing, "lease": self.hold_seconds}
        try:
            rows = await self._database.control(statements.BEAT, values)
        except Exception:
            self._healthy_since = None
            raise
        self._healthy_since = self._healthy_since or time.monotonic()
        return Orders(
            held={str(row["run_id"]) for row in rows if row["run_id"]},
            cancel={str(row["run_id"]) for row in rows if row["cancelled"]},
            rollback={str(row["run_id"]) for row in rows if row["rollback"]},
            record={str(row["run_id"]) for row in rows if row["record_events"]},
            pending=rows[0]["pending"],
            elsewhere=rows[0]["elsewhere"],
        )

    async def renew(self) -> None:
        await self._database.control(statements.RENEW, (self.worker_id,))

    async def reap(self) -> None:
        # After an outage everybody's beat is old: who has just come back gives the others time to.
        if self._healthy_since is None or time.monotonic() - self._healthy_since < self.hold_seconds:
            return
        await self._database.fetch(
            statements.REAP, {"lease": self.hold_seconds, "max_attempts": self._max_attempts}
        )

    async def retire(self) -> None:
        await self._database.fetch("DELETE FROM agent_workers WHERE worker_id = %s", (self.worker_id,))


def _entered(run: Run, row: DictRow) -> Run:
    """A run that has been entered, as it stands in the registry."""
    run.status, run.attempt = RunStatus(row["entered"]), row["attempt"]
    run.created_at = run.updated_at = row["created_at"]
    run.metadata = orjson.loads(row["metadata"])
    run.fresh_thread = row["fresh"]
    return run


def _refuse(run: Run, row: DictRow) -> None:
    """Raises NotFoundError or ThreadBusyError if the thread is not the owner's, or the run must not wait for it."""
    if not row["known"]:
        raise NotFoundError
    if run.multitask_strategy == "reject":
        raise ThreadBusyError


def _thread(row: DictRow) -> Thread:
    return Thread(
        thread_id=str(row["thread_id"]),
        owner=row["owner"],
        metadata=row["metadata"],
        status=ThreadStatus(row["status"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        state_updated_at=row["state_updated_at"] or row["updated_at"],
        config=row["config"],
        error=orjson.loads(row["error"]) if row["error"] else None,
        ttl_minutes=row["ttl_minutes"],
        ttl_strategy=row["ttl_strategy"],
    )


def _run(row: DictRow) -> Run:
    return Run(
        run_id=str(row["run_id"]),
        thread_id=str(row["thread_id"]),
        assistant_id=row["assistant_id"],
        graph_id=row["graph_id"],
        payload=orjson.loads(row["payload"]),
        owner=row["owner"],
        metadata=orjson.loads(row["metadata"]),
        multitask_strategy=row["multitask_strategy"],
        status=RunStatus(row["status"]),
        attempt=row["attempt"],
        error=orjson.loads(row["error"]) if row["error"] else None,
        record_events=row["record_events"],
        rollback=row["rollback"],
        answered=row["answered"],
        webhook=row["webhook"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
