"""The PostgreSQL pool of the process: checked connections, bounded waits, new credentials without a gap."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, InterfaceError, OperationalError
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.observability import metrics
from langgraph_agents_service.persistence.background import BackgroundLoop
from langgraph_agents_service.persistence.connections import OPTIONS, adapt, connect
from langgraph_agents_service.persistence.patience import PATIENCE_SECONDS, again

TRANSIENT = (OperationalError, InterfaceError, ReadOnlySqlTransaction)
"""Errors that a restart or a failover of the database causes and outlives. All statements that are retried
on them are written so that doing them twice is doing them once."""


CHECK_AFTER_SECONDS = 1.0

LOCK_SECONDS = 15.0
"""How long a lock outlives the process that held it."""

_LOOK_SECONDS = 0.05
# Whoever has it already has it for longer.
_LOCK = """
INSERT INTO agent_locks AS held (name, holder, until)
VALUES (%(name)s, %(holder)s, now() + make_interval(secs => %(seconds)s))
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE held.holder = excluded.holder OR held.until < now() RETURNING 1"""
_UNLOCK = "DELETE FROM agent_locks WHERE name = %(name)s AND holder = %(holder)s"

Result = TypeVar("Result")

PROGRAM_LIMIT = "54"
"""The class of PostgreSQL's errors that no repetition mends, among those that psycopg takes for operational: a row, a
value or a statement is too large."""


class TooLargeError(Exception):
    """PostgreSQL cannot hold what it was given, now or later."""


class Database:
    """A pool whose connection string can change while it is in use."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._uri = settings.database_uri.get_secret_value()
        self.pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            lambda: self._uri,
            min_size=min(settings.database_pool_min_size, settings.database_pool_max_size - 1),
            # One connection of the budget is kept apart, for what must not wait behind the others.
            max_size=settings.database_pool_max_size - 1,
            timeout=settings.database_pool_timeout_seconds,
            # Short, because the back-off of a cycle doubles; after an outage the next caller starts one.
            reconnect_timeout=5,
            max_idle=300,
            max_lifetime=3600,
            configure=lambda connection: adapt(connection, settings.database_prepared_statements),
            check=self._check,
            open=False,
            kwargs=OPTIONS,
        )
        self._checked: WeakKeyDictionary[AsyncConnection[DictRow], float] = WeakKeyDictionary()
        self._background = BackgroundLoop("database-control")
        self._control: AsyncConnection[DictRow] | None = None
        self._control_lock = asyncio.Lock()

    async def _check(self, connection: AsyncConnection[DictRow]) -> None:
        """Try a connection that has not been used for a second: servers and networks drop idle ones."""
        now = time.monotonic()
        if now - self._checked.get(connection, 0.0) > CHECK_AFTER_SECONDS:
            await AsyncConnectionPool.check_connection(connection)
        self._checked[connection] = now

    async def open(self) -> None:
        await self.pool.open()

    async def close(self) -> None:
        await self.pool.close()
        await self._background.run(self._drop_control())
        await self._background.close()

    async def renew(self, uri: str) -> None:
        """Use another connection string; connections in use finish their work first."""
        self._uri = uri
        await self.pool.drain()
        await self._background.run(self._renew_control())

    async def control(self, query: str, parameters: Any = None) -> list[DictRow]:
        """Run a statement on the connection kept apart: leases and readiness work however busy the pool is. It belongs
        to a thread of its own, so that leases are renewed however busy the event loop is, too."""
        return await self._background.run(self._on_control(query, parameters))

    async def _renew_control(self) -> None:
        async with self._control_lock:
            await self._drop_control()

    async def _on_control(self, query: str, parameters: Any) -> list[DictRow]:
        async with self._control_lock:
            try:
                if self._control is None or self._control.closed:
                    self._control = await connect(self._uri, self._settings)
                cursor = await self._control.execute(query, parameters)
                return await cursor.fetchall() if cursor.description else []
            except BaseException:  # a cancelled statement leaves the connection in the middle of it
                await self._drop_control()
                raise

    async def _drop_control(self) -> None:
        connection, self._control = self._control, None
        if connection is not None:
            await connection.close()

    async def ping(self) -> None:
        """Raises psycopg.OperationalError if the database does not answer."""
        await self.control("SELECT 1")

    async def fetch(self, query: str, parameters: Any = None, *, patient: bool = False) -> list[DictRow]:
        """Run one repeatable statement. Raises PoolTimeout when no connection is free in time."""

        async def attempt() -> list[DictRow]:
            async with self.pool.connection() as connection:
                cursor = await connection.execute(query, parameters)
                return await cursor.fetchall() if cursor.description else []

        return await retry(attempt, PATIENCE_SECONDS if patient else 1)

    @asynccontextmanager
    async def alone(self, name: str, *, wait: bool = True) -> AsyncIterator[bool]:
        """Hold the only lock of this name on the database. It is a row, and no connection is held with it: whoever
        holds one needs others, and behind a pooler there may be a single one. What a process held that died is free
        after LOCK_SECONDS. Yields whether it is held, which without `wait` it need not be."""
        values = {"name": name, "holder": uuid.uuid4(), "seconds": LOCK_SECONDS}
        while not (held := bool(await self.fetch(_LOCK, values))) and wait:  # noqa: ASYNC110 (another process may have it)
            await asyncio.sleep(_LOOK_SECONDS)
        if not held:
            yield False
            return
        keeping = asyncio.create_task(self._keep(values))
        try:
            yield True
        finally:
            keeping.cancel()
            # What cannot be given back now ends by itself.
            with suppress(*TRANSIENT):
                await self.fetch(_UNLOCK, values)

    async def _keep(self, values: dict[str, Any]) -> None:
        while True:
            await asyncio.sleep(LOCK_SECONDS / 3)
            with suppress(*TRANSIENT):
                await self.control(_LOCK, values)

    def observe(self) -> None:
        """Publish how the pool is used."""
        stats = self.pool.get_stats()
        size, idle = stats.get("pool_size", 0), stats.get("pool_available", 0)
        metrics.series(metrics.pool_connections, "idle").set(idle)
        metrics.series(metrics.pool_connections, "used").set(size - idle)
        metrics.pool_waiting.set(stats.get("requests_waiting", 0))


async def retry(attempt: Callable[[], Awaitable[Result]], seconds: float) -> Result:
    """Try again on TRANSIENT errors for so long, at growing intervals, then raise the last error. Raises
    TooLargeError at once."""
    try:
        return (
            await attempt()
        )  # nearly always the last one: tenacity's bookkeeping begins with the first failure
    except TRANSIENT as error:
        if (error.sqlstate or "").startswith(PROGRAM_LIMIT):
            raise TooLargeError(f"PostgreSQL refuses what is too large for it: {error}") from error
        return await again(attempt, TRANSIENT, seconds)
