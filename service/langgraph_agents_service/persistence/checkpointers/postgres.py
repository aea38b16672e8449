"""LangGraph's PostgreSQL saver with group commit and without its global lock.

The tables, their content and the migrations are LangGraph's own. What differs is how rows get there: writes
of all runs of the process that arrive together leave in one transaction (one round trip and one disk flush),
and reads use as many connections as the pool has. docs/adr/agent-group-commit.md says why and how much.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, partial
from inspect import signature
from math import isfinite
from typing import Any, cast

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde import types as serde_types
from psycopg.rows import DictRow

from langgraph_agents_service.observability import metrics
from langgraph_agents_service.persistence.batcher import Batcher
from langgraph_agents_service.persistence.checkpointers.fence import Fence, RunOverError, held
from langgraph_agents_service.persistence.checkpointers.serializer import Serializer, naming_fields
from langgraph_agents_service.persistence.database import Database, retry
from langgraph_agents_service.persistence.patience import PATIENCE_SECONDS
from langgraph_agents_service.persistence.text import clean

_NOBODY = "00000000-0000-0000-0000-000000000000"
"""The task that LangGraph keeps the input of a command with."""

# Channels that are kept as differences came with langgraph-checkpoint 4.1; nothing is an instance of ().
_DELTA = getattr(serde_types, "_DeltaSnapshot", ())

# Numbers go as text and an absent parent as '', because psycopg would else choose types, and so plans, by the values
# at hand.
_BLOBS = """
  INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
  SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::bytea[])
  {held}
  ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING"""
_CHECKPOINTS = """
  INSERT INTO checkpoints
    (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
  SELECT t, ns, id, NULLIF(parent, ''), c::jsonb, m::jsonb
  FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[])
    AS i(t, ns, id, parent, c, m)
  {held}
  ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
  DO UPDATE SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata"""
_WRITES = """
  INSERT INTO checkpoint_writes
    (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
  SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[]::int[],
                       %b::text[], %b::text[], %b::bytea[])
  {held}
  ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) """
_NEW_WRITES = _WRITES + "DO NOTHING"
_CONTROL_WRITES = (
    _WRITES + "DO UPDATE SET channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob"
)

# An answer that a task has taken in is kept with the task: neither the command that brought it, as LangGraph keeps it
# for whichever task asks next, nor its run, when it is taken up again, may answer another question with it.
_ANSWERED = (
    "UPDATE agent_runs SET answered = true WHERE run_id = ANY (%b::uuid[]) AND NOT EXISTS (SELECT FROM lost)",
    f"""DELETE FROM checkpoint_writes WHERE thread_id = ANY (%b::text[]) AND task_id = '{_NOBODY}'
        AND channel = '{serde_types.RESUME}' AND NOT EXISTS (SELECT FROM lost)""",  # noqa: S608
)

# The attempts of runs that are no longer in the hands of this process. While there are any, nothing is kept.
_LOST = """
  SELECT i.run_id FROM unnest(%b::uuid[], %b::uuid[], %b::text[]::int[]) AS i(run_id, worker_id, attempt)
  WHERE NOT EXISTS (SELECT FROM agent_runs r WHERE r.run_id = i.run_id AND r.worker_id = i.worker_id
                    AND r.attempt = i.attempt AND r.status = 'running')"""

_COPY = """
WITH blobs AS (
  INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
  SELECT %(target)s, checkpoint_ns, channel, version, type, blob FROM checkpoint_blobs WHERE thread_id = %(source)s
  ON CONFLICT DO NOTHING
), writes AS (
  INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
  SELECT %(target)s, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob
  FROM checkpoint_writes WHERE thread_id = %(source)s
  ON CONFLICT DO NOTHING
)
INSERT INTO checkpoints
  (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
SELECT %(target)s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,
       CASE WHEN metadata ? 'thread_id' THEN metadata || jsonb_build_object('thread_id', %(target)s::text)
            ELSE metadata END
FROM checkpoints WHERE thread_id = %(source)s
ON CONFLICT DO NOTHING"""

NO_CHECKPOINTS = "__no_checkpoints"
"""Key of a config for a thread that was made a moment ago: a non-empty list spares the first look for its latest
checkpoint. Keys with two underscores stay out of the metadata of checkpoints."""

Row = tuple[Any, ...]


@dataclass(slots=True)
class _Rows:
    """The rows of one put, each list in the column order of its statement."""

    blobs: Sequence[Row] = ()
    checkpoints: Sequence[Row] = ()
    new_writes: Sequence[Row] = ()
    control_writes: Sequence[Row] = ()
    held: Fence | None = None
    answered: Fence | None = None
    """Of the run, if a task of it has taken an answer in."""
    size: int = 0
    """Bytes, but for what is small."""


class _Table:
    """The rows of a batch for one insert. PostgreSQL refuses to upsert one row twice in a statement, so that
    each key stands here once: as it came first, or with `last_wins` as it came last."""

    def __init__(self, insert: str, *, key: int, last_wins: bool = False) -> None:
        self.insert = insert
        self._key = key
        self._last_wins = last_wins
        self._rows: dict[Row, Row] = {}

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if self._last_wins:
                self._rows[row[: self._key]] = row
            else:
                self._rows.setdefault(row[: self._key], row)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def columns(self) -> list[list[Any]]:
        return [list(column) for column in zip(*self._rows.values(), strict=True)]


class GroupCommitSaver(AsyncPostgresSaver):
    """AsyncPostgresSaver on a pool. Raises psycopg.OperationalError when the database stays away."""

    def __init__(self, database: Database, serializer: Serializer | None = None) -> None:
        super().__init__(database.pool, serde=serializer or Serializer())
        # The base class takes this lock around every statement although each has its own connection here.
        self.lock = cast(asyncio.Lock, nullcontext())
        self._database = database
        self._batcher: Batcher[_Rows, None] = Batcher(self._flush, weigh=lambda rows: rows.size)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        metrics.series(metrics.checkpointer_operations, "put").inc()
        thread_id = config["configurable"]["thread_id"]
        namespace = config["configurable"]["checkpoint_ns"]
        inline: dict[str, Any] = {}
        blobs: dict[str, Any] = {}
        for channel, value in checkpoint["channel_values"].items():
            if isinstance(value, str):
                inline[channel] = clean(value)
            elif _is_json(value):
                inline[channel] = value
            else:
                blobs[channel] = value
                if isinstance(value, _DELTA):
                    inline[channel] = True
        versions = {channel: version for channel, version in new_versions.items() if channel in blobs}
        with naming_fields(self.serde, blobs.items()):
            rows = self._dump_blobs(thread_id, namespace, blobs, versions) if versions else []
        fence = held(thread_id)
        row = (
            thread_id,
            namespace,
            checkpoint["id"],
            config["configurable"].get("checkpoint_id") or "",
            _json({**checkpoint, "channel_values": inline}),
            _json(get_serializable_checkpoint_metadata(config, metadata)),
        )
        size = len(row[4]) + _size(rows)
        try:
            await self._batcher.submit(_Rows(held=fence, blobs=rows, checkpoints=[row], size=size))
        except BaseException:
            if fence:
                fence.backlog.give_up()
            raise
        if fence:
            fence.backlog.keep(namespace, checkpoint["id"])
        return {
            "configurable": {
                "thread_id": thread_id,
                "checkpoint_ns": namespace,
                "checkpoint_id": checkpoint["id"],
            }
        }

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        metrics.series(metrics.checkpointer_operations, "put_writes").inc()
        where = config["configurable"]
        with naming_fields(self.serde, writes):
            dumped = self._dump_writes(
                where["thread_id"], where["checkpoint_ns"], where["checkpoint_id"], task_id, task_path, writes
            )
        rows = [(*row[:5], str(row[5]), *row[6:]) for row in dumped]
        fence, size = held(where["thread_id"]), _size(rows)
        if fence:
            fence.backlog.add(where["checkpoint_ns"], where["checkpoint_id"], size)
        given = _Rows(held=fence, size=size)
        if task_id != _NOBODY and any(channel == serde_types.RESUME for channel, _ in writes):
            given.answered = fence
        if all(channel in WRITES_IDX_MAP for channel, _ in writes):
            given.control_writes = rows
        else:
            given.new_writes = rows
        await self._batcher.submit(given)

    async def _flush(self, items: list[_Rows]) -> list[None]:
        blobs, checkpoints = _Table(_BLOBS, key=4), _Table(_CHECKPOINTS, key=3, last_wins=True)
        # A write's key ends with its index, the sixth column; task_path before it belongs to the task.
        new_writes = _Table(_NEW_WRITES, key=6)
        control_writes = _Table(_CONTROL_WRITES, key=6, last_wins=True)
        answered = {item.answered for item in items if item.answered}
        threads = {fence.thread_id for fence in answered}
        for item in items:
            blobs.add(item.blobs)
            checkpoints.add(item.checkpoints)
            new_writes.add([row for row in item.new_writes if not _answers(row, threads)])
            control_writes.add([row for row in item.control_writes if not _answers(row, threads)])
        tables = [table for table in (blobs, checkpoints, new_writes, control_writes) if table]
        columns = [column for table in tables for column in table.columns()]
        fences = {item.held for item in items if item.held}
        attempts = [
            [f.run_id for f in fences],
            [f.worker_id for f in fences],
            [str(f.attempt) for f in fences],
        ]
        if tables:
            statement = _insert_all(
                tuple(table.insert for table in tables), fenced=bool(fences), answered=bool(answered)
            )
            parameters = [*attempts, *columns] if fences else columns
            if answered:
                parameters += [[fence.run_id for fence in answered], list(threads)]
            if await self._database.fetch(statement, parameters, patient=True):
                raise RunOverError
        return [None] * len(items)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        # Once: a node that looks its own thread up later has to see what has been written by then.
        if config["configurable"].get(NO_CHECKPOINTS) and not config["configurable"].get("checkpoint_ns"):
            config["configurable"][NO_CHECKPOINTS].clear()
            return None
        metrics.series(metrics.checkpointer_operations, "get").inc()
        found = await retry(partial(super().aget_tuple, config), PATIENCE_SECONDS)
        if found and (fence := held(found.config["configurable"]["thread_id"])):
            where = found.config["configurable"]
            fence.backlog.keep(where["checkpoint_ns"], where["checkpoint_id"])
        return found

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        metrics.series(metrics.checkpointer_operations, "list").inc()
        async for entry in super().alist(config, filter=filter, before=before, limit=limit):
            yield entry

    async def adelete_thread(self, thread_id: str) -> None:
        metrics.series(metrics.checkpointer_operations, "delete").inc()
        await super().adelete_thread(thread_id)

    async def settle(self) -> None:
        """Wait until nothing is being written, by whoever does not wait for it any more."""
        await self._batcher.settle()

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        names = {"source": source_thread_id, "target": target_thread_id}
        await self._database.fetch(_COPY, names)

    async def _load_checkpoint_tuple(self, value: DictRow) -> CheckpointTuple:
        # The base class does this in a thread, which costs more than the decoding of an ordinary state.
        base = {"thread_id": value["thread_id"], "checkpoint_ns": value["checkpoint_ns"]}
        parent = value["parent_checkpoint_id"]
        channels = value["checkpoint"].get("channel_values") or {}
        return CheckpointTuple(
            {"configurable": {**base, "checkpoint_id": value["checkpoint_id"]}},
            cast(
                Checkpoint,
                {
                    **value["checkpoint"],
                    "channel_values": {**channels, **self._load_blobs(value["channel_values"])},
                },
            ),
            value["metadata"],
            {"configurable": {**base, "checkpoint_id": parent}} if parent else None,
            self._load_writes(value["pending_writes"]),
        )


# LangGraph looks for `task_path` among the parameters at every run, which is quicker to find where it is noted.
vars(GroupCommitSaver)["aput_writes"].__signature__ = signature(GroupCommitSaver.aput_writes)


@cache
def _insert_all(inserts: tuple[str, ...], *, fenced: bool, answered: bool) -> str:
    """One statement for all rows of a batch: one round trip and one transaction. There are few of them, whose plans
    each connection keeps. It answers with a row for each attempt of a run that is lost, and has then kept nothing."""
    held = "WHERE NOT EXISTS (SELECT FROM lost)" if fenced else ""
    parts = [f"insert_{number} AS ({insert.format(held=held)})" for number, insert in enumerate(inserts)]
    if answered:
        parts += [f"answered_{number} AS ({sql})" for number, sql in enumerate(_ANSWERED)]
    if not fenced:
        return f"WITH {', '.join(parts)} SELECT"
    return f"WITH lost AS ({_LOST}), {', '.join(parts)} SELECT run_id FROM lost"  # noqa: S608


def _answers(row: Row, threads: Set[str]) -> bool:
    """Whether a row of a write is an answer that a task of one of these threads takes in at the same time."""
    return row[3] == _NOBODY and row[6] == serde_types.RESUME and row[0] in threads


def _is_json(value: Any) -> bool:
    """Whether JSON gives a plain value back as it was: not infinities, and not what has more than 64 bits."""
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    return value is None


def _size(rows: Sequence[Row]) -> int:
    """Bytes of the values, which stand in the last column."""
    return sum(len(row[-1] or b"") for row in rows)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
