"""CHECKPOINT_HISTORY=keep_latest: threads lose their older checkpoints while they are used, and nothing else."""

import asyncio
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from langgraph_agents_service import local
from langgraph_agents_service.configuration.settings import CheckpointHistory
from langgraph_agents_service.persistence import shortening
from langgraph_agents_service.persistence.checkpointers import removal
from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.persistence.sweep import sweep
from langgraph_agents_service.projects.config import ThreadTtl
from tests.service.databases import migrated
from tests.service.serving import GRAPHS, Served, serving

pytestmark = pytest.mark.skipif(
    not removal.CAN_KEEP_LATEST, reason="langgraph-checkpoint-postgres before 3.2 cannot shorten threads"
)

TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
PROJECT = GRAPHS.with_name("shortened.json")
NEVER_BY_ITSELF = ThreadTtl(sweep_interval_minutes=1e6)


@pytest.fixture(scope="module")
def database_uri(postgres: local.Postgres) -> str:
    """A database of its own: all threads in it are shortened."""
    return migrated(postgres, "keep_latest")


@pytest.fixture(scope="module")
def served(database_uri: str) -> Iterator[Served]:
    with serving(checkpointer="postgres", database_uri=database_uri, langgraph_config=PROJECT) as served:
        yield served


async def shorten(database: Database) -> int:
    return await sweep(database, NEVER_BY_ITSELF, keep_latest=True)


async def rows(database: Database, thread_id: str) -> dict[str, int]:
    return {
        table: (
            await database.fetch(f"SELECT count(*) AS n FROM {table} WHERE thread_id = %s", (thread_id,))  # noqa: S608
        )[0]["n"]
        for table in TABLES
    }


async def said(client: LangGraphClient, thread_id: str) -> list[str]:
    state: Any = await client.threads.get_state(thread_id)
    return [message["content"] for message in state["values"]["messages"]]


async def ask(client: LangGraphClient, thread_id: str, text: str) -> Any:
    asked: Any = {"messages": [{"role": "user", "content": text}]}
    return await client.runs.wait(thread_id, "agent", input=asked)


async def new_thread(client: LangGraphClient) -> str:
    return str((await client.threads.create())["thread_id"])


async def test_a_thread_of_many_turns_keeps_its_answers_and_goes_on_as_before(
    client: LangGraphClient, database: Database
) -> None:
    shortened, whole = await new_thread(client), await new_thread(client)
    for number in range(6):
        for thread_id in (shortened, whole):
            await ask(client, thread_id, f"What is {number} * 7?")
        await database.fetch("UPDATE agent_threads SET swept_at = now() WHERE thread_id = %s", (whole,))
        await shorten(database)
        assert (await rows(database, shortened))["checkpoints"] == 1
        assert await said(client, shortened) == await said(client, whole)
    before, after = await rows(database, whole), await rows(database, shortened)
    assert all(after[table] * 6 <= before[table] for table in ("checkpoints", "checkpoint_blobs"))
    assert len(await client.threads.get_history(shortened)) == 1
    assert await shorten(database) == 0, "what has not changed is not looked at again"


async def test_an_interrupted_thread_resumes_after_it_was_shortened(
    client: LangGraphClient, database: Database
) -> None:
    thread_id = await new_thread(client)
    for _ in range(3):
        await client.runs.wait(thread_id, "ask", input={})
        await client.runs.wait(thread_id, "ask", command={"resume": "earlier"})
    await client.runs.wait(thread_id, "ask", input={})
    assert await shorten(database) >= 1
    thread = await client.threads.get(thread_id)
    assert thread["status"] == "interrupted"
    assert thread["interrupts"]
    values: Any = await client.runs.wait(thread_id, "ask", command={"resume": "yes"})
    assert values["done"] == ["earlier", "earlier", "earlier", "yes"]


async def test_what_subgraphs_remember_is_kept_and_an_interrupt_within_one_resumes(
    client: LangGraphClient, database: Database
) -> None:
    thread_id = await new_thread(client)
    for call in range(1, 4):
        await client.runs.wait(thread_id, "remembering", input={})
        before: Any = await client.threads.get_state(thread_id, subgraphs=True)
        assert before["tasks"][0]["state"]["values"]["prepared"]
        assert await shorten(database) >= 1
        after: Any = await client.threads.get_state(thread_id, subgraphs=True)
        # Of the older checkpoints nothing is said any more; everything else is as it was.
        for state in (before, after):
            for name in ("parent_checkpoint", "parent_checkpoint_id"):
                state["tasks"][0]["state"][name] = None
        assert after["tasks"] == before["tasks"]
        values: Any = await client.runs.wait(thread_id, "remembering", command={"resume": f"answer {call}"})
        assert values["seen"] == ["call"] * call, "the subgraph remembers all its calls"
        assert values["answers"][-1] == f"answer {call}"
    await shorten(database)
    namespaces = await database.fetch(
        "SELECT checkpoint_ns, count(*) AS n FROM checkpoints WHERE thread_id = %s GROUP BY 1", (thread_id,)
    )
    assert {row["checkpoint_ns"]: row["n"] for row in namespaces} == {"": 1, "remember": 1}


