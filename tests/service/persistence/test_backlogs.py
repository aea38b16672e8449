"""What a run has left to be written takes a bounded memory: it waits for a database that is slower than its graph."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from langgraph_agents_service.persistence import batcher
from langgraph_agents_service.persistence.batcher import Batcher
from langgraph_agents_service.persistence.checkpointers.backlog import BACKLOG_BYTES, Backlog
from langgraph_agents_service.persistence.checkpointers.postgres import GroupCommitSaver
from tests.service.serving import serving

SLOW = Path(__file__).parents[1] / "graphs" / "slow.json"
SIZE = 1_000_000


async def test_a_run_that_is_quicker_than_its_database_waits_for_it(
    database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = GroupCommitSaver._flush

    async def slowly(saver: GroupCommitSaver, items: Any) -> Any:
        await asyncio.sleep(0.1)
        return await flush(saver, items)

    monkeypatch.setattr(GroupCommitSaver, "_flush", slowly)
    sizes = []
    with serving(database_uri=database_uri, langgraph_config=SLOW) as served:
        async with served.client() as client:
            thread_id = (await client.threads.create())["thread_id"]
            given: Any = {"size": SIZE, "steps": 12}
            run = await client.runs.create(thread_id, "growing", input=given)
            (execution,) = [e for e in served.service.runner.running if e.run.run_id == run["run_id"]]
            while not execution.outcome.done():
                sizes.append(execution.backlog.size)
                await asyncio.sleep(0.01)
            state: Any = await client.threads.get_state(thread_id)
    assert len(state["values"]["done"]) == 13
    assert BACKLOG_BYTES < max(sizes) < BACKLOG_BYTES + 2 * SIZE


async def waits(waiting: Awaitable[None]) -> bool:
    try:
        await asyncio.wait_for(waiting, 0.05)
    except TimeoutError:
        return True
    return False


async def test_what_belongs_to_a_checkpoint_that_is_there_is_not_waited_for() -> None:
    backlog = Backlog(100)
    backlog.keep("", "5")
    backlog.add("", "5", 200)
    assert not await waits(backlog.room())
    backlog.add("", "6", 200)
    backlog.add("", "7", 50)
    backlog.keep("child", "9")
    assert await waits(backlog.room())
    backlog.keep("", "6")
    assert not await waits(backlog.room())
    assert backlog.size == 50


async def test_a_run_whose_checkpoint_could_not_be_written_waits_no_more() -> None:
    backlog = Backlog(100)
    backlog.add("", "6", 200)
    waiting = asyncio.create_task(backlog.room())
    await asyncio.sleep(0)
    backlog.give_up()
    assert not await waits(waiting)


async def test_a_batch_weighs_no_more_than_the_limit_unless_it_is_one_item(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batcher, "BATCH_BYTES", 10)
    batches: list[list[int]] = []

    async def flush(items: list[int]) -> list[int]:
        batches.append(items)
        return items

    weighed = Batcher(flush, weigh=lambda item: item)
    assert await asyncio.gather(*(weighed.submit(n) for n in (4, 4, 4, 20, 1, 9))) == [4, 4, 4, 20, 1, 9]
    assert batches == [[4, 4], [4], [20], [1, 9]]
