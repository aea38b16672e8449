"""Removes checkpoints from LangGraph's tables, also with savers of before langgraph-checkpoint-postgres 3.2."""

from collections.abc import Sequence
from typing import Any

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection
from psycopg.rows import DictRow

_TABLES = ("checkpoint_writes", "checkpoint_blobs", "checkpoints")


async def delete_checkpoints(connection: AsyncConnection[DictRow], thread_ids: Sequence[str]) -> None:
    """Of many threads at once, in the caller's transaction. Raises psycopg.Error."""
    for table in _TABLES:
        await connection.execute(f"DELETE FROM {table} WHERE thread_id = ANY (%s)", (list(thread_ids),))  # noqa: S608


async def keep_latest(saver: Any, thread_id: str) -> None:
    """Leave a thread its latest checkpoint, in a transaction of the saver's own.

    Raises:
        NotImplementedError: a graph of the thread has a DeltaChannel, or this version of the saver cannot do it.
        psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected: the thread is in use.
    """
    if not hasattr(AsyncPostgresSaver, "aprune"):
        raise NotImplementedError("langgraph-checkpoint-postgres 3.2 or newer is needed beside the service")
    await saver.aprune([thread_id], strategy="keep_latest")
