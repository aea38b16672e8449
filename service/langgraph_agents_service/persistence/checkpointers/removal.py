"""Removes checkpoints from LangGraph's tables, also with savers of before langgraph-checkpoint-postgres 3.2."""

from collections.abc import Sequence
from typing import Any, Self

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow

_TABLES = ("checkpoint_writes", "checkpoint_blobs", "checkpoints")


async def delete_checkpoints(connection: AsyncConnection[DictRow], thread_ids: Sequence[str]) -> None:
    """Of many threads at once, in the caller's transaction. Raises psycopg.Error."""
    for table in _TABLES:
        await connection.execute(f"DELETE FROM {table} WHERE thread_id = ANY (%s)", (list(thread_ids),))  # noqa: S608


CAN_KEEP_LATEST = hasattr(AsyncPostgresSaver, "aprune")


class _InOurTransaction(AsyncCursor[DictRow]):
    """Leaves the transaction as it is. The saver's own has one snapshot, and could not see at its end who has begun to
    use the thread."""

    async def execute(self, query: Any, *arguments: Any, **options: Any) -> Self:
        if isinstance(query, str) and query.startswith("SET TRANSACTION"):
            return self
        return await super().execute(query, *arguments, **options)


async def keep_latest(connection: AsyncConnection[DictRow], thread_id: str) -> None:
    """Leave a thread its latest checkpoint, in the caller's transaction, which has to roll back if anybody has written
    to the thread meanwhile.

    Raises:
        NotImplementedError: a graph of the thread has a DeltaChannel, or this version of the saver cannot do it.
    """
    if not CAN_KEEP_LATEST:
        raise NotImplementedError("langgraph-checkpoint-postgres 3.2 or newer is needed beside the service")
    saver: Any = AsyncPostgresSaver(connection)
    before, connection.cursor_factory = connection.cursor_factory, _InOurTransaction
    try:
        await saver.aprune([thread_id], strategy="keep_latest")
    finally:
        connection.cursor_factory = before
