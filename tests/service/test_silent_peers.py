"""PostgreSQL and Valkey whose packets are dropped, as in a failover: nothing closes, and nothing answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient

from langgraph_agents_service import local
from langgraph_agents_service.configuration.settings import DatabaseSettings, Settings
from langgraph_agents_service.persistence import valkey_client
from langgraph_agents_service.persistence.database import Database
from tests.service.databases import migrated
from tests.service.processes import Process, processes
from tests.service.silence import by_tcp, needed, silent, unconnectable, unreachable
from tests.service.test_faults import HEADERS, STEPS, journal_of, until

pytestmark = [pytest.mark.e2e, needed]

SECONDS = 60


@pytest.fixture(scope="module")
def database_uri(postgres: local.Postgres) -> str:
    """A database of their own: whatever else serves here would take up these runs."""
    return migrated(postgres, "silence")


@pytest.mark.nightly
async def test_a_statement_of_postgresql_in_flight_goes_on(database_uri: str) -> None:
    async with _opened(database_uri) as (database, uri):
        asking = asyncio.create_task(database.fetch("SELECT pg_sleep(2), 2 AS two", patient=True))
        await asyncio.sleep(0.5)
        with silent(uri):
            async with asyncio.timeout(SECONDS):
                (row,) = await asking
    assert row["two"] == 2


@pytest.mark.nightly
async def test_idle_connections_of_postgresql_are_given_up(database_uri: str) -> None:
    async with _opened(database_uri) as (database, uri):
        await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.2)") for _ in range(5)))
        await asyncio.sleep(1.5)
        with silent(uri):
            async with asyncio.timeout(SECONDS):
                assert await database.fetch("SELECT 1 AS one", patient=True) == [{"one": 1}]


@asynccontextmanager
async def _opened(database_uri: str) -> AsyncIterator[tuple[Database, str]]:
    with by_tcp(database_uri) as uri:
        database = Database(DatabaseSettings(database_uri=uri, database_pool_min_size=5))
        await database.open()
        await database.pool.wait()
        try:
            yield database, uri
        finally:
            await database.close()


@pytest.mark.nightly
async def test_a_command_of_valkey_in_flight_goes_on(valkey_uri: str) -> None:
    client = _client(valkey_uri)
    try:
        await client.rpush("answer", "first")
        asking = asyncio.create_task(client.blpop(["nothing"], timeout=2))
        await asyncio.sleep(0.5)
        with silent(valkey_uri):
            async with asyncio.timeout(SECONDS):
                assert await asking is None
                assert await client.lpop("answer") == b"first"
    finally:
        await client.aclose()


@pytest.mark.nightly
@pytest.mark.parametrize("idle", [1, 40])
async def test_idle_connections_of_valkey_are_given_up(valkey_uri: str, idle: int) -> None:
    client = _client(valkey_uri)
    try:
        await asyncio.gather(*(client.blpop([f"nothing-{n}"], timeout=1) for n in range(5)))
        with silent(valkey_uri):
            await asyncio.sleep(idle)
            began = time.monotonic()
            async with asyncio.timeout(SECONDS):
                await asyncio.gather(*(client.ping() for _ in range(5)))
            if idle > 30:
                assert time.monotonic() - began < 3, "they were closed while they were idle"
    finally:
        await client.aclose()


def _client(valkey_uri: str) -> Any:
    """As the service has it. Any: the client's methods say that they may be synchronous."""
    settings = Settings(checkpointer="valkey", redis_uri=valkey_uri, api_keys="a-key-of-sixteen-characters")
    return valkey_client.connect(settings, connections=20)


@pytest.mark.parametrize("kept", ["postgres", "valkey"])
async def test_a_run_goes_on(database_uri: str, valkey_uri: str, tmp_path: Path, kept: str) -> None:
    """The connections stay silent, as those to the instance that is gone; new ones are answered."""
    with by_tcp(database_uri) as uri:
        address = uri if kept == "postgres" else valkey_uri
        with running(kept, address, tmp_path) as process:
            thread_id, run_id = await _begun(process.client(), tmp_path)
            with silent(address, process.pid):
                await _ended(process.client(), thread_id, run_id)


