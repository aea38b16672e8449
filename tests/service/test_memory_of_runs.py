"""Runs with large states take a bounded memory, and give it back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from langgraph_agents_service import local
from tests.service.allocators import allocator
from tests.service.databases import migrated
from tests.service.processes import Process, processes
from tests.service.test_faults import HEADERS

pytestmark = [pytest.mark.e2e, pytest.mark.nightly, pytest.mark.timeout(1_800)]

SLOW = Path(__file__).parent / "graphs" / "slow.json"
RUNS = 100
STEPS = 24
SIZE = 900_000
"""Characters in the state, and so about as many bytes in each event."""

LIMIT = 1.5 * 2**30
"""Three quarters of what a pod may have by default; all events of these runs are 2.2 GB."""

LEFT = 400e6
"""So that a peak is no reason to keep pods: an HPA on memory scales in below 80 % of the 1 GiB that they request."""


@pytest.fixture
def database_uri(postgres: local.Postgres) -> str:
    """A database of its own: whatever else serves here would take up these runs."""
    return migrated(postgres, "memory")


async def test_a_hundred_background_runs_whose_events_nobody_reads(database_uri: str) -> None:
    # However slow the machine is: what is asked is what they take, not how long.
    given = {"lease_seconds": 60, "run_timeout_seconds": 1_700, **allocator()}
    with processes(1, database_uri=database_uri, langgraph_config=SLOW, **given) as (process,):
        await runs(process, 10, size=1_000)
        began = memory(process)
        async with watched(process) as seen:
            await runs(process, RUNS, size=SIZE)
        for _ in range(20):
            if (left := memory(process)) < LEFT:
                break
            await asyncio.sleep(1)
        print(f"{began / 1e6:.0f} MB before, {max(seen) / 1e6:.0f} MB at most, {left / 1e6:.0f} MB after")
        assert max(seen) < LIMIT
        assert left < LEFT


async def runs(process: Process, count: int, *, size: int) -> None:
    """So many at once, until all have succeeded."""
    body = {"assistant_id": "growing", "input": {"size": size, "steps": STEPS}, "if_not_exists": "create"}
    async with httpx.AsyncClient(base_url=process.url, headers=HEADERS, timeout=60) as http:
        waiting = []
        for _ in range(count):
            thread = (await http.post("/threads", json={})).json()["thread_id"]
            run = (await http.post(f"/threads/{thread}/runs", json=body)).json()
            waiting.append(f"/threads/{thread}/runs/{run['run_id']}")
        while waiting:
            status = (await http.get(waiting[0])).json()["status"]
            assert status in ("pending", "running", "success")
            if status == "success":
                waiting.pop(0)
            else:
                await asyncio.sleep(0.5)


def memory(process: Process) -> int:
    """Bytes."""
    return int(psutil.Process(process.pid).memory_info().rss)


@asynccontextmanager
async def watched(process: Process) -> AsyncIterator[list[int]]:
    """Its memory, ten times a second."""
    seen = [memory(process)]

    async def watch() -> None:
        while True:
            seen.append(memory(process))
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        watching.cancel()
