"""`migrate`, `prune` and `check`, as the Job, the CronJob and a person run them."""

import asyncio
import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from langgraph_agents_service import local
from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.migrate import migrate
from langgraph_agents_service.persistence.prune import LOCK, duration, prune, uuid6_before
from tests.service.processes import agent


@pytest.fixture
def database(postgres: local.Postgres) -> Iterator[DatabaseSettings]:
    """A migrated database of its own."""
    name = f"d{uuid.uuid4().hex[:8]}"
    settings = DatabaseSettings(
        database_uri=postgres.uri(name, login=name),
        database_admin_uri=postgres.admin_uri,
    )
    asyncio.run(migrate(settings))
    yield settings
    with psycopg.connect(postgres.admin_uri, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def rows(settings: DatabaseSettings, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.database_uri.get_secret_value()) as connection:
        return connection.execute(query).fetchall()


async def test_migrations_may_run_side_by_side_and_again(postgres: local.Postgres) -> None:
    name = f"m{uuid.uuid4().hex[:8]}"
    settings = DatabaseSettings(
        database_uri=postgres.uri(name, login=name),
        database_admin_uri=postgres.admin_uri,
    )
    reports = await asyncio.gather(*(migrate(settings) for _ in range(4)))
    assert sum(f"database {name} is made" in report for report in reports) == 1
    assert await migrate(settings) == [
        f"login {name} is there, with its password set",
        "tables are up to date",
    ]
    versions = rows(settings, "SELECT v FROM checkpoint_migrations ORDER BY v")
    assert [v for (v,) in versions] == list(range(len(AsyncPostgresSaver.MIGRATIONS)))


def made_by_another(postgres: local.Postgres, *, tables: bool = False) -> tuple[DatabaseSettings, str]:
    """A database that was there before the agent, of a role that is not the agent's."""
    name, owner = f"e{uuid.uuid4().hex[:8]}", f"o{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres.admin_uri, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {owner}")
        connection.execute(f"CREATE DATABASE {name} OWNER {owner}")
    if tables:
        with psycopg.connect(_of(postgres.admin_uri, name), autocommit=True) as connection:
            connection.execute(f"SET ROLE {owner}")
            connection.execute("CREATE TABLE checkpoint_migrations (v INTEGER PRIMARY KEY)")
    return DatabaseSettings(
        database_uri=postgres.uri(name, login=name), database_admin_uri=postgres.admin_uri
    ), owner


def _of(uri: str, database: str) -> str:
    return urlunsplit(urlsplit(uri)._replace(path=f"/{database}"))


async def test_a_database_of_another_role_gets_the_agents_tables_and_keeps_its_owner(
    postgres: local.Postgres,
) -> None:
    settings, owner = made_by_another(postgres)
    name = urlsplit(settings.database_uri.get_secret_value()).username
    assert f"{name} may make tables in the database of {owner}" in await migrate(settings)
    assert rows(
        settings, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    ) == [(owner,)]
    assert rows(settings, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'") == [
        (name,)
    ]


async def test_a_login_that_may_make_no_tables_is_told_whom_the_database_belongs_to(
    postgres: local.Postgres,
) -> None:
    settings, owner = made_by_another(postgres)
    name = urlsplit(settings.database_uri.get_secret_value()).username
    with psycopg.connect(postgres.admin_uri, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
        password = urlsplit(settings.database_uri.get_secret_value()).password or ""
        connection.execute(f"ALTER ROLE {name} PASSWORD '{password}'")
    with pytest.raises(ValueError, match=f"database {name} belongs to {owner}") as refused:
        await migrate(DatabaseSettings(database_uri=settings.database_uri, database_admin_uri=""))
    assert f'GRANT USAGE, CREATE ON SCHEMA public TO "{name}"' in str(refused.value)


async def test_tables_of_another_role_are_told_with_the_statement_that_hands_them_over(
    postgres: local.Postgres,
) -> None:
    settings, owner = made_by_another(postgres, tables=True)
    name = urlsplit(settings.database_uri.get_secret_value()).username
    with pytest.raises(ValueError, match="checkpoint_migrations") as refused:
        await migrate(settings)
    assert f'REASSIGN OWNED BY "{owner}" TO "{name}"' in str(refused.value)


def test_the_login_can_do_no_more_than_it_needs(database: DatabaseSettings) -> None:
    (role,) = rows(
        database,
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication FROM pg_roles WHERE rolname = current_user",
    )
    assert role == (False, False, False, False)
    (public,) = rows(
        database,
        "SELECT count(*) FROM pg_database d, aclexplode(d.datacl) a "
        "WHERE d.datname = current_database() AND a.grantee = 0",
    )
    assert public == (0,), "nobody else may connect"


def test_a_wrong_administrator_is_told_without_a_traceback(postgres: local.Postgres) -> None:
    done = agent("migrate", database_uri="postgresql://a:b@127.0.0.1:9/a?connect_timeout=2")
    assert done.returncode == 1
    assert "migrate failed" in done.stderr


async def fill(settings: DatabaseSettings, age: timedelta, **thread: Any) -> str:
    """A thread whose only checkpoint is this old."""
    thread_id = str(uuid.uuid4())
    moment = datetime.now(UTC) - age
    checkpoint_id = uuid6_before(moment)[:-12] + uuid.uuid4().hex[:12]
    uri = settings.database_uri.get_secret_value()
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO agent_threads (thread_id, owner, updated_at) VALUES (%s, 'o', %s)",
            (thread_id, moment),
        )
        if thread.get("checkpoint", True):
            await connection.execute(
                "INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint) VALUES (%s, %s, %s)",
                (thread_id, checkpoint_id, json.dumps({"v": 4})),
            )
            await connection.execute(
                "INSERT INTO checkpoint_blobs (thread_id, channel, version, type) VALUES (%s, 'c', '1', 't')",
                (thread_id,),
            )
        if status := thread.get("run"):
            await connection.execute(
                "INSERT INTO agent_runs (run_id, thread_id, assistant_id, graph_id, status, attempt, payload, "
                "metadata, multitask_strategy, record_events) "
                "VALUES (%s, %s, 'a', 'g', %s, 1, '{}', '{}', 'reject', false)",
                (str(uuid.uuid4()), thread_id, status),
            )
    return thread_id


