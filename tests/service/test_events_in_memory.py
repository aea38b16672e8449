"""Events of a run take as much memory as a setting says; who reads along loses none of them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from langgraph_agents_service.persistence.registry.base import Event
from langgraph_agents_service.runs import events
from langgraph_agents_service.runs.events import BehindError, Events
from tests.service.serving import Served, serving

SLOW = Path(__file__).parent / "graphs" / "slow.json"
LIMIT = 65_536


def added(kept: Events, count: int, size: int = 10_000) -> None:
    for _ in range(count):
        kept.add("values", b"x" * size)


async def numbers(kept: Events, after: int = -1) -> list[int]:
    return [event.seq async for event in kept.read(after)]


async def test_events_that_nobody_reads_take_no_more_than_the_limit() -> None:
    kept = Events(1_000, LIMIT)
    added(kept, 1_000)
    assert LIMIT / 2 < kept.size <= LIMIT
    kept.ended = True
    found = await numbers(kept)
    assert found == list(range(2_000 - len(found), 2_000)), "the newest ones are left"
    assert kept.misses(-1)
    assert not kept.misses(found[0] - 1)


async def test_the_newest_event_is_there_however_large() -> None:
    kept = Events(0, LIMIT)
    added(kept, 3, size=2 * LIMIT)
    kept.ended = True
    assert await numbers(kept) == [2]


async def test_a_reader_that_is_slow_loses_nothing_and_the_run_waits_for_it() -> None:
    kept = Events(0, LIMIT)
    largest = 0

    async def write() -> None:
        nonlocal largest
        for _ in range(50):
            added(kept, 1)
            await kept.room()
            largest = max(largest, kept.size)
        kept.ended = True
        kept.wake()

    found = []
    kept.expect()
    writing = asyncio.create_task(write())
    await asyncio.sleep(0.05)
    async for event in kept.read(-1):
        found.append(event.seq)
        await asyncio.sleep(0.005)
    await writing
    assert found == list(range(50))
    assert largest <= LIMIT + 11_000


async def test_a_reader_that_takes_nothing_is_left_behind_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "SLOW_SECONDS", 0.2)
    kept = Events(0, LIMIT)
    reading = kept.read(-1)
    added(kept, 1)
    assert (await anext(reading)).seq == 0
    added(kept, 20)
    async with asyncio.timeout(5):
        await kept.room()
    assert kept.size <= LIMIT
    with pytest.raises(BehindError):
        await anext(reading)


@pytest.fixture(params=["postgres", "memory", "valkey"])
def storage(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "postgres":
        return {"checkpointer": "postgres", "database_uri": request.getfixturevalue("database_uri")}
    if request.param == "valkey":
        return {"checkpointer": "valkey", "redis_uri": request.getfixturevalue("valkey_uri")}
    return {"checkpointer": "memory"}


async def grown(served: Served, *, resumable: bool) -> tuple[str, str]:
    """A run in its last step, by when it has had ten times as many events as fit."""
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        given: Any = {"size": 20_000, "steps": 30}
        run = await client.runs.create(
            thread_id, "growing", input=given, stream_mode="values", stream_resumable=resumable
        )
        async with asyncio.timeout(30):
            while True:
                state: Any = await client.threads.get_state(thread_id)
                if len((state["values"] or {}).get("done", ())) == 30:
                    break
                await asyncio.sleep(0.05)
        return thread_id, run["run_id"]


async def test_a_reader_that_comes_late_gets_the_last_values_and_the_end(storage: dict[str, Any]) -> None:
    with serving(langgraph_config=SLOW, stream_buffer_bytes=LIMIT, **storage) as served:
        thread_id, run_id = await grown(served, resumable=False)
        (execution,) = served.service.runner.running
        assert execution.events.size < LIMIT
        async with served.client() as client:
            parts = [part async for part in client.runs.join_stream(thread_id, run_id)]
            assert parts[-1].event == "end"
            last = [part for part in parts if part.event == "values"][-1]
            state: Any = await client.threads.get_state(thread_id)
            assert last.data == state["values"]
            assert await client.runs.join(thread_id, run_id) == state["values"]


async def test_a_resumable_stream_is_whole_during_the_run_and_after_it(storage: dict[str, Any]) -> None:
    with serving(langgraph_config=SLOW, stream_buffer_bytes=LIMIT, **storage) as served:
        thread_id, run_id = await grown(served, resumable=True)
        async with served.client() as client:
            for when in ("during the run", "after it"):
                parts = [part async for part in client.runs.join_stream(thread_id, run_id)]
                lengths = [len(p.data.get("done", ())) for p in parts if p.event == "values"]
                assert lengths == [*range(31), 31], when
                assert parts[-1].event == "end"
            seen: Any = parts[9].id
            rest = [p async for p in client.runs.join_stream(thread_id, run_id, last_event_id=seen)]
            assert [part.id for part in rest[:-1]] == [part.id for part in parts[10:-1]]


async def recorded(served: Served, run_id: str) -> list[Event]:
    """As the service reads them, on its own loop."""
    assert served.service.serving is not None
    reading = served.service.registry.read_events(run_id, -1)
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(reading, served.service.serving.loop))


async def test_events_go_with_their_thread(storage: dict[str, Any]) -> None:
    with serving(langgraph_config=SLOW, **storage) as served:
        async with served.client() as client:
            thread_id = (await client.threads.create())["thread_id"]
            run = await client.runs.create(thread_id, "steps", input={}, stream_resumable=True)
            await client.runs.join(thread_id, run["run_id"])
            assert await recorded(served, run["run_id"])
            await client.threads.delete(thread_id)
            assert not await recorded(served, run["run_id"])
