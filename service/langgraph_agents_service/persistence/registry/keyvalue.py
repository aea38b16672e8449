"""Threads and runs as JSON documents, in Valkey or in the memory of the process.

Threads, who owns them and which run holds them are shared by all processes on the same Valkey. A run itself
lives and dies with the process that took it, and whoever asks for it then finds it ended: to have runs outlive their
process, use CHECKPOINTER=postgres.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from functools import partial

import orjson
from valkey.exceptions import ValkeyError

from langgraph_agents_service.persistence.outbox.memory import MemoryOutbox
from langgraph_agents_service.persistence.registry.base import (
    ATTEMPT_STRIDE,
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
    now,
    of_thread,
)
from langgraph_agents_service.persistence.registry.documents import Documents, restored
from langgraph_agents_service.persistence.valkey_client import patiently

EVENTS_AT_ONCE = 100

LOCK_SECONDS = 60
"""How long a process that has died is taken to live, and its threads stay taken; renewed from a thread of its own."""

_DIED: Json = {
    "error": "WorkerDied",
    "message": "the process that had the run died before its end; run again",
}


class KeyValueRegistry:
    """See langgraph_agents_service.persistence.registry.base.Registry."""

    durable = False
    hold_seconds = float(LOCK_SECONDS)
    worker_id: str | None = None

    def __init__(
        self, documents: Documents, *, ttl_seconds: float | None, holders: Documents | None = None
    ) -> None:
        """`holders`: the same documents, by a connection for `renew` alone."""
        self._documents = documents
        self._holders = holders or documents
        self._ttl = ttl_seconds
        self.outbox = MemoryOutbox()
        self._changes = Changes()
        self._process = str(uuid.uuid4())
        self._told = False
        """Whether others can know that this process lives."""
        self._waiting: dict[str, Run] = {}
        self._held: dict[str, Run] = {}

    # Threads

    async def create_thread(self, thread: Thread, owner: Owner, *, reuse: bool) -> Thread:
        made = await self._documents.put(
            f"thread:{thread.thread_id}", _dump(thread), ttl=self._ttl, absent=True
        )
        if made:
            await self._documents.add(f"owner:{thread.owner}", thread.thread_id, ttl=self._ttl)
            return thread
        if not reuse:
            raise ThreadExistsError
        try:
            return await self.get_thread(thread.thread_id, owner)
        except NotFoundError:
            raise ThreadExistsError from None

    async def get_thread(self, thread_id: str, owner: Owner) -> Thread:
        thread = await self._thread(thread_id)
        if thread is None or not owner.owns(thread.owner, thread.metadata):
            raise NotFoundError
        return thread

    async def _thread(self, thread_id: str) -> Thread | None:
        document, holder = await self._documents.get(f"thread:{thread_id}", f"holder:{thread_id}")
        if document is None:
            return None
        thread = _thread(document)
        waits = any(run.thread_id == thread_id for run in self._waiting.values())
        if holder is not None or waits:
            thread.status = ThreadStatus.BUSY
        return thread

    async def update_thread(
        self, thread_id: str, owner: Owner, metadata: Json, *, ttl: tuple[float, str] | None = None
    ) -> Thread:
        thread = await self.get_thread(thread_id, owner)
        thread.metadata |= metadata
        if ttl:
            thread.ttl_minutes, thread.ttl_strategy = ttl
        await self._save(thread)
        return thread

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
        found = await self._matching(owner, metadata, status)
        if ids is not None:
            found = [thread for thread in found if thread.thread_id in ids]
        found.sort(key=lambda thread: (getattr(thread, sort_by), thread.thread_id), reverse=descending)
        return found[offset : offset + limit]

    async def count_threads(
        self, owner: Owner, *, metadata: Json | None = None, status: ThreadStatus | None = None
    ) -> int:
        return len(await self._matching(owner, metadata, status))

    async def _matching(
        self, owner: Owner, metadata: Json | None, status: ThreadStatus | None
    ) -> list[Thread]:
        found, gone = [], []
        for thread_id in await self._documents.members(f"owner:{owner.name}"):
            thread = await self._thread(thread_id)
            if thread is None:
                gone.append(thread_id)
            elif owner.owns(thread.owner, thread.metadata):
                found.append(thread)
        await self._documents.remove(f"owner:{owner.name}", *gone)
        return [
            thread
            for thread in found
            if (status is None or thread.status is status)
            and all(thread.metadata.get(key) == value for key, value in (metadata or {}).items())
        ]

    async def delete_thread(self, thread_id: str, owner: Owner) -> None:
        thread = await self.get_thread(thread_id, owner)
        if thread.status is ThreadStatus.BUSY:
            raise ThreadBusyError
        runs = await self._documents.members(f"runs:{thread_id}")
        of_runs = (f"{kind}:{run_id}" for run_id in runs for kind in ("run", "events"))
        await self._documents.delete(f"thread:{thread_id}", *of_runs)
        await self._documents.remove(f"runs:{thread_id}", *runs)
        await self._documents.remove(f"owner:{owner.name}", thread_id)

    async def set_thread_status(self, thread_id: str, status: ThreadStatus) -> None:
        (document,) = await self._documents.get(f"thread:{thread_id}")
        await self._set_status(document, status, None)

    async def _set_status(self, document: bytes | None, status: ThreadStatus, error: Json | None) -> None:
        if document is not None:
            thread = _thread(document)
            thread.status, thread.error, thread.state_updated_at = status, error, now()
            await self._save(thread)

    @asynccontextmanager
    async def alone(self, thread_id: str) -> AsyncIterator[None]:
        key = f"changing:{thread_id}"
        async with self._changes.alone(thread_id):
            try:
                async with asyncio.timeout(LOCK_SECONDS):
                    while True:
                        if await self._documents.put(key, b"", ttl=LOCK_SECONDS, absent=True):
                            break
                        await asyncio.sleep(0.02)
            except TimeoutError:
                raise ThreadBusyError from None
            try:
                yield
            finally:
                await self._documents.delete(key)

    async def _save(self, thread: Thread) -> None:
        thread.updated_at = now()
        await self._documents.put_named(
            f"thread:{thread.thread_id}",
            _dump(thread),
            f"owner:{thread.owner}",
            thread.thread_id,
            ttl=self._ttl,
        )

    # Runs

    async def begin(
        self, run: Run, owner: Owner, *, create_thread: bool, start: bool, attended: bool = False
    ) -> Run:
        names = {"graph_id": run.graph_id, "assistant_id": run.assistant_id}
        below = run.assistant.get("config") or {}
        if create_thread:
            thread = Thread(run.thread_id, owner.name, {**run.metadata, **names})
            thread.config = of_thread(below, {}, run.own_config)
            try:
                thread = await self.create_thread(thread, owner, reuse=True)
            except ThreadExistsError:
                raise NotFoundError from None
        else:
            thread = await self.get_thread(run.thread_id, owner)
        config = of_thread(below, thread.config, run.own_config)
        if not names.items() <= thread.metadata.items() or config != thread.config:
            thread.metadata |= names
            thread.config = config
            await self._save(thread)
        above = {**thread.metadata, **run.metadata, **names}
        run.metadata = {**(run.assistant.get("metadata") or {}), **above}
        if run.multitask_strategy in ("interrupt", "rollback"):
            undo = run.multitask_strategy == "rollback"
            await self.cancel_runs(owner, thread_id=run.thread_id, rollback=undo)
        run.created_at += timedelta(seconds=run.after_seconds)
        if not self._told:
            await self._live(self._documents)
        start = start and not run.after_seconds
        if start and thread.status is not ThreadStatus.BUSY and await self._take(run):
            run.status, run.attempt = RunStatus.RUNNING, 1
        elif run.multitask_strategy == "reject" and (start or thread.status is ThreadStatus.BUSY):
            raise ThreadBusyError
        else:
            run.status, run.attempt = RunStatus.PENDING, 0
            self._waiting[run.run_id] = run
        try:
            await self._save_run(run)
        except BaseException:  # then there is no such run
            self._waiting.pop(run.run_id, None)
            self.let_go(run)
            raise
        return run

    async def _take(self, run: Run) -> bool:
        key, name = f"holder:{run.thread_id}", run.run_id.encode()
        taken = await self._documents.put(key, name, ttl=LOCK_SECONDS, absent=True)
        # It may have been taken by an earlier try whose answer was lost.
        taken = taken or (await self._documents.get(key))[0] == name
        if taken:
            self._held[run.run_id] = run
        return taken

    def let_go(self, run: Run) -> None:
        self._held.pop(run.run_id, None)

    async def _free(self, run: Run) -> None:
        """Let its thread be taken by others, at once."""
        key = f"holder:{run.thread_id}"
        if (await self._documents.get(key))[0] == run.run_id.encode():
            await self._documents.delete(key)
        self.let_go(run)

    async def _save_run(self, run: Run) -> None:
        run.updated_at = now()
        document = orjson.dumps({**asdict(run), "process": self._process})
        await self._documents.put_named(
            f"run:{run.run_id}", document, f"runs:{run.thread_id}", run.run_id, ttl=self._ttl
        )

    async def claim(self, limit: int, graphs: Sequence[str]) -> list[Run]:
        claimed: list[Run] = []
        due = [run for run in self._waiting.values() if run.created_at <= now()]
        for run in due:
            first = next(other for other in due if other.thread_id == run.thread_id)
            if len(claimed) < limit and first is run:
                try:
                    if await self._claim(run):
                        claimed.append(run)
                except ValkeyError:
                    if not claimed:
                        raise
                    break
        return claimed

    async def _claim(self, run: Run) -> bool:
        if not await self._take(run):
            return False
        if self._waiting.pop(run.run_id, None) is None:  # cancelled meanwhile
            await self._free(run)
            return False
        run.status, run.attempt = RunStatus.RUNNING, run.attempt + 1
        try:
            await self._save_run(run)
        except BaseException:  # it waits on, as the first of its thread
            run.status, run.attempt = RunStatus.PENDING, run.attempt - 1
            self._waiting = {run.run_id: run, **self._waiting}
            self.let_go(run)
            raise
        return True

    async def finish(
        self,
        run: Run,
        status: RunStatus,
        error: Json | None,
        thread_status: ThreadStatus,
        result: bytes | None = None,
    ) -> RunStatus | None:
        run.status, run.error = status, error
        try:
            await patiently(partial(self._end, run, thread_status))
        finally:
            self.let_go(run)
        self.outbox.put(run, result)
        return run.status

    async def _end(self, run: Run, thread_status: ThreadStatus) -> None:
        document, cancelled, entry = await self._documents.get(
            f"thread:{run.thread_id}", f"cancel:{run.run_id}", f"run:{run.run_id}"
        )
        if (
            entry is not None and (before := _run(entry)).error == _DIED
        ):  # this process was silent for too long
            run.status, run.error, thread_status = before.status, before.error, ThreadStatus.ERROR
        elif cancelled is not None:
            run.status, run.error, thread_status = RunStatus.INTERRUPTED, None, ThreadStatus.INTERRUPTED
        await self._save_run(run)
        await self._set_status(document, thread_status, run.error)
        await self._free(run)

    async def release(self, run: Run) -> None:
        # There is nobody to take it up: the client is told, and starts it again from the last checkpoint.
        error = {
            "error": "ProcessStopped",
            "message": "the process stopped, or lost its Valkey, before the run ended; run again",
        }
        await self.finish(run, RunStatus.ERROR, error, ThreadStatus.ERROR)

    async def give_back(self, run_ids: Set[str]) -> None:
        return None

    async def get_run(self, thread_id: str, run_id: str, owner: Owner) -> Run:
        await self.get_thread(thread_id, owner)
        documents = await self._documents.get(f"run:{run_id}")
        for run in await self._known(documents):
            if run.thread_id == thread_id:
                return run
        raise NotFoundError

    async def list_runs(
        self, thread_id: str, owner: Owner, *, limit: int, offset: int, status: RunStatus | None
    ) -> list[Run]:
        await self.get_thread(thread_id, owner)
        names = [f"run:{run_id}" for run_id in await self._documents.members(f"runs:{thread_id}")]
        documents = await self._documents.get(*names) if names else []
        runs = [run for run in await self._known(documents) if status is None or run.status is status]
        return sorted(runs, key=lambda run: run.created_at, reverse=True)[offset : offset + limit]

    async def _known(self, documents: Sequence[bytes | None]) -> list[Run]:
        """The runs of these documents. Those of processes that have died end now, as far as they had not."""
        found = [(_run(document), _process(document)) for document in documents if document is not None]
        theirs = {
            process for run, process in found if run.status.active and process not in (None, self._process)
        }
        names = sorted(filter(None, theirs))
        beats = await self._documents.get(*(f"process:{name}" for name in names)) if names else []
        dead = {name for name, beat in zip(names, beats, strict=True) if beat is None}
        for run, process in found:
            if run.status.active and process in dead:
                run.status, run.error = RunStatus.ERROR, _DIED
                # Once, although many ask.
                if await self._documents.put(f"ending:{run.run_id}", b"", ttl=LOCK_SECONDS, absent=True):
                    await self.finish(run, RunStatus.ERROR, _DIED, ThreadStatus.ERROR)
        return [run for run, _ in found]

    async def delete_run(self, thread_id: str, run_id: str, owner: Owner) -> None:
        if (await self.get_run(thread_id, run_id, owner)).status.active:
            raise ThreadBusyError
        await self._forget(thread_id, run_id)

    async def undo(self, run: Run) -> bool:
        await patiently(partial(self._forget, run.thread_id, run.run_id))
        await patiently(partial(self._free, run))
        return True

    async def _forget(self, thread_id: str, run_id: str) -> None:
        await self._documents.delete(f"run:{run_id}", f"events:{run_id}")
        await self._documents.remove(f"runs:{thread_id}", run_id)

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
        threads = [thread_id] if thread_id else await self._documents.members(f"owner:{owner.name}")
        cancelled = []
        for name in threads:
            try:
                runs = await self.list_runs(name, owner, limit=100_000, offset=0, status=None)
            except NotFoundError:
                continue
            for run in runs:
                if (
                    run.status in statuses
                    and (run_ids is None or run.run_id in run_ids)
                    and assistant_id in (None, run.assistant_id)
                ):
                    await self._cancel(run, rollback)
                    cancelled.append(run.run_id)
        return cancelled

    async def _cancel(self, run: Run, rollback: bool) -> None:
        waiting = self._waiting.pop(run.run_id, None)
        if waiting is not None and rollback:
            await self._forget(run.thread_id, run.run_id)
        elif waiting is not None:
            waiting.status = RunStatus.INTERRUPTED
            await self._save_run(waiting)
            self.outbox.put(waiting, None)
        else:
            await self._documents.put(
                f"cancel:{run.run_id}", b"rollback" if rollback else b"1", ttl=LOCK_SECONDS
            )

    # Events, for who comes later; without having been asked from the beginning they stay with the process that executes

    async def ask_for_events(self, run_id: str) -> None:
        return None

    async def add_events(self, run_id: str, events: Sequence[Event]) -> None:
        values = [orjson.dumps([event.seq, event.event]) + b"\n" + event.data for event in events]
        await patiently(partial(self._documents.append, f"events:{run_id}", *values, ttl=self._ttl))

    async def read_events(self, run_id: str, after: int) -> list[Event]:
        # They are numbered without a gap, because a run has one attempt here.
        begin = max(0, after + 1 - ATTEMPT_STRIDE)
        values = await self._documents.listed(f"events:{run_id}", begin, begin + EVENTS_AT_ONCE)
        return [_event(value) for value in values]

    # The hold on threads

    async def beat(self, executing: int = 0) -> Orders:
        if not self._told:
            await self._live(self._documents)
        held = list(self._held.values())
        mine = [*held, *self._waiting.values()]
        marks = await self._documents.get(*(f"cancel:{run.run_id}" for run in mine)) if mine else []
        asked = {run.run_id: mark for run, mark in zip(mine, marks, strict=True) if mark is not None}
        for run in [self._waiting[run_id] for run_id in asked if run_id in self._waiting]:
            await self._cancel(run, asked[run.run_id] == b"rollback")
        cancel = set(asked)
        rollback = {run_id for run_id, mark in asked.items() if mark == b"rollback"}
        pending = sum(run.created_at <= now() for run in self._waiting.values())
        return Orders(cancel=cancel, rollback=rollback, pending=pending)

    async def _live(self, documents: Documents) -> None:
        await documents.put(f"process:{self._process}", b"", ttl=LOCK_SECONDS)
        self._told = True

    async def renew(self) -> None:
        await self._live(self._holders)
        for run in list(self._held.values()):
            await self._holders.extend(f"holder:{run.thread_id}", LOCK_SECONDS)

    async def reap(self) -> None:
        return None

    async def retire(self) -> None:
        for run in list(self._held.values()):
            await self._free(run)
        await self._documents.delete(f"process:{self._process}")


def _dump(thread: Thread) -> bytes:
    return orjson.dumps(asdict(thread))


def _event(value: bytes) -> Event:
    head, _, data = value.partition(b"\n")
    seq, event = orjson.loads(head)
    return Event(seq, event, data)


def _thread(document: bytes) -> Thread:
    found = restored(document, Thread)
    found.setdefault("state_updated_at", found["updated_at"])
    return Thread(**{**found, "status": ThreadStatus(found["status"])})


def _process(document: bytes) -> str | None:
    """The process that has a run; None: one of an older version."""
    name: str | None = orjson.loads(document).get("process")
    return name


def _run(document: bytes) -> Run:
    found = restored(document, Run)
    return Run(**{**found, "status": RunStatus(found["status"])})