@pytest.mark.nightly
async def test_a_run_outlives_a_postgresql_that_is_silent_for_a_while(
    database_uri: str, tmp_path: Path
) -> None:
    with by_tcp(database_uri) as uri, running("postgres", uri, tmp_path) as process:
        thread_id, run_id = await _begun(process.client(), tmp_path)
        with unreachable(uri):
            await asyncio.sleep(20)
        await _ended(process.client(), thread_id, run_id)


@pytest.mark.nightly
@pytest.mark.parametrize("how", [unreachable, unconnectable])
async def test_a_run_outlives_a_valkey_that_takes_no_connection_for_a_while(
    valkey_uri: str, tmp_path: Path, how: Callable[[str], AbstractContextManager[None]]
) -> None:
    """Requests meanwhile are answered as ever, or told to come again."""
    prefix = f"{how.__name__}:"
    with running("valkey", valkey_uri, tmp_path, cache_key_prefix=prefix) as process:
        client = process.client()
        known = (await client.threads.create())["thread_id"]
        await client.runs.wait(known, "steps", input={})
        async with httpx.AsyncClient(base_url=process.url, headers=HEADERS, timeout=SECONDS) as http:
            thread_id, run_id = await _begun(client, tmp_path)
            asking = asyncio.create_task(_answers(http, known, seconds=25))
            with how(valkey_uri):
                await asyncio.sleep(20)
            await _ended(client, thread_id, run_id)
            answers = await asking
    assert answers[-1][0] == 200
    for status, body, retry in answers:
        if status == 200:
            assert body["values"]["done"] == STEPS
        else:
            assert (status, retry) == (503, "1")


async def _answers(
    http: httpx.AsyncClient, thread_id: str, *, seconds: float
) -> list[tuple[int, Any, str | None]]:
    """How questions for the state of a thread are answered meanwhile, ten at a time."""
    answers: list[tuple[int, Any, str | None]] = []
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        asked = [http.get(f"/threads/{thread_id}/state") for _ in range(10)]
        answers += [
            (answer.status_code, answer.json(), answer.headers.get("retry-after"))
            for answer in await asyncio.gather(*asked)
        ]
        await asyncio.sleep(0.2)
    return answers


@pytest.mark.nightly
async def test_a_process_that_was_cut_off_keeps_nothing_of_a_run_that_went_on_elsewhere(
    database_uri: str, tmp_path: Path
) -> None:
    """It is silent for longer than its lease, and goes on with its step when it hears again."""
    given: dict[str, Any] = {"durability": "sync", "lease_seconds": 4, "steps_journal": tmp_path / "journal"}
    journal = tmp_path / "journal"
    with (
        by_tcp(database_uri) as cut,
        processes(1, database_uri=cut, **given) as (lost,),
        processes(1, database_uri=database_uri, **given) as (other,),
    ):
        thread_id, run_id = await _begun(lost.client(), tmp_path)
        assert journal_of(journal)[-1][2] == lost.pid
        with unreachable(cut):
            await until(lambda: journal_of(journal)[-1][2] == other.pid, SECONDS)
        await _ended(other.client(), thread_id, run_id)
        await asyncio.sleep(5)  # whatever the other one had begun would have come to its end by now
        await _ended(other.client(), thread_id, run_id)
        assert lost.alive


@contextmanager
def running(kept: str, address: str, folder: Path, **settings: Any) -> Iterator[Process]:
    server = {"database_uri" if kept == "postgres" else "redis_uri": address}
    with processes(
        1,
        checkpointer=kept,
        durability="sync",
        lease_seconds=15,
        steps_journal=folder / "journal",
        **server,
        **settings,
    ) as (process,):
        yield process


async def _begun(client: LangGraphClient, folder: Path) -> tuple[str, str]:
    """A run of four seconds in its second step."""
    thread_id = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread_id, "steps", input={"seconds": 1, "tag": "t"})
    await until(lambda: any(step == "two" for _, step, _ in journal_of(folder / "journal")))
    return thread_id, run["run_id"]


async def _ended(client: LangGraphClient, thread_id: str, run_id: str) -> None:
    """Asked for and read on new connections too, so that the answer may take as long as one that is given up."""
    async with asyncio.timeout(SECONDS):
        status = "running"
        while status in ("pending", "running"):
            await asyncio.sleep(0.2)
            with suppress(httpx.HTTPError):
                status = (await client.runs.get(thread_id, run_id))["status"]
    assert status == "success"
    state: Any = await client.threads.get_state(thread_id)
    assert state["values"]["done"] == STEPS
