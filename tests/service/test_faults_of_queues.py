"""Runs that wait, or are to be undone, when the process dies that has them."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

from langgraph_agents_service import local
from tests.service.databases import migrated
from tests.service.processes import Process, processes
from tests.service.test_faults import STEPS, journal_of, until
from tests.service.test_hostile_graphs import HOSTILE

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def database_uri(postgres: local.Postgres) -> str:
    """A database of their own: whatever else serves here would take up these runs."""
    return migrated(postgres, "queues")


async def undone(client: LangGraphClient, thread_id: str, run_id: str) -> bool:
    try:
        await client.runs.get(thread_id, run_id)
    except NotFoundError:
        return True
    return False


async def held(pair: list[Process], journal: Path, thread_id: str, tag: str) -> tuple[str, Process, Process]:
    """A run in its third step; the process that executes it, and the other one."""
    given: dict[str, Any] = {"seconds": 0.4, "tag": tag, "done": [tag]}
    run = await pair[0].client().runs.create(thread_id, "steps", input=given, durability="sync")
    await until(lambda: any(step == "three" for _, step, _ in journal_of(journal)))
    victim = next(p for p in pair if p.pid == journal_of(journal)[-1][2])
    return run["run_id"], victim, next(p for p in pair if p is not victim)


@pytest.mark.parametrize("how", ["asked", "superseded"])
async def test_a_run_is_undone_although_its_process_died(database_uri: str, tmp_path: Path, how: str) -> None:
    journal = tmp_path / "journal"
    with processes(2, database_uri=database_uri, steps_journal=journal) as pair:
        thread_id = (await pair[0].client().threads.create())["thread_id"]
        before: dict[str, Any] = {"done": ["before"]}
        await pair[0].client().runs.wait(thread_id, "ask", input=before)
        run_id, victim, survivor = await held(pair, journal, thread_id, "first")
        victim.kill()
        client = survivor.client()
        expected = ["before"]
        if how == "asked":
            await client.runs.cancel(thread_id, run_id, action="rollback", wait=True)
        else:
            given: dict[str, Any] = {"done": ["second"], "tag": "second"}
            values: Any = await client.runs.wait(
                thread_id, "steps", input=given, multitask_strategy="rollback"
            )
            expected = ["before", "second", *STEPS]
            assert values["done"] == expected
        assert await undone(client, thread_id, run_id)
        state: Any = await client.threads.get_state(thread_id)
        assert state["values"]["done"] == expected
        assert Counter(s for tag, s, _ in journal_of(journal) if tag == "first") == {
            "one": 1,
            "two": 1,
            "three": 1,
        }
        history = await client.threads.get_history(thread_id, limit=100)
        assert run_id not in {(found["metadata"] or {}).get("run_id") for found in history}


async def test_a_run_whose_cancel_was_answered_is_not_executed_again_although_its_process_died(
    database_uri: str,
) -> None:
    with processes(2, database_uri=database_uri, langgraph_config=HOSTILE) as (victim, survivor):
        thread_id = (await victim.client().threads.create())["thread_id"]
        given: dict[str, Any] = {"how": "swallow"}
        run = await victim.client().runs.create(thread_id, "misbehaving", input=given)
        await victim.client().runs.cancel(thread_id, run["run_id"])
        victim.kill()
        client = survivor.client()
        await client.runs.join(thread_id, run["run_id"])
        assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "interrupted"
        assert (await client.threads.get(thread_id))["status"] == "interrupted"
        state: Any = await client.threads.get_state(thread_id)
        assert "text" not in state["values"]


async def test_queued_runs_go_on_in_order_when_the_process_dies_that_executes_one(
    database_uri: str, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    with processes(2, database_uri=database_uri, steps_journal=journal) as pair:
        thread_id = (await pair[0].client().threads.create())["thread_id"]
        first, victim, survivor = await held(pair, journal, thread_id, "0")
        waiting = []
        for number, process in ((1, victim), (2, survivor)):
            given: dict[str, Any] = {"tag": str(number), "done": [str(number)], "seconds": 0}
            waiting.append(await process.client().runs.create(thread_id, "steps", input=given))
        victim.kill()
        client = survivor.client()
        values: Any = await client.runs.join(thread_id, waiting[-1]["run_id"])
        assert values["done"] == ["0", *STEPS, "1", *STEPS, "2", *STEPS]
        statuses = [run["status"] for run in await client.runs.list(thread_id)]
        assert statuses == ["success"] * 3
        began = Counter((tag, step) for tag, step, _ in journal_of(journal))
        assert began.pop(("0", "three")) == 2, "the killed step begins again"
        assert set(began.values()) == {1}
        assert not await undone(client, thread_id, first)


async def test_a_run_that_waits_for_its_time_is_executed_once_although_its_process_died(
    database_uri: str, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    with processes(2, database_uri=database_uri, steps_journal=journal) as (first, second):
        thread_id = (await first.client().threads.create())["thread_id"]
        given: dict[str, Any] = {"tag": "late", "seconds": 0}
        run = await first.client().runs.create(thread_id, "steps", input=given, after_seconds=2)
        first.kill()
        assert journal_of(journal) == []
        values: Any = await second.client().runs.join(thread_id, run["run_id"])
        assert values["done"] == STEPS
        assert Counter(step for _, step, _ in journal_of(journal)) == dict.fromkeys(STEPS, 1)
