"""LangGraph's PostgreSQL store on the pool of the process, patient with a database that restarts."""

from collections.abc import Iterable
from typing import Any

from langgraph.store.base import Op, Result, TTLConfig
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.postgres.base import PostgresIndexConfig
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow

from langgraph_agents_service.persistence.database import Database, retry


class PatientPostgresStore(AsyncPostgresStore):
    """AsyncPostgresStore that tries again while the database is away: every operation of a store may be repeated.

    Args:
        patience: seconds. Raises psycopg.OperationalError when the database stays away for longer.
    """

    def __init__(
        self,
        database: Database,
        *,
        patience: float,
        index: PostgresIndexConfig | None = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        super().__init__(database.pool, index=index, ttl=ttl)
        self._patience = patience

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        repeatable = list(ops)

        async def attempt() -> list[Result]:
            return await AsyncPostgresStore.abatch(self, repeatable)

        return await retry(attempt, self._patience)


async def set_up(connection: AsyncConnection[DictRow], dims: int | None) -> None:
    """Make the tables of the store, with vectors of `dims` dimensions if it has an index. Safe to repeat.

    Raises:
        ValueError: the table that is there holds vectors of other dimensions.
    """
    index: PostgresIndexConfig | None = {"dims": dims, "embed": _no_texts} if dims else None
    await AsyncPostgresStore(connection, index=index).setup()
    if dims and (there := await _dims(connection)) != dims:
        raise ValueError(
            f"store.index.dims: {dims}, and the table store_vectors holds vectors of {there}; go back to {there}, or "
            "drop the tables store_vectors and vector_migrations, migrate again, and put the items again"
        )


async def has_extension(connection: AsyncConnection[DictRow]) -> bool:
    """Whether the server offers pgvector."""
    cursor = await connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
    return await cursor.fetchone() is not None


async def make_extension(connection: AsyncConnection[DictRow]) -> None:
    """Make pgvector's extension in the database of an administrator's connection."""
    await connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS vector"))


async def _dims(connection: AsyncConnection[DictRow]) -> int:
    cursor = await connection.execute(
        "SELECT atttypmod AS dims FROM pg_attribute "
        "WHERE attrelid = 'store_vectors'::regclass AND attname = 'embedding'"
    )
    row = await cursor.fetchone()
    return int(row["dims"]) if row else 0


def _no_texts(texts: Any) -> list[list[float]]:
    """Stands for an embedding model where only tables are made."""
    raise AssertionError("nothing is embedded by a migration")
