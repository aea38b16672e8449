"""Leaves threads their latest checkpoint between two runs, and never stands in the way of one.

What has to stay is LangGraph's own decision (`keep_latest`): the latest checkpoint of each namespace, its pending
writes and what its channels refer to. A run that begins meanwhile may build on what is about to go. So a removal waits
for nobody, and before it is committed nothing can begin for a moment, in which it is looked whether the thread has been
touched since. If so, it is rolled back, and the run has lost nothing.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.errors import DeadlockDetected, LockNotAvailable
from psycopg.rows import DictRow

from langgraph_agents_service.persistence.checkpointers.removal import keep_latest
from langgraph_agents_service.persistence.database import Database

LOCK = "shortening"
"""Name of the lock: one process shortens at a time."""

# FOR UPDATE keeps runs from beginning, whose rows refer to this one; NOWAIT gives way to one that begins just now.
_LOCK_THREAD = "SELECT updated_at FROM agent_threads WHERE thread_id = %s FOR UPDATE NOWAIT"

# A statement of its own, whose snapshot has seen every run that had begun before the lock was there.
_ACTIVE = "SELECT 1 FROM agent_runs WHERE thread_id = %s AND status IN ('pending', 'running') LIMIT 1"

_SWEPT = "UPDATE agent_threads SET swept_at = now() WHERE thread_id = %s"

log = logging.getLogger(__name__)


class InUseError(Exception):
    """Somebody has begun to use the thread."""


async def shorten(database: Database, threads: Sequence[tuple[str, datetime]]) -> int:
    """Leave these threads their latest checkpoint, one after the other; returns how many were shortened: none, while
    another process does so. Raises psycopg.Error.

    Args:
        threads: ids, and when they were last changed: one that has changed since is left for the next time.
    """
    if not threads:
        return 0
    shortened = 0
    async with database.alone(LOCK, wait=False) as alone:
        for thread_id, updated_at in threads if alone else ():
            try:
                shortened += await shorten_one(database, thread_id, updated_at)
            except NotImplementedError as error:
                log.info("a thread keeps its checkpoints", extra={"reason": str(error)})
                await database.fetch(_SWEPT, (thread_id,))
    return shortened


async def shorten_one(database: Database, thread_id: str, updated_at: datetime) -> bool:
    """False: the thread is in use. Raises psycopg.Error, and NotImplementedError where a thread cannot be shortened."""
    try:
        # As changes by hand do.
        async with database.alone(f"agent_threads {thread_id}", wait=False) as alone:
            if not alone:
                return False
            async with database.pool.connection() as connection, connection.transaction():
                # Less than what PostgreSQL waits before it resolves a deadlock, which might fail the other side.
                await connection.execute("SET LOCAL lock_timeout = '200ms'", prepare=False)
                await keep_latest(connection, thread_id)
                await _lock(connection, thread_id, updated_at)
                await connection.execute(_SWEPT, (thread_id,))
    except (InUseError, DeadlockDetected, LockNotAvailable):
        return False
    return True


async def _lock(connection: AsyncConnection[DictRow], thread_id: str, updated_at: datetime) -> None:
    """Until the end of the transaction no run begins on the thread. Raises InUseError and LockNotAvailable."""
    row = await (await connection.execute(_LOCK_THREAD, (thread_id,))).fetchone()
    active = await (await connection.execute(_ACTIVE, (thread_id,))).fetchone()
    if row is None or row["updated_at"] != updated_at or active:
        raise InUseError
