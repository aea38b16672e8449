"""`prune`: removes threads that have been idle for too long, with their checkpoints and runs."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.checkpointers.removal import delete_checkpoints
from langgraph_agents_service.persistence.connections import connect

LOCK = 7_241_109_004
"""Number of the advisory lock, next to the one of migrate."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

# A thread is idle by its newest checkpoint, whose id holds its time: checkpoints have no other date. A thread
# without checkpoints is idle by its row. FOR UPDATE holds off a run that is about to begin on the thread, and
# SKIP LOCKED passes over a thread on which one just does.
_IDLE = """
WITH idle AS (
  SELECT thread_id FROM checkpoints GROUP BY thread_id HAVING max(checkpoint_id) < %(cutoff)s
  UNION
  SELECT t.thread_id::text FROM agent_threads t WHERE t.updated_at < %(before)s
    AND NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.thread_id = t.thread_id::text)
)
SELECT idle.thread_id FROM idle
WHERE NOT EXISTS (SELECT 1 FROM agent_runs r
                  WHERE r.thread_id::text = idle.thread_id AND r.status IN ('pending', 'running'))
ORDER BY idle.thread_id LIMIT %(limit)s"""

_LOCK_ROWS = """
SELECT t.thread_id::text AS thread_id FROM agent_threads t WHERE t.thread_id::text = ANY (%(ids)s)
ORDER BY 1 FOR UPDATE SKIP LOCKED"""

_OWNED = "SELECT thread_id::text AS thread_id FROM agent_threads WHERE thread_id::text = ANY (%(ids)s)"

_DELETE_THREADS = "DELETE FROM agent_threads WHERE thread_id::text = ANY (%(ids)s)"


@dataclass(frozen=True, slots=True)
class Pruned:
    threads: int
    another_runs: bool = False


def duration(text: str) -> timedelta:
    """Read "30d", "12h", "90m", "45s" or "2w". Raises ValueError."""
    match = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    if not match:
        raise ValueError(f"--older-than={text} is not a duration; write e.g. 30d, 12h or 90m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def uuid6_before(moment: datetime) -> str:
    """The least UUIDv6 of a moment: ids made earlier sort before it. RFC 9562, section 5.6."""
    since_1582 = moment - datetime(1582, 10, 15, tzinfo=UTC)
    ticks = (since_1582 // timedelta(microseconds=1)) * 10
    return f"{ticks >> 28:08x}-{ticks >> 12 & 0xFFFF:04x}-6{ticks & 0xFFF:03x}-8000-000000000000"


async def prune(
    settings: DatabaseSettings, older_than: timedelta, *, batch_size: int = 500, dry_run: bool = False
) -> Pruned:
    """Remove idle threads batch by batch, each in a transaction of its own. Raises psycopg.Error."""
    before = datetime.now(UTC) - older_than
    values = {"cutoff": uuid6_before(before), "before": before, "limit": batch_size}
    uri = settings.database_uri.get_secret_value()
    async with await connect(uri, settings) as connection:
        if dry_run:
            cursor = await connection.execute(_IDLE, {**values, "limit": None})
            return Pruned(len(await cursor.fetchall()))
        total = 0
        while (removed := await _batch(connection, values)) is not None:
            total += removed
            if not removed:
                return Pruned(total)
        return Pruned(total, another_runs=True)


async def _batch(connection: AsyncConnection[DictRow], values: dict[str, object]) -> int | None:
    """How many threads are removed; None while another process removes some."""
    async with connection.transaction():
        cursor = await connection.execute("SELECT pg_try_advisory_xact_lock(%s) AS got", (LOCK,))
        if (row := await cursor.fetchone()) is None or not row["got"]:
            return None
        idle = await _ids(connection, _IDLE, values)
        if not idle:
            return 0
        locked = set(await _ids(connection, _LOCK_ROWS, {"ids": idle}))
        owned = set(await _ids(connection, _OWNED, {"ids": idle}))
        # Looked at again, now that nothing can begin on them: a run may have begun and ended in between.
        free = [thread for thread in idle if thread in locked or thread not in owned]
        still = set(await _ids(connection, _IDLE, values))
        removable = [thread for thread in free if thread in still]
        await delete_checkpoints(connection, removable)
        await connection.execute(_DELETE_THREADS, {"ids": removable})
    return len(removable)


async def _ids(connection: AsyncConnection[DictRow], query: str, values: dict[str, object]) -> list[str]:
    cursor = await connection.execute(query, values)
    return [row["thread_id"] for row in await cursor.fetchall()]