@pytest.mark.parametrize("begins", ["before", "and ends", "meanwhile"])
async def test_a_run_in_flight_loses_nothing(
    client: LangGraphClient, database: Database, monkeypatch: pytest.MonkeyPatch, begins: str
) -> None:
    """It goes on from an earlier checkpoint, which is what a removal would take away from it."""
    thread_id = await new_thread(client)
    await client.runs.wait(thread_id, "steps", input={"tag": "t"})
    history: Any = await client.threads.get_history(thread_id)
    (middle,) = [state for state in history if state["next"] == ["three"]]
    run: dict[str, Any] = {}

    async def begin() -> None:
        run.update(
            await client.runs.create(
                thread_id, "steps", input=None, checkpoint_id=middle["checkpoint"]["checkpoint_id"]
            )
        )

    async def removing_first(connection: Any, which: str) -> None:
        if which == thread_id and begins == "and ends":
            await begin()
            await client.runs.join(thread_id, run["run_id"])
        await removal.keep_latest(connection, which)
        if which == thread_id and begins == "meanwhile":
            await begin()

    monkeypatch.setattr(shortening, "keep_latest", removing_first)
    if begins == "before":
        gate = await client.runs.create(thread_id, "begin", input={"seconds": 1})
        await begin()
        await shorten(database)
        await client.runs.join(thread_id, gate["run_id"])
    else:
        await shorten(database)
    values: Any = await client.runs.join(thread_id, run["run_id"])
    assert values["done"] == ["one", "two", "three", "four"]
    assert (await rows(database, thread_id))["checkpoints"] > len(history)


async def test_a_thread_that_is_being_changed_by_hand_is_left_for_later(
    client: LangGraphClient, served: Served, database: Database
) -> None:
    thread_id = await new_thread(client)
    await client.runs.wait(thread_id, "steps", input={})
    async with served.service.registry.alone(thread_id):
        await shorten(database)
        assert (await rows(database, thread_id))["checkpoints"] > 1
    await shorten(database)
    assert (await rows(database, thread_id))["checkpoints"] == 1


async def test_one_process_shortens_at_a_time(client: LangGraphClient, database: Database) -> None:
    thread_id = await new_thread(client)
    await client.runs.wait(thread_id, "steps", input={})
    async with database.alone(shortening.LOCK):
        assert await shorten(database) == 0
    assert (await rows(database, thread_id))["checkpoints"] > 1


async def test_a_process_that_is_killed_while_it_shortens_takes_nothing_along(
    client: LangGraphClient, database: Database, database_uri: str
) -> None:
    threads = [await new_thread(client) for _ in range(8)]
    for thread_id in threads:
        for number in range(4):
            await ask(client, thread_id, f"What is {number} * 7?")
    before = {thread_id: await said(client, thread_id) for thread_id in threads}
    for delay in (0.0, 0.02, 0.05):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _SHORTEN, database_uri, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"now\n"
        await asyncio.sleep(delay)
        process.kill()
        await process.wait()
        await database.fetch("DELETE FROM agent_locks")  # as if its time were over
        for thread_id in threads:
            found = await rows(database, thread_id)
            assert found["checkpoints"] == 1 or found["checkpoints"] > 10, "all of them, or as before"
            assert await said(client, thread_id) == before[thread_id]
    await shorten(database)
    for thread_id in threads:
        assert (await rows(database, thread_id))["checkpoints"] == 1
        assert await said(client, thread_id) == before[thread_id]
        await ask(client, thread_id, "What is 6 * 7?")
        assert (await said(client, thread_id))[:-2][: len(before[thread_id])] == before[thread_id]


_SHORTEN = """
import asyncio, sys
from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.persistence.sweep import sweep
from langgraph_agents_service.projects.config import ThreadTtl

async def main():
    database = Database(DatabaseSettings(database_uri=sys.argv[1]))
    await database.open()
    print("now", flush=True)
    await sweep(database, ThreadTtl(), keep_latest=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_lifetime_still_ends_a_thread_that_was_shortened(
    client: LangGraphClient, database: Database
) -> None:
    thread_id = str((await client.threads.create(ttl=1))["thread_id"])
    await client.runs.wait(thread_id, "steps", input={})
    await shorten(database)
    assert (await rows(database, thread_id))["checkpoints"] == 1
    await database.fetch(
        "UPDATE agent_threads SET updated_at = now() - interval '2 minutes' WHERE thread_id = %s",
        (thread_id,),
    )
    await shorten(database)
    assert await rows(database, thread_id) == dict.fromkeys(TABLES, 0)


@pytest.mark.parametrize("history", list(CheckpointHistory))
async def test_the_service_shortens_threads_by_itself_where_it_is_told_to(
    database_uri: str, database: Database, tmp_path: Any, history: CheckpointHistory
) -> None:
    project = tmp_path / "langgraph.json"
    project.write_text(_PROJECT)
    with serving(
        checkpointer="postgres",
        database_uri=database_uri,
        langgraph_config=project,
        checkpoint_history=history,
    ) as served:
        async with served.client() as client:
            thread_id = str(uuid.uuid4())
            await client.runs.wait(thread_id, "agent", input={"messages": []}, if_not_exists="create")
            deadline = time.monotonic() + (10 if history is CheckpointHistory.KEEP_LATEST else 1)
            while (found := (await rows(database, thread_id))["checkpoints"]) > 1:
                if time.monotonic() > deadline:
                    break
                await asyncio.sleep(0.05)
            assert (found == 1) is (history is CheckpointHistory.KEEP_LATEST)


_PROJECT = """{
  "dependencies": ["."],
  "graphs": {"agent": "langgraph_agents_service.reference.agent:make_graph"},
  "checkpointer": {"ttl": {"sweep_interval_minutes": 0.005}}
}"""
