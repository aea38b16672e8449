"""Nodes that are not async wait in threads: as many at once as there are runs, and the metrics say how many."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from tests.service.serving import Served, serving

SLOW = Path(__file__).parent / "graphs" / "slow.json"
RUNS = 40


def gauge(state: str) -> float:
    return REGISTRY.get_sample_value("agent_sync_threads", {"state": state}) or 0.0


async def all_rest(seconds: float = 5) -> None:
    """A thread is free a moment after its run has ended."""
    async with asyncio.timeout(seconds):
        while True:
            if gauge("busy") == gauge("waiting") == 0:
                break
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
async def _all_rest_before() -> None:
    """The metrics are the process's, and a node of another test may sleep for a minute after its run was cancelled."""
    await all_rest(90)


async def all_of(served: Served, seconds: float) -> tuple[float, float, float]:
    """How long so many runs take at once, and how many threads were busy and how many runs waited for one."""
    async with served.client() as client:
        given: Any = {"seconds": seconds}
        begin = time.monotonic()
        runs = [asyncio.create_task(client.runs.wait(None, "waiting", input=given)) for _ in range(RUNS)]
        busy = waiting = 0.0
        while not all(run.done() for run in runs):
            busy, waiting = max(busy, gauge("busy")), max(waiting, gauge("waiting"))
            await asyncio.sleep(0.02)
        for run in runs:
            assert dict(run.result())["text"] == "waited"  # type: ignore[arg-type]
        return time.monotonic() - begin, busy, waiting


async def test_as_many_sync_nodes_wait_at_once_as_there_are_places_for_runs() -> None:
    with serving(checkpointer="memory", langgraph_config=SLOW) as served:
        seconds, busy, _ = await all_of(served, 2)
    assert seconds < 8, "one after the other in six threads they would take fourteen"
    assert busy == RUNS
    await all_rest()


async def test_sync_nodes_beyond_the_threads_wait_and_are_counted() -> None:
    with serving(checkpointer="memory", langgraph_config=SLOW, sync_threads=4) as served:
        _, busy, waiting = await all_of(served, 0.1)
    assert busy == 4
    assert RUNS / 2 < waiting <= RUNS - 4
    await all_rest()


async def test_a_sync_node_that_is_cancelled_before_it_begins_waits_no_more() -> None:
    with serving(checkpointer="memory", langgraph_config=SLOW, sync_threads=1) as served:
        async with served.client() as client:
            runs = []
            for _ in range(3):
                thread_id = (await client.threads.create())["thread_id"]
                run = await client.runs.create(thread_id, "waiting", input={"seconds": 2})
                runs.append((thread_id, run["run_id"]))
            async with asyncio.timeout(10):
                while True:
                    if gauge("waiting") == 2:
                        break
                    await asyncio.sleep(0.02)
            await client.runs.cancel(*runs[-1], wait=True)
            assert (gauge("busy"), gauge("waiting")) == (1, 1)
            for thread_id, run_id in runs[:-1]:
                await client.runs.join(thread_id, run_id)
    await all_rest()
