"""Secrets that change under a running service, and what two services on one storage see of each other."""

import asyncio
import os
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from langgraph_agents_service import local
from langgraph_agents_service.configuration.settings import DatabaseSettings, Settings, load
from langgraph_agents_service.persistence.migrate import migrate
from tests.service.serving import KEY, OTHER_KEY, Served, serving

SECRET = KEY.partition(":")[2]


def mount(folder: Path, **files: str) -> None:
    """Swap the files as the Secrets Store CSI driver does: a new directory, then one link renamed onto it."""
    version = folder / f"..{uuid.uuid4().hex}"
    version.mkdir()
    for name, value in files.items():
        (version / name).write_text(value)
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(Path("..data") / name)
    fresh = folder / "..data_tmp"
    fresh.symlink_to(version.name)
    fresh.rename(folder / "..data")


async def test_rotated_secrets_are_taken_over_without_a_failed_request(
    postgres: local.Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"r{uuid.uuid4().hex[:8]}"
    old_uri, new_uri = postgres.uri(name, login=name), postgres.uri(name, login=f"{name}b")
    for uri in (old_uri, new_uri):
        await migrate_as(postgres, uri, name)
    mount(tmp_path, DATABASE_URI=old_uri, API_KEYS=f"{KEY}\n")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    monkeypatch.setattr("langgraph_agents_service.configuration.secret_files.POLL_SECONDS", 0.05)
    monkeypatch.setenv("HOST", "127.0.0.1")
    given = load(Settings)
    with serving(
        secrets_dir=tmp_path, database_uri=given.database_uri, api_keys=f"{KEY}\n", rate_limit_per_minute=0
    ) as served:
        failures: list[Any] = []
        stop = asyncio.Event()

        async def load_it(http: httpx.AsyncClient) -> None:
            while not stop.is_set():
                body = {"assistant_id": "steps", "input": {}, "thread_id": str(uuid.uuid4())}
                answer = await http.post("/invoke", json=body)
                if answer.status_code != 200:
                    failures.append(answer.text)

        async with httpx.AsyncClient(
            base_url=served.url,
            headers={"X-API-Key": SECRET},
            verify=False,  # noqa: S501
            timeout=30,
        ) as http:
            workers = [asyncio.create_task(load_it(http)) for _ in range(4)]
            await asyncio.sleep(0.3)
            mount(tmp_path, DATABASE_URI=new_uri, API_KEYS=f"{KEY}\n{OTHER_KEY}\n")
            await logins_become(postgres, name, {f"{name}b"})
            stop.set()
            await asyncio.gather(*workers)
            other = {"X-API-Key": OTHER_KEY.partition(":")[2]}
            assert (await http.get("/openapi.json", headers=other)).status_code == 200
            mount(tmp_path, DATABASE_URI=new_uri, API_KEYS=f"{OTHER_KEY}\n")
            deadline = time.monotonic() + 10
            while (await http.get("/openapi.json")).status_code != 401:
                assert time.monotonic() < deadline, "the withdrawn key still opens"
                await asyncio.sleep(0.05)
        assert failures == []


async def migrate_as(postgres: local.Postgres, uri: str, owner: str) -> None:
    settings = DatabaseSettings(database_uri=uri, database_admin_uri=postgres.admin_uri)
    if uri == postgres.uri(owner, login=owner):
        await migrate(settings)
        return
    # The second login of an alternating rotation is a member of the first.
    async with await psycopg.AsyncConnection.connect(postgres.admin_uri, autocommit=True) as connection:
        await connection.execute(f'CREATE ROLE "{owner}b" LOGIN IN ROLE "{owner}"')
        await connection.execute(f'GRANT CONNECT ON DATABASE "{owner}" TO "{owner}b"')


async def logins_become(postgres: local.Postgres, database: str, logins: set[str]) -> None:
    deadline = time.monotonic() + 20
    query = "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = %s AND usename IS NOT NULL"
    async with await psycopg.AsyncConnection.connect(postgres.admin_uri, autocommit=True) as connection:
        while True:
            found = {row[0] for row in await (await connection.execute(query, (database,))).fetchall()}
            if found == logins:
                return
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.05)


async def test_other_secret_files_become_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from langgraph_agents_service.configuration import secret_files

    monkeypatch.setenv("SOME_PROVIDER_API_KEY", "before")
    mount(tmp_path, SOME_PROVIDER_API_KEY="after\n", DATABASE_URI="postgresql://never/exported")
    monkeypatch.delenv("DATABASE_URI", raising=False)
    secret_files.export(tmp_path)
    assert os.environ["SOME_PROVIDER_API_KEY"] == "after"
    assert "DATABASE_URI" not in os.environ


@pytest.fixture
def neighbour(database_uri: str) -> Any:
    """A second service on the PostgreSQL of `on_postgres`."""
    with serving(database_uri=database_uri) as served:
        yield served


