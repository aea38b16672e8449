"""A run that was cancelled ends as cancelled, whatever becomes of it and of its process meanwhile."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import psycopg
import pytest

from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.persistence.registry.base import Owner, Registry, Run, RunStatus, ThreadStatus
from langgraph_agents_service.persistence.registry.documents import MemoryDocuments
from langgraph_agents_service.persistence.registry.keyvalue import KeyValueRegistry
from langgraph_agents_service.persistence.registry.postgres import PostgresRegistry

ALICE = Owner("alice")


@pytest.fixture
async def postgres_registry(database_uri: str) -> AsyncIterator[PostgresRegistry]:
    database = Database(DatabaseSettings(database_uri=database_uri))
    await database.open()
    registry = PostgresRegistry(database, lease_seconds=60, max_attempts=3)
    await registry.beat()
    yield registry
    await registry.retire()
    await database.close()


@pytest.fixture(params=["postgres", "memory"])
def registry(request: pytest.FixtureRequest, postgres_registry: PostgresRegistry) -> Registry:
    if request.param == "postgres":
        return postgres_registry
    return KeyValueRegistry(MemoryDocuments(), ttl_seconds=None)


def made() -> Run:
    return Run(
        str(uuid.uuid4()), str(uuid.uuid4()), "graph", "graph", {}, "alice", multitask_strategy="enqueue"
    )


async def begun(registry: Registry, *, start: bool = True) -> Run:
    return await registry.begin(made(), ALICE, create_thread=True, start=start)


async def cancelled(registry: Registry, run: Run) -> list[str]:
    return await registry.cancel_runs(ALICE, thread_id=run.thread_id, run_ids=[run.run_id])


async def statuses(registry: Registry, run: Run) -> tuple[RunStatus, ThreadStatus]:
    found = await registry.get_run(run.thread_id, run.run_id, ALICE)
    return found.status, (await registry.get_thread(run.thread_id, ALICE)).status


CANCELLED = (RunStatus.INTERRUPTED, ThreadStatus.INTERRUPTED)


@pytest.mark.parametrize("end", [RunStatus.SUCCESS, RunStatus.ERROR, RunStatus.TIMEOUT])
async def test_a_run_that_ends_by_itself_after_it_was_cancelled_ends_as_cancelled(
    registry: Registry, end: RunStatus
) -> None:
    run = await begun(registry)
    assert await cancelled(registry, run) == [run.run_id]
    error = None if end is RunStatus.SUCCESS else {"error": "ValueError", "message": "no"}
    recorded = await registry.finish(run, end, error, ThreadStatus.ERROR if error else ThreadStatus.IDLE)
    assert recorded is RunStatus.INTERRUPTED
    assert await statuses(registry, run) == CANCELLED
    assert (await registry.get_thread(run.thread_id, ALICE)).error is None


async def test_a_cancelled_run_that_its_process_gives_back_ends_and_waits_for_no_other(
    registry: Registry,
) -> None:
    run = await begun(registry)
    await cancelled(registry, run)
    await registry.release(run)
    assert await statuses(registry, run) == CANCELLED
    assert await registry.claim(10, ["graph"]) == []


async def test_a_cancelled_run_whose_process_died_leaves_its_thread_as_any_cancelled_run_does(
    postgres_registry: PostgresRegistry,
) -> None:
    run = await begun(postgres_registry)
    await cancelled(postgres_registry, run)
    await postgres_registry.give_back({run.run_id})
    assert await statuses(postgres_registry, run) == CANCELLED


async def test_a_run_that_has_begun_and_waits_for_another_process_is_cancelled_like_one_that_executes(
    postgres_registry: PostgresRegistry,
) -> None:
    run = await begun(postgres_registry)
    await postgres_registry.release(run)
    assert await cancelled(postgres_registry, run) == [run.run_id]
    assert await statuses(postgres_registry, run) == CANCELLED


async def test_a_run_that_is_cancelled_before_it_began_leaves_its_thread_as_it_was(
    registry: Registry,
) -> None:
    run = await begun(registry, start=False)
    assert await cancelled(registry, run) == [run.run_id]
    assert await statuses(registry, run) == (RunStatus.INTERRUPTED, ThreadStatus.IDLE)


async def test_what_ended_before_it_could_be_cancelled_was_not_cancelled(registry: Registry) -> None:
    run = await begun(registry)
    assert await registry.finish(run, RunStatus.SUCCESS, None, ThreadStatus.IDLE) is RunStatus.SUCCESS
    assert await cancelled(registry, run) == []
    assert await statuses(registry, run) == (RunStatus.SUCCESS, ThreadStatus.IDLE)


async def test_what_ends_while_it_is_being_cancelled_is_cancelled_or_not_and_the_answer_says_which(
    postgres_registry: PostgresRegistry, database_uri: str
) -> None:
    run = await begun(postgres_registry)
    async with await psycopg.AsyncConnection.connect(database_uri) as ending:
        await ending.execute("UPDATE agent_runs SET status = 'success' WHERE run_id = %s", (run.run_id,))
        cancelling = asyncio.create_task(cancelled(postgres_registry, run))
        _, waiting = await asyncio.wait([cancelling], timeout=0.3)
        assert waiting, "it waits for what is being written"
    assert await cancelling == []


async def test_a_run_that_waits_in_another_process_on_valkey_is_cancelled_there() -> None:
    documents = MemoryDocuments()
    here, there = (KeyValueRegistry(documents, ttl_seconds=None) for _ in range(2))
    run = await begun(there, start=False)
    assert await cancelled(here, run) == [run.run_id]
    await there.beat()
    assert await there.claim(10, ["graph"]) == []
    assert (await statuses(here, run))[0] is RunStatus.INTERRUPTED
