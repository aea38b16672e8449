"""Connections to PostgreSQL, as the service and its commands make them: to a server, or to a pooler before it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, LiteralString

from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, dict_row

from langgraph_agents_service.configuration.settings import DatabaseSettings, PreparedStatements

SILENCE: dict[str, Any] = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A peer that is silent instead of closed, as in a failover whose packets are dropped, is given up after 30 s, idle or
in the middle of a statement. With the kernel's defaults that takes eleven to fifteen minutes."""

OPTIONS: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": 0,
    "row_factory": dict_row,
    "connect_timeout": 5,
    "application_name": "langgraph-agents",
    **SILENCE,
}
"""Of `AsyncConnection.connect`."""


async def connect(uri: str, settings: DatabaseSettings) -> AsyncConnection[DictRow]:
    """A connection on which a statement is a transaction. Raises psycopg.OperationalError."""
    connection = await AsyncConnection.connect(uri, **OPTIONS)
    try:
        await adapt(connection, settings.database_prepared_statements)
    except BaseException:
        await connection.close()
        raise
    return connection


async def adapt(connection: AsyncConnection[DictRow], prepared: PreparedStatements) -> None:
    """Let a new connection prepare statements where they will be found again: a pooler in transaction mode sends each
    transaction over another connection, which does not know what was prepared on the last one."""
    never = prepared is PreparedStatements.NEVER
    if never or (prepared is PreparedStatements.AUTO and await is_pooled(connection)):
        connection.prepare_threshold = None


async def is_pooled(connection: AsyncConnection[DictRow]) -> bool:
    """Whether something between answers for the server. At the beginning of a connection a server tells the number of
    its process, and a pooler, which has none yet, a number of its own (PgBouncer: a random one)."""
    cursor = await connection.execute("SELECT pg_backend_pid() AS pid", prepare=False)
    row = await cursor.fetchone()
    return row is None or row["pid"] != connection.info.backend_pid


@asynccontextmanager
async def alone(uri: str, settings: DatabaseSettings, lock: int) -> AsyncIterator[AsyncConnection[DictRow]]:
    """A connection that works while this process holds the advisory lock of a number.

    The lock is the connection's own. Behind a pooler, which may leave what is a session's behind with anybody, it is
    that of a transaction on a second one.

    Polled: who waits inside PostgreSQL holds a snapshot, and CREATE INDEX CONCURRENTLY, which LangGraph's migrations
    use, would wait for that one in turn. A transaction that waits between two statements holds none.
    """
    async with await connect(uri, settings) as connection:
        if not await is_pooled(connection):
            while not await _locked(connection, "pg_try_advisory_lock", lock):  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.2)
            yield connection
            return
        while True:
            async with connection.transaction():
                if await _locked(connection, "pg_try_advisory_xact_lock", lock):
                    async with await connect(uri, settings) as working:
                        yield working
                    return
            await asyncio.sleep(0.2)


async def _locked(connection: AsyncConnection[DictRow], function: LiteralString, lock: int) -> bool:
    # Without parameters and preparation, because what is left open of other statements holds a snapshot.
    query = sql.SQL("SELECT {}({}) AS got").format(sql.SQL(function), sql.Literal(lock))
    row = await (await connection.execute(query, prepare=False)).fetchone()
    return bool(row and row["got"])
