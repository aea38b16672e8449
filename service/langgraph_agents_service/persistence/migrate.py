"""`migrate`: makes the login, the database and the tables. Safe to repeat, and for several to run at once."""

from contextlib import suppress
from urllib.parse import unquote, urlsplit, urlunsplit

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection, errors, sql
from psycopg.rows import DictRow

from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.connections import alone, connect
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
        done += await _make_login_and_database(settings)
        if dims:
            # An extension is made by who may; the service's own login may not everywhere.
            async with await connect(_in_database(admin, uri), settings) as connection:
                await stores.make_extension(connection)
    async with alone(uri, settings, LOCK) as connection:
        try:
            await AsyncPostgresSaver(connection).setup()
            await stores.set_up(connection, dims)
            await connection.execute(SCHEMA, prepare=False)
        except errors.InsufficientPrivilege as error:
            raise ValueError(await _remedy(connection, uri, str(error).partition("\n")[0])) from error
    return [*done, "tables are up to date"]


async def make_database(settings: DatabaseSettings) -> list[str]:
    """The login and the database alone, for a server that makes its tables itself. Raises psycopg.Error, ValueError."""
    done = await _make_login_and_database(settings)
    admin, uri = settings.database_admin_uri.get_secret_value(), settings.database_uri.get_secret_value()
    async with await connect(_in_database(admin, uri), settings) as connection:
        # Only who may makes an extension, and whether that server wants this one its image alone knows.
        if await stores.has_extension(connection):
            await stores.make_extension(connection)
            done.append("extension vector is there")
    return done


async def _make_login_and_database(settings: DatabaseSettings) -> list[str]:
    admin = settings.database_admin_uri.get_secret_value()
    parts = urlsplit(settings.database_uri.get_secret_value())
    login, password = unquote(parts.username or ""), unquote(parts.password or "")
    database = unquote(parts.path.lstrip("/"))
    if not login or not database:
        raise ValueError(
            "DATABASE_URI has to name a login and a database; with DATABASE_ADMIN_URI both are made"
        )
    role, name = sql.Identifier(login), sql.Identifier(database)
    done = []
    async with alone(admin, settings, LOCK) as connection:
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
        owner = await _owner(connection, database)
    if owner != login:
        # Its owner stays, because others may use what is there already.
        async with await connect(
            _in_database(admin, settings.database_uri.get_secret_value()), settings
        ) as there:
            # Who may not is told so when the tables are made, by a message that says what to do.
            with suppress(errors.InsufficientPrivilege):
                await there.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(role))
                done.append(f"{login} may make tables in the database of {owner}")
    return done


async def _owner(connection: AsyncConnection[DictRow], database: str) -> str:
    found = await connection.execute(
        "SELECT pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname = %s", (database,)
    )
    row = await found.fetchone()
    return str(row["owner"]) if row else ""


async def _remedy(connection: AsyncConnection[DictRow], uri: str, problem: str) -> str:
    """What to do where the login may not make its tables, or change those that are there."""
    parts = urlsplit(uri)
    login, database = unquote(parts.username or ""), unquote(parts.path.lstrip("/"))
    owner = await _owner(connection, database)
    return (
        f"{problem}. The database {database} belongs to {owner}, and {login} makes tables in it: as {owner} or a"
        f' superuser, in that database, run GRANT USAGE, CREATE ON SCHEMA public TO "{login}"; and where the tables of'
        f' an agent are there already, and nobody else\'s, REASSIGN OWNED BY "{owner}" TO "{login}"'
    )


def _in_database(admin: str, uri: str) -> str:
    """The administrator's connection string, for the database of another."""
    return urlunsplit(urlsplit(admin)._replace(path=urlsplit(uri).path))
