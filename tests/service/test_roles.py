"""Processes that only answer, beside others that only execute."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from langgraph_agents_service import local
from langgraph_agents_service.configuration.settings import Settings
from tests.service.databases import migrated
from tests.service.processes import Process, agent, processes
from tests.service.serving import GRAPHS, Served, serving
from tests.service.test_faults import HEADERS, STEPS, journal_of, until


@pytest.fixture(scope="module")
def split_uri(postgres: local.Postgres) -> str:
    """A database of their own: whatever else serves in the common one would take up these runs."""
    return migrated(postgres, "roles")


@pytest.fixture(scope="module")
def answering(split_uri: str) -> Iterator[Served]:
    with serving(database_uri=split_uri, process_role="answer") as served:
        yield served


@pytest.fixture(scope="module")
def executing(split_uri: str) -> Iterator[Served]:
    with serving(database_uri=split_uri, process_role="execute") as served:
        yield served


async def test_a_run_waits_until_a_process_executes_it(postgres: local.Postgres) -> None:
    uri = await asyncio.to_thread(migrated, postgres, "roles_alone")
    with serving(database_uri=uri, process_role="answer") as answering:
        client = answering.client()
        thread_id = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread_id, "steps", input={"tag": "waits"})
        await asyncio.sleep(1.5)  # three looks for runs that wait
        assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "pending"
        with serving(database_uri=uri, process_role="execute"):
            values: Any = await client.runs.join(thread_id, run["run_id"])
        assert values["done"] == STEPS


async def test_whoever_waits_on_an_answering_process_gets_what_another_one_executed(
    answering: Served, executing: Served
) -> None:
    client = answering.client()
    thread_id = (await client.threads.create())["thread_id"]
    for where in (thread_id, None):
        values: Any = await client.runs.wait(where, "steps", input={"tag": "x"})
        assert values["done"] == STEPS
    async with httpx.AsyncClient(headers=HEADERS, timeout=30) as direct:
        asked = {"assistant_id": "steps", "input": {"tag": "x"}}
        answer = await direct.post(f"{answering.url}/invoke", json=asked)
    assert answer.json()["output"]["done"] == STEPS
    assert answer.json()["thread_id"] is None
    assert answering.service.runner.running == []


@pytest.mark.parametrize("kept", [True, False], ids=["on a thread", "without a thread"])
async def test_a_stream_of_an_answering_process_has_every_event(
    answering: Served, executing: Served, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    async def too_late(_run_id: str) -> None:
        """As where the run has begun and ended before anybody asks for its events."""

    monkeypatch.setattr(answering.service.registry, "ask_for_events", too_late)
    client = answering.client()
    thread_id: Any = (await client.threads.create())["thread_id"] if kept else None
    stream = client.runs.stream(thread_id, "steps", input={"tag": "x"}, stream_mode="updates")
    parts = [part async for part in stream]
    steps = [name for part in parts if part.event == "updates" for name in part.data]
    assert steps == STEPS


async def test_a_thread_that_an_answering_process_makes_for_a_request_has_an_end(
    split_uri: str, answering: Served, executing: Served
) -> None:
    client = answering.client()
    before = {found["thread_id"] for found in await client.threads.search(limit=1000)}
    await client.runs.wait(None, "steps", input={"tag": "x"})
    with psycopg.connect(split_uri) as connection:
        rows = connection.execute("SELECT thread_id::text, ttl_minutes FROM agent_threads").fetchall()
    made = [minutes for thread_id, minutes in rows if thread_id not in before]
    assert made == [60.0]


async def test_every_process_tells_the_runs_that_wait_or_execute_in_all_of_them(
    answering: Served, executing: Served
) -> None:
    client = answering.client()
    thread_id = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread_id, "steps", input={"seconds": 1})
    await asyncio.sleep(2)  # it has been taken up, and both have said what they do
    # Not by the gauge: all services of this process have one.
    assert [each.service.runner.open_runs for each in (answering, executing)] == [1, 1]
    await client.runs.join(thread_id, run["run_id"])
    await asyncio.sleep(1.5)
    assert [each.service.runner.open_runs for each in (answering, executing)] == [0, 0]


async def test_an_executing_process_answers_probes_alone(executing: Served) -> None:
    async with httpx.AsyncClient(headers=HEADERS) as client:
        for path in ("/health", "/ready", "/ok"):
            assert (await client.get(executing.url + path)).status_code == 200
        for path in ("/threads/search", "/runs", "/invoke"):
            refused = await client.post(executing.url + path, json={})
            assert refused.status_code == 404
            assert "answers probes alone" in refused.text


def test_a_role_of_its_own_needs_runs_that_all_processes_see() -> None:
    for role in ("answer", "execute"):
        with pytest.raises(ValueError, match=f"PROCESS_ROLE={role} needs runs that all processes see"):
            Settings(checkpointer="memory", host="127.0.0.1", process_role=role)


ANSWERS = GRAPHS.with_name("answers.json")


@pytest.fixture(scope="module")
def alone(postgres: local.Postgres) -> Iterator[Served]:
    with serving(database_uri=migrated(postgres, "roles_all"), langgraph_config=ANSWERS) as served:
        yield served


@pytest.fixture(scope="module")
def beside_another(postgres: local.Postgres) -> Iterator[Served]:
    uri = migrated(postgres, "roles_answers")
    with (
        serving(database_uri=uri, langgraph_config=ANSWERS, process_role="answer") as served,
        serving(database_uri=uri, langgraph_config=ANSWERS, process_role="execute"),
    ):
        yield served


@pytest.fixture(params=["alone", "beside_another"])
def either(request: pytest.FixtureRequest) -> Served:
    """A service that does all in one process, and one that leaves its runs to another."""
    found: Served = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def asked(either: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=either.url, headers=HEADERS, timeout=30) as client:
        yield client


async def thread(client: httpx.AsyncClient) -> str:
    return f"/threads/{(await client.post('/threads', json={})).json()['thread_id']}"


@pytest.mark.parametrize(
    ("graph", "answer"), [("narrow", {"question": "why", "answer": "why!"}), ("function", "why!")]
)
async def test_an_answer_is_the_same_whichever_process_executed_the_run(
    asked: httpx.AsyncClient, graph: str, answer: Any
) -> None:
    body = {"assistant_id": graph, "input": {"question": "why"}}
    assert (await asked.post(f"{await thread(asked)}/runs/wait", json=body)).json() == answer
    assert (await asked.post("/runs/wait", json=body)).json() == answer
    assert (await asked.post("/invoke", json=body)).json()["output"] == answer
    path = f"{await thread(asked)}/runs"
    run = (await asked.post(path, json=body)).json()
    assert (await asked.get(f"{path}/{run['run_id']}/join")).json() == answer


async def test_each_of_the_runs_that_wait_for_one_thread_has_its_own_answer(asked: httpx.AsyncClient) -> None:
    path = f"{await thread(asked)}/runs/wait"
    bodies = [
        {"assistant_id": "narrow", "input": {"question": str(number)}, "multitask_strategy": "enqueue"}
        for number in range(5)
    ]
    answers = await asyncio.gather(*(asked.post(path, json=body) for body in bodies))
    assert [answer.json()["answer"] for answer in answers] == [f"{number}!" for number in range(5)]


async def test_an_input_that_the_graph_refuses_is_the_clients_mistake(asked: httpx.AsyncClient) -> None:
    body = {"assistant_id": "narrow", "input": 3}
    for path in (f"{await thread(asked)}/runs/wait", "/runs/wait", "/invoke"):
        answer = await asked.post(path, json=body)
        assert answer.status_code == 422
        assert "the graph refuses this input" in answer.text


async def test_who_waits_for_a_run_that_is_stopped_gets_nothing(asked: httpx.AsyncClient) -> None:
    path = f"{await thread(asked)}/runs"
    body = {"assistant_id": "narrow", "input": {"question": "why", "seconds": 20}}
    waiting = asyncio.create_task(asked.post(f"{path}/wait", json=body))
    while True:
        runs = (await asked.get(path)).json()
        if runs and runs[0]["status"] == "running":
            break
        await asyncio.sleep(0.05)
    await asked.post(f"{path}/{runs[0]['run_id']}/cancel")
    assert (await waiting).json() is None


@contextmanager
def split(uri: str, **settings: Any) -> Iterator[tuple[Process, Process, Process]]:
    """One process that answers and two that execute."""
    executing = {**settings, "process_role": "execute"}
    with (
        processes(1, database_uri=uri, process_role="answer", **settings) as (first,),
        processes(2, database_uri=uri, **executing) as (second, third),
    ):
        yield first, second, third


@pytest.mark.e2e
@pytest.mark.parametrize(
    "count", [200, pytest.param(10_000, marks=[pytest.mark.nightly, pytest.mark.timeout(1800)])]
)
async def test_no_submitted_run_is_lost_when_a_worker_is_killed(
    postgres: local.Postgres, tmp_path: Path, count: int
) -> None:
    uri = await asyncio.to_thread(migrated, postgres, f"roles_{count}")
    journal = tmp_path / "journal"
    with split(uri, steps_journal=journal, max_concurrent_runs=20) as (answering, victim, survivor):
        async with httpx.AsyncClient(base_url=answering.url, headers=HEADERS, timeout=120) as client:
            made: list[dict[str, Any]] = []
            for first in range(0, count, 100):
                bodies = [
                    {
                        "assistant_id": "steps",
                        "input": {"tag": str(number), "seconds": 0.02},
                        "on_completion": "keep",
                    }
                    for number in range(first, first + 100)
                ]
                answer = await client.post("/runs/batch", json=bodies)
                assert answer.status_code == 200, answer.text
                made += answer.json()
            await until(lambda: any(pid == victim.pid for _, _, pid in journal_of(journal)))
            victim.kill()
            left: dict[str, str] = {run["run_id"]: run["thread_id"] for run in made}
            assert len(left) == count
            deadline = time.monotonic() + 60 + count / 10
            for run_id, thread_id in left.items():
                path = f"/threads/{thread_id}/runs/{run_id}"
                run = (await client.get(path)).json()
                while run["status"] in ("pending", "running"):
                    assert time.monotonic() < deadline, run
                    await asyncio.sleep(0.2)
                    run = (await client.get(path)).json()
                assert run["status"] == "success", run
            assert {pid for _, _, pid in journal_of(journal)} == {victim.pid, survivor.pid}
            ends = Counter(tag for tag, step, _ in journal_of(journal) if step == "four")
            assert set(ends) == {str(number) for number in range(count)}
            # Of what the victim had in hand a last step may be done again, and of nothing else.
            assert ends.total() - count <= 20


@pytest.mark.e2e
async def test_who_waits_gets_the_answer_although_the_answering_process_is_asked_to_stop(
    postgres: local.Postgres, tmp_path: Path
) -> None:
    uri = await asyncio.to_thread(migrated, postgres, "roles_drain")
    journal = tmp_path / "journal"
    with split(uri, steps_journal=journal) as (answering, *_):
        async with httpx.AsyncClient(base_url=answering.url, headers=HEADERS, timeout=60) as client:
            asked = {"assistant_id": "steps", "input": {"tag": "x", "seconds": 1.5}}
            waiting = asyncio.create_task(client.post("/invoke", json=asked))
            await until(lambda: bool(journal_of(journal)))
            answering.terminate()
            assert (await waiting).json()["output"]["done"] == STEPS
        assert await asyncio.to_thread(answering.wait) == 0


def test_the_roles_are_told_where_one_is_unknown() -> None:
    done = agent("serve", process_role="work", checkpointer="memory")
    assert done.returncode == 1
    assert "PROCESS_ROLE" in done.stderr
