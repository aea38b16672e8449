"""The stream of a thread, by the official client."""

import asyncio
from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError, UnprocessableEntityError

from tests.service.serving import KEY, OTHER_KEY, Served

STEPS = ["one", "two", "three", "four"]


def given(**values: Any) -> Any:
    return values


async def read(client: LangGraphClient, thread_id: str, until: int, **more: Any) -> list[Any]:
    """Events until so many runs are done."""
    parts: list[Any] = []
    async with asyncio.timeout(15):
        async for part in await client.threads.join_stream(thread_id, **more):
            parts.append(part)
            done = [p for p in parts if isinstance(p.data, dict) and p.data.get("status") == "run_done"]
            if len(done) == until:
                break
    return parts


def updates(parts: list[Any]) -> list[str]:
    return [next(iter(p.data)) for p in parts if p.event == "updates"]


async def test_who_reads_along_on_a_thread_hears_every_run(client: LangGraphClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, "steps", input={})
    reading = asyncio.create_task(read(client, thread_id, until=2))
    await asyncio.sleep(0.3)
    runs = [
        (await client.runs.create(thread_id, "steps", input={}, stream_mode="updates"))["run_id"]
        for _ in range(2)
    ]
    parts = await reading
    assert updates(parts) == STEPS * 2
    assert [p.data["run_id"] for p in parts if p.event == "metadata"] == [
        runs[0],
        runs[0],
        runs[1],
        runs[1],
    ]


async def test_the_stream_of_a_thread_goes_on_behind_the_last_event_that_was_seen(
    on_postgres: Served,
) -> None:
    async with on_postgres.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        reading = asyncio.create_task(read(client, thread_id, until=2))
        await asyncio.sleep(0.3)
        for _ in range(2):
            await client.runs.create(
                thread_id, "steps", input={}, stream_mode="updates", stream_resumable=True
            )
        parts = await reading
        assert updates(parts) == STEPS * 2
        again = await read(client, thread_id, until=2, last_event_id=parts[2].id)
        assert [p.id for p in again] == [p.id for p in parts[3:]]


async def test_who_comes_into_a_run_hears_it_from_its_beginning(client: LangGraphClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.create(thread_id, "steps", input=given(seconds=0.2), stream_mode="updates")
    await asyncio.sleep(0.3)
    assert updates(await read(client, thread_id, until=1)) == STEPS


async def test_only_the_begin_and_end_of_runs_are_told_where_asked(client: LangGraphClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread_id, "steps", input=given(seconds=0.1), stream_mode="updates")
    parts = await read(client, thread_id, until=1, stream_mode="lifecycle")
    assert [p.data for p in parts] == [
        {"run_id": run["run_id"], "attempt": 1},
        {"run_id": run["run_id"], "status": "run_done"},
    ]


async def test_changes_of_the_state_are_told_where_asked(client: LangGraphClient) -> None:
    thread_id = (await client.threads.create(graph_id="steps"))["thread_id"]

    async def first() -> Any:
        stream = await client.threads.join_stream(thread_id, stream_mode=["state_update"])
        async with asyncio.timeout(10):
            return await anext(stream)

    reading = asyncio.create_task(first())
    await asyncio.sleep(0.3)
    await client.threads.update_state(thread_id, given(done=["told"]), as_node="one")
    part = await reading
    assert part.event == "state_update"
    assert part.data["thread_id"] == thread_id
    assert part.data["state"]["values"] == {"done": ["told"]}


async def test_a_stream_belongs_to_the_key_of_its_thread(served: Served) -> None:
    async with served.client() as client, served.client(OTHER_KEY) as other:
        thread_id = (await client.threads.create())["thread_id"]
        with pytest.raises(NotFoundError):
            await read(other, thread_id, until=1)
        with pytest.raises(UnprocessableEntityError, match="stream_mode"):
            await read(client, thread_id, until=1, stream_mode="nonsense")
        with pytest.raises(UnprocessableEntityError, match="Last-Event-ID"):
            await read(client, thread_id, until=1, last_event_id="nonsense")
        async with httpx.AsyncClient(headers={"X-API-Key": KEY.partition(":")[2]}) as http:
            url = f"{served.url}/threads/{thread_id}/stream"
            answer = await http.get(url, params={"stream_modes": "lifecycle,nonsense"})
            assert answer.status_code == 422


async def test_the_stream_of_a_thread_ends_with_it(client: LangGraphClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    reading = asyncio.create_task(read(client, thread_id, until=1))
    await asyncio.sleep(0.3)
    await client.threads.delete(thread_id)
    assert await reading == []