async def test_prune_removes_idle_threads_and_nothing_else(database: DatabaseSettings) -> None:
    day = timedelta(days=1)
    idle = [await fill(database, 40 * day) for _ in range(5)]
    idle.append(await fill(database, 40 * day, checkpoint=False))
    kept = {
        await fill(database, 10 * day),
        await fill(database, 40 * day, run="running"),
        await fill(database, 40 * day, run="pending"),
    }
    dry = await prune(database, 30 * day, batch_size=2, dry_run=True)
    assert (dry.threads, len(rows(database, "SELECT 1 FROM agent_threads"))) == (6, 9)
    assert (await prune(database, 30 * day, batch_size=2)).threads == 6
    for table in ("agent_threads", "checkpoints", "checkpoint_blobs"):
        left = {str(found) for (found,) in rows(database, f"SELECT thread_id FROM {table}")}  # noqa: S608
        assert left == kept, table
    assert (await prune(database, 30 * day)).threads == 0
    assert not kept & set(idle)


async def test_two_prunes_do_not_run_at_once(database: DatabaseSettings) -> None:
    uri = database.database_uri.get_secret_value()
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as other:
        await other.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        assert (await prune(database, timedelta(days=30))).another_runs


async def test_a_thread_that_a_run_is_about_to_use_is_passed_over(database: DatabaseSettings) -> None:
    thread_id = await fill(database, timedelta(days=40))
    uri = database.database_uri.get_secret_value()
    async with await psycopg.AsyncConnection.connect(uri) as other:
        await other.execute("SELECT 1 FROM agent_threads WHERE thread_id = %s FOR UPDATE", (thread_id,))
        assert (await prune(database, timedelta(days=30))).threads == 0


def test_the_cut_off_divides_ids_by_their_time() -> None:
    before, now, after = (uuid6_before(datetime.now(UTC) + timedelta(seconds=s)) for s in (-5, 0, 5))
    assert before < now < after
    assert before < str(uuid6()) < after


@pytest.mark.parametrize("text", ["30", "d30", "-1d", "1y", ""])
def test_a_wrong_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write e\.g\. 30d"):
        duration(text)


def test_prune_says_what_it_did(database: DatabaseSettings) -> None:
    asyncio.run(fill(database, timedelta(days=40)))
    uri = database.database_uri.get_secret_value()
    dry = agent("prune", "--older-than", "30d", "--dry-run", database_uri=uri)
    assert (dry.returncode, dry.stdout.strip()) == (
        0,
        "1 threads have been idle for 30d; they stay (--dry-run)",
    )
    done = agent("prune", "--older-than", "30d", database_uri=uri)
    assert (done.returncode, done.stdout.strip()) == (0, "1 threads that had been idle for 30d are removed")


def test_check_lists_every_fault_and_passes_when_there_is_none(
    database: DatabaseSettings, valkey_uri: str, postgres: local.Postgres
) -> None:
    good = agent("check", database_uri=database.database_uri.get_secret_value(), redis_uri=valkey_uri)
    assert good.returncode == 0, good.stderr
    bad = agent(
        "check",
        database_uri="postgresql://a:b@127.0.0.1:9/a",
        redis_uri="redis://127.0.0.1:9",
        langgraph_config="/nonexistent/langgraph.json",
    )
    assert bad.returncode == 1
    for name in ("DATABASE_URI", "REDIS_URI", "LANGGRAPH_CONFIG"):
        assert name in bad.stderr


def test_what_tests_start_needs_no_fixed_port() -> None:
    with ExitStack() as taken:
        for port in (8000, 9464):
            with suppress(OSError):  # somebody has it already
                listener = taken.enter_context(socket.socket())
                listener.bind(("127.0.0.1", port))
                listener.listen()
        done = agent("check", checkpointer="memory")
    assert done.returncode == 0, done.stderr


def test_check_lists_faults_between_settings_beside_those_of_single_ones() -> None:
    done = agent(
        "check", port="eighty", redis_uri="mysql://x", checkpointer="valkey", model="gpt", api_keys=""
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 3, lines
    for words in ("PORT=eighty", "REDIS_URI: is not a redis://", "MODEL=gpt names no provider"):
        assert any(words in line for line in lines), words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"database_uri": "postgresql://a:b@127.0.0.1:9/a"},
            "the database of DATABASE_URI cannot be reached",
        ),
        (
            {"checkpointer": "valkey", "redis_uri": "redis://127.0.0.1:9"},
            "the server of REDIS_URI cannot be reached",
        ),
    ],
)
def test_a_service_without_its_storage_does_not_start(settings: dict[str, Any], words: str) -> None:
    done = agent("serve", **settings)
    assert done.returncode == 1
    assert words in done.stderr