async def test_a_run_is_joined_streamed_and_cancelled_from_another_process(
    on_postgres: Served, neighbour: Served
) -> None:
    here, there = on_postgres.client(), neighbour.client()
    thread_id = (await here.threads.create())["thread_id"]
    given: dict[str, Any] = {"seconds": 0.4}
    run = await here.runs.create(thread_id, "steps", input=given, stream_mode=["updates"])
    assert (await there.threads.get(thread_id))["status"] == "busy"
    parts = [part async for part in there.runs.join_stream(thread_id, run["run_id"])]
    assert [next(iter(p.data)) for p in parts if p.event == "updates"] == ["one", "two", "three", "four"]
    assert parts[-1].event == "end"
    joined = await there.runs.join(thread_id, run["run_id"])
    assert joined["done"] == ["one", "two", "three", "four"]
    given = {"seconds": 30}
    run = await here.runs.create(thread_id, "steps", input=given)
    with pytest.raises(Exception, match="active"):
        await there.runs.create(thread_id, "steps", input=given, multitask_strategy="reject")
    await there.runs.cancel(thread_id, run["run_id"], wait=True)
    assert (await here.runs.get(thread_id, run["run_id"]))["status"] == "interrupted"


async def test_a_run_of_another_process_is_cancelled_when_its_reader_leaves(
    on_postgres: Served, neighbour: Served
) -> None:
    here = on_postgres.client()
    thread_id = (await here.threads.create())["thread_id"]
    given: dict[str, Any] = {"seconds": 30}
    run = await here.runs.create(thread_id, "steps", input=given)
    path = f"/threads/{thread_id}/runs/{run['run_id']}/stream?cancel_on_disconnect=true"
    headers = {"X-API-Key": SECRET}
    async with (
        httpx.AsyncClient(base_url=neighbour.url, headers=headers) as http,
        http.stream("GET", path),
    ):
        await asyncio.sleep(0.5)
    async with asyncio.timeout(10):
        while (await here.runs.get(thread_id, run["run_id"]))["status"] == "running":  # noqa: ASYNC110 (elsewhere)
            await asyncio.sleep(0.05)
    assert (await here.runs.get(thread_id, run["run_id"]))["status"] == "interrupted"


async def test_runs_that_several_processes_start_on_a_thread_go_one_after_the_other(
    on_postgres: Served, neighbour: Served
) -> None:
    clients = [on_postgres.client(), neighbour.client()]
    thread_id = (await clients[0].threads.create())["thread_id"]
    inputs: list[dict[str, Any]] = [{"seconds": 0.01, "done": [f"run {n}"]} for n in range(6)]
    await asyncio.gather(
        *(
            clients[n % 2].runs.wait(thread_id, "steps", input=given, multitask_strategy="enqueue")
            for n, given in enumerate(inputs)
        )
    )
    state: Any = await clients[0].threads.get_state(thread_id)
    done = state["values"]["done"]
    chunks = [done[start : start + 5] for start in range(0, len(done), 5)]
    assert sorted(chunk[0] for chunk in chunks) == [f"run {n}" for n in range(6)]
    assert all(chunk[1:] == ["one", "two", "three", "four"] for chunk in chunks)


async def test_of_many_runs_at_once_on_a_thread_only_one_begins_where_others_are_refused(
    on_postgres: Served, neighbour: Served
) -> None:
    clients = [on_postgres.client(), neighbour.client()]
    thread_id = (await clients[0].threads.create())["thread_id"]
    given: dict[str, Any] = {"seconds": 0.3}
    results = await asyncio.gather(
        *(
            clients[n % 2].runs.create(thread_id, "steps", input=given, multitask_strategy="reject")
            for n in range(10)
        ),
        return_exceptions=True,
    )
    begun: list[Any] = [result for result in results if not isinstance(result, BaseException)]
    assert len(begun) == 1
    await clients[1].runs.join(thread_id, begun[0]["run_id"])


async def test_a_run_that_nobody_executes_although_it_is_held_is_taken_up_again(
    on_postgres: Served, database_uri: str
) -> None:
    client = on_postgres.client()
    thread_id = (await client.threads.create())["thread_id"]
    given: dict[str, Any] = {"seconds": 0}
    run = await client.runs.create(thread_id, "steps", input=given)
    await client.runs.join(thread_id, run["run_id"])
    worker_id = on_postgres.service.registry.worker_id
    async with await psycopg.AsyncConnection.connect(database_uri, autocommit=True) as connection:
        # As after a crash of the database that has forgotten the run's end, whose commit was not waited for.
        await connection.execute(
            "UPDATE agent_runs SET status = 'running', worker_id = %s WHERE run_id = %s",
            (worker_id, run["run_id"]),
        )
    values = await client.runs.join(thread_id, run["run_id"])
    assert values["done"] == ["one", "two", "three", "four"], "no step ran again"
    assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "success"
