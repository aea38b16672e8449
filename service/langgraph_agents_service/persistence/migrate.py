"""`migrate`: makes the login, the database and the tables. Safe to repeat, and for several to run at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit, urlunsplit

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, dict_row

from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.database import SILENCE
from langgraph_agents_service.persistence.registry.postgres import SCHEMA
from langgraph_agents_service.persistence.stores import postgres as stores
from langgraph_agents_service.projects.config import read

LOCK = 7_241_109_003
"""Number of the advisory lock; any number that nothing else in the database uses."""


async def migrate(settings: DatabaseSettings) -> list[str]:
    """Bring the database of DATABASE_URI up to date; returns what was done, a line each.

    With DATABASE_ADMIN_URI the login and the database of DATABASE_URI are made too. Raises psycopg.Error, ValueError
    and ProjectError.
    """
    done = []
    uri = settings.database_uri.get_secret_value()
    store = read(settings.langgraph_config).store
    dims = store.index.dims if store and store.index and not store.path else None
    if admin := settings.database_admin_uri.get_secret_value():
        done += await _make_database(admin, uri)
        if dims:
            # An extension is made by who may; the service's own login may not everywhere.
            async with _connect(_in_database(admin, uri)) as connection:
                await stores.make_extension(connection)
    async with _connect(uri) as connection, _lock(connection):
        await AsyncPostgresSaver(connection).setup()
        await stores.set_up(connection, dims)
        await connection.execute(SCHEMA, prepare=False)
    return [*done, "tables are up to date"]


async def _make_database(admin: str, uri: str) -> list[str]:
    parts = urlsplit(uri)
    login, password = unquote(parts.username or ""), unquote(parts.password or "")
    database = unquote(parts.path.lstrip("/"))
    if not login or not database:
        raise ValueError(
            "DATABASE_URI has to name a login and a database; with DATABASE_ADMIN_URI both are made"
        )
    role, name = sql.Identifier(login), sql.Identifier(database)
    done = []
    async with _connect(admin) as connection, _lock(connection):
        known = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (login,))
        verb = "ALTER" if await known.fetchone() else "CREATE"
        # Hashed here, so that the server's log, which may show statements, never sees the password.
        hashed = connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256")
        await connection.execute(
            sql.SQL(
                "{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD {}"
                if verb == "CREATE"
                else "{} ROLE {} LOGIN PASSWORD {}"
            ).format(sql.SQL(verb), role, sql.Literal(hashed.decode()))
        )
        done.append(f"login {login} is {'made' if verb == 'CREATE' else 'there, with its password set'}")
        known = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
        if not await known.fetchone():
            # An administrator who is no superuser, as on RDS, may only hand a database to a role it is member of.
            await connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
            await connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))
            done.append(f"database {database} is made")
        await connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        await connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, role))
    return done


def _in_database(admin: str, uri: str) -> str:
    """The administrator's connection string, for the database of another."""
    return urlunsplit(urlsplit(admin)._replace(path=urlsplit(uri).path))


@asynccontextmanager
async def _connect(uri: str) -> AsyncIterator[AsyncConnection[DictRow]]:
    connection = await AsyncConnection.connect(
        uri, autocommit=True, prepare_threshold=0, row_factory=dict_row, connect_timeout=10, **SILENCE
    )
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def _lock(connection: AsyncConnection[DictRow]) -> AsyncIterator[None]:
    """One migration at a time. Polled: who waits inside PostgreSQL holds a snapshot, and CREATE INDEX
    CONCURRENTLY, which LangGraph's migrations use, would wait for that one in turn."""
    while True:
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s) AS got", (LOCK,))
        row = await cursor.fetchone()
        if row and row["got"]:
            break
        await asyncio.sleep(0.2)
    try:
        yield
    finally:
        with contextlib.suppress(Exception):  # closing the connection releases it as well
            await connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
