"""PostgreSQL behind a pooler that hands connections out for a transaction each: a real PgBouncer."""

import asyncio
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from langgraph_agents_service import local
from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.persistence.migrate import migrate
from langgraph_agents_service.persistence.prune import prune
from tests.service.databases import migrated
from tests.service.pgbouncer import needed, pgbouncer
from tests.service.processes import processes
from tests.service.test_faults import HEADERS, STEPS, journal_of, until

pytestmark = needed


@pytest.fixture(scope="module")
def database_uri(postgres: local.Postgres) -> str:
    """A database of their own: whatever else serves here would take up these runs."""
    return migrated(postgres, "poolers")


@pytest.fixture(scope="module")
def behind_a_pooler(database_uri: str) -> Iterator[str]:
    """With a single connection to the server: nothing holds one while it needs another."""
    with pgbouncer(database_uri, servers=1) as uri:
        yield uri


async def _prepared(uri: str, **settings: Any) -> int:
    """How many statements the server has prepared after one was sent."""
    database = Database(DatabaseSettings(database_uri=uri, database_pool_max_size=2, **settings))
    await database.open()
    try:
        await database.fetch("SELECT %s::text AS x", ("x",))
        rows = await database.fetch("SELECT count(*) AS n FROM pg_prepared_statements")
        return int(rows[0]["n"])
    finally:
        await database.close()


async def test_statements_are_prepared_by_the_server_itself_and_not_behind_a_pooler(
    database_uri: str, behind_a_pooler: str
) -> None:
    assert await _prepared(database_uri) > 0
    assert await _prepared(behind_a_pooler) == 0


async def test_a_pooler_that_keeps_prepared_statements_may_have_them(database_uri: str) -> None:
    with pgbouncer(database_uri, mode="session") as uri:
        assert await _prepared(uri, database_prepared_statements="always") > 0
    assert await _prepared(database_uri, database_prepared_statements="never") == 0


@pytest.mark.e2e
async def test_two_processes_answer_all_requests(behind_a_pooler: str) -> None:
    with processes(2, database_uri=behind_a_pooler) as pair:
        async with httpx.AsyncClient(headers=HEADERS, timeout=60) as client:
            places = asyncio.Semaphore(50)

            async def ask(number: int) -> httpx.Response:
                body = {"assistant_id": "steps", "input": {}, "thread_id": str(uuid.uuid4())}
                async with places:
                    return await client.post(f"{pair[number % 2].url}/invoke", json=body)

            answers = await asyncio.gather(*(ask(number) for number in range(200)))
    wrong = [answer.text for answer in answers if answer.status_code != 200]
    assert not wrong, f"{len(wrong)} of 200: {wrong[0]}"
    assert all(answer.json()["output"]["done"] == STEPS for answer in answers)


@pytest.mark.e2e
async def test_a_killed_run_is_taken_over(behind_a_pooler: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with processes(2, database_uri=behind_a_pooler, steps_journal=journal, durability="sync") as pair:
        client = pair[0].client()
        thread_id = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread_id, "steps", input={"seconds": 0.5, "tag": "t"})
        await until(lambda: any(step == "three" for _, step, _ in journal_of(journal)))
        victim = next(p for p in pair if p.pid == journal_of(journal)[-1][2])
        survivor = next(p for p in pair if p is not victim)
        victim.kill()
        values: Any = await survivor.client().runs.join(thread_id, run["run_id"])
    assert values["done"] == STEPS
    assert [step for _, step, _ in journal_of(journal)] == ["one", "two", "three", "three", "four"]


@pytest.mark.e2e
async def test_changes_of_a_thread_at_once_come_one_after_the_other(behind_a_pooler: str) -> None:
    with processes(2, database_uri=behind_a_pooler) as pair:
        clients = [process.client() for process in pair]
        thread_id = (await clients[0].threads.create(graph_id="steps"))["thread_id"]
        await asyncio.gather(
            *(
                clients[number % 2].threads.update_state(thread_id, {"done": [str(number)]}, as_node="one")
                for number in range(20)
            )
        )
        state: Any = await clients[0].threads.get_state(thread_id)
    assert sorted(state["values"]["done"], key=int) == [str(number) for number in range(20)]


@pytest.mark.e2e
async def test_crons_run_once_each(database_uri: str, behind_a_pooler: str) -> None:
    with processes(2, database_uri=behind_a_pooler) as pair:
        client = pair[0].client()
        threads = [(await client.threads.create())["thread_id"] for _ in range(10)]
        for thread_id in threads:
            await client.crons.create_for_thread(
                thread_id, "steps", schedule="0 0 29 2 *", input={"tag": "x"}, multitask_strategy="enqueue"
            )
        async with await psycopg.AsyncConnection.connect(database_uri, autocommit=True) as connection:
            await connection.execute("UPDATE agent_crons SET next_run_date = now()")

        async def ended() -> list[str]:
            runs = [await client.runs.list(thread_id) for thread_id in threads]
            return [run["status"] for each in runs for run in each]

        for _ in range(200):
            if set(found := await ended()) == {"success"} and len(found) >= len(threads):
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        assert await ended() == ["success"] * len(threads)


async def test_a_lock_ends_soon_after_the_process_that_held_it(
    database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langgraph_agents_service.persistence.database.LOCK_SECONDS", 0.6)
    held, waiting = (Database(DatabaseSettings(database_uri=database_uri)) for _ in range(2))
    await held.open()
    await waiting.open()
    try:
        async with held.alone("a thread"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.2), waiting.alone("a thread"):
                    pass
            # As with a process that is gone, nobody says any more that it is held.
            monkeypatch.setattr(held, "control", _gone)
            async with asyncio.timeout(3), waiting.alone("a thread"):
                pass
    finally:
        await held.close()
        await waiting.close()


async def _gone(*_: object) -> None:
    raise psycopg.OperationalError


async def test_migrations_and_prunings_leave_no_lock_behind(tmp_path: Path) -> None:
    with local.postgres() as server:
        uri = server.uri("agent")
        async with await psycopg.AsyncConnection.connect(server.admin_uri, autocommit=True) as admin:
            await admin.execute("CREATE ROLE agent LOGIN PASSWORD 'agent'")
            await admin.execute("CREATE DATABASE agent OWNER agent")
        with pgbouncer(uri) as pooled:
            settings = DatabaseSettings(database_uri=pooled)
            await asyncio.gather(*(migrate(settings) for _ in range(3)))
            for _ in range(3):
                done = await asyncio.gather(*(prune(settings, timedelta(days=1)) for _ in range(3)))
                assert not all(one.another_runs for one in done)
            database = Database(settings)
            await database.open()
            try:
                assert not await database.fetch("SELECT * FROM pg_locks WHERE locktype = 'advisory'")
            finally:
                await database.close()
