"""Removes threads, or their older checkpoints, when the time is over that they were given.

It is what `checkpointer.ttl` of a langgraph.json and the `ttl` of a thread ask for, counted from the thread's last
change, so that a conversation in use never goes. `prune` is for what has no such time. With
CHECKPOINT_HISTORY=keep_latest the older checkpoints have none: they go as soon as no run needs them.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any

from langgraph_agents_service.persistence.checkpointers.removal import delete_checkpoints
from langgraph_agents_service.persistence.database import TRANSIENT, Database
from langgraph_agents_service.persistence.shortening import shorten
from langgraph_agents_service.projects.config import ThreadTtl

log = logging.getLogger(__name__)

_MINUTES = "COALESCE(t.ttl_minutes, %(minutes)s::float8)"
_STRATEGY = "COALESCE(t.ttl_strategy, %(strategy)s)"
_INACTIVE = """NOT EXISTS (SELECT 1 FROM agent_runs r
                    WHERE r.thread_id = t.thread_id AND r.status IN ('pending', 'running'))"""
_EXPIRED = f"""
    {_MINUTES} IS NOT NULL AND t.updated_at + make_interval(secs => 60 * {_MINUTES}) < now()
    AND {_INACTIVE}"""

# Of threads that go, a run that is about to begin holds the row: they are passed over.
_LOCK = f"""
SELECT t.thread_id FROM agent_threads t
WHERE {_EXPIRED} AND {_STRATEGY} = 'delete'
ORDER BY t.updated_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED"""  # noqa: S608

# Looked at again, now that nothing can begin on them: a run may have begun and ended in between.
_STILL = f"""
SELECT t.thread_id::text AS thread_id FROM agent_threads t
WHERE t.thread_id = ANY (%(ids)s) AND {_EXPIRED}"""  # noqa: S608

# `swept_at` is when a thread was last shortened; agent_threads_unswept finds those that have changed since.
_TO_SHORTEN = """
SELECT t.thread_id::text AS thread_id, t.updated_at FROM agent_threads t
WHERE (t.swept_at IS NULL OR t.swept_at < t.updated_at) AND {which}
ORDER BY t.updated_at LIMIT %(limit)s"""
_EXPIRED_TO_SHORTEN = _TO_SHORTEN.format(which=f"{_EXPIRED} AND {_STRATEGY} = 'keep_latest'")
_ALL_TO_SHORTEN = _TO_SHORTEN.format(which=_INACTIVE)

_BATCH = 100


async def sweep(database: Database, ttl: ThreadTtl, *, keep_latest: bool = False) -> int:
    """Remove what has expired; returns of how many threads. Raises psycopg.Error.

    Args:
        ttl: what becomes of threads that have no lifetime of their own; its limit is one for each strategy.
        keep_latest: whether all threads are left their latest checkpoint, and not expired ones alone.
    """
    values: dict[str, Any] = {"minutes": ttl.default_ttl, "strategy": ttl.strategy, "limit": _BATCH}
    total = 0
    while total < ttl.sweep_limit and (deleted := await _delete(database, values)):
        total += deleted
    query = _ALL_TO_SHORTEN if keep_latest else _EXPIRED_TO_SHORTEN
    found = await database.fetch(query, {**values, "limit": ttl.sweep_limit})
    return total + await shorten(database, [(row["thread_id"], row["updated_at"]) for row in found])


async def _delete(database: Database, values: dict[str, Any]) -> int:
    """Remove a batch of threads in one transaction."""
    async with database.pool.connection() as connection, connection.transaction():
        cursor = await connection.execute(_LOCK, values)
        ids = [row["thread_id"] for row in await cursor.fetchall()]
        if not ids:
            return 0
        cursor = await connection.execute(_STILL, {**values, "ids": ids})
        expired = [row["thread_id"] for row in await cursor.fetchall()]
        await delete_checkpoints(connection, expired)
        await connection.execute("DELETE FROM agent_threads WHERE thread_id = ANY (%s::uuid[])", (expired,))
    return len(expired)


async def keep_sweeping(what: str, minutes: float, sweep: Callable[[], Awaitable[int]]) -> None:
    """Sweep for as long as the process lives. Several processes may: each passes over what another one holds."""
    while True:
        # Not all processes at once, although they start together.
        await asyncio.sleep(60 * minutes * random.uniform(0.8, 1.2))  # noqa: S311
        try:
            if removed := await sweep():
                log.info("swept", extra={"what": what, "removed": removed})
        except TRANSIENT as error:
            log.warning("not swept", extra={"what": what, "error": type(error).__name__})
        except Exception:
            log.exception("not swept", extra={"what": what})
