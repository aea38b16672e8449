"""Photos get through, and many at once wait or are refused, in bounded memory."""

import asyncio
import base64
import json
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient

from langgraph_agents_service import local
from langgraph_agents_service.runs.bodies import NoRoomError, Room
from tests.service.databases import migrated
from tests.service.processes import processes
from tests.service.serving import KEY, Served, serving

HEADERS = {"X-API-Key": KEY.partition(":")[2]}
PHOTO = base64.b64encode(os.urandom(4_000_000)).decode()


def asked(**more: Any) -> dict[str, Any]:
    """A photo as chat clients send it."""
    content = [
        {"type": "text", "text": "What is 6 * 7?"},
        {"type": "image", "source_type": "base64", "mime_type": "image/jpeg", "data": PHOTO},
    ]
    return {"assistant_id": "agent", "input": {"messages": [{"role": "user", "content": content}]}, **more}


async def test_a_photo_of_four_megabytes_goes_through_each_way_to_run(
    served: Served, client: LangGraphClient
) -> None:
    async with httpx.AsyncClient(base_url=served.url, headers=HEADERS, timeout=60) as http:
        for thread in ({"thread_id": str(uuid.uuid4())}, {}):
            answer = await http.post("/invoke", json=asked(**thread))
            assert answer.status_code == 200, answer.text[:200]
            assert "42" in answer.json()["output"]["messages"][-1]["content"]
        thread_id = (await client.threads.create())["thread_id"]
        made = await http.post(f"/threads/{thread_id}/runs", json=asked())
        assert made.status_code == 200, made.text[:200]
        joined = await client.runs.join(thread_id, made.json()["run_id"])
        assert PHOTO in str(joined)
        async with http.stream("POST", f"/threads/{thread_id}/runs/stream", json=asked()) as stream:
            assert stream.status_code == 200
            assert "42" in "".join([line async for line in stream.aiter_lines()])


@pytest.fixture(scope="module")
def narrow() -> Iterator[Served]:
    """Room for one photo at a time."""
    with serving(
        checkpointer="memory",
        max_request_bytes=8_000_000,
        max_request_bytes_at_once=8_000_000,
        queue_timeout_seconds=0.5,
    ) as served:
        yield served


@pytest.fixture
async def http(narrow: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=narrow.url, headers=HEADERS, timeout=60) as http:
        yield http


def held(seconds: float) -> dict[str, Any]:
    return {"assistant_id": "begin", "input": {"seconds": seconds, "tag": PHOTO}}


async def streamed(body: dict[str, Any]) -> AsyncIterator[bytes]:
    """A body that does not say its length."""
    content = json.dumps(body).encode()
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


@pytest.mark.parametrize("way", ["wait", "stream", "in the background", "without a length"])
async def test_a_body_has_its_room_until_its_run_has_ended(http: httpx.AsyncClient, way: str) -> None:
    thread = f"/threads/{(await http.post('/threads', json={})).json()['thread_id']}"

    async def first() -> httpx.Response:
        if way == "without a length":
            json_type = {"Content-Type": "application/json"}
            return await http.post(
                f"{thread}/runs/wait", content=streamed(held(2)), headers={**HEADERS, **json_type}
            )
        path = {"wait": "runs/wait", "stream": "runs/stream", "in the background": "runs"}[way]
        return await http.post(f"{thread}/{path}", json=held(2))

    going = asyncio.create_task(first())
    await asyncio.sleep(0.7)
    assert going.done() is (way == "in the background")
    refused = await http.post("/runs/wait", json=held(0))
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert "room" in refused.json()["detail"]
    small = await http.post("/runs/wait", json={"assistant_id": "begin", "input": {}})
    assert small.status_code == 200, "what is small is not held up"
    run = (await going).headers["Content-Location"]
    assert (await http.get(f"{run}/join")).status_code == 200
    again = await http.post("/runs/wait", json=held(0))
    assert again.status_code == 200
    assert again.json()["done"] == ["one", "two"]


async def test_room_is_given_in_turn_and_comes_back_whoever_leaves() -> None:
    room = Room(10, patience=0.2)
    first = await room.take(6)
    order: list[str] = []

    async def wait_for(size: int, name: str) -> None:
        taken = await room.take(size)
        order.append(name)
        taken.let_go()

    large = asyncio.create_task(wait_for(8, "large"))
    await asyncio.sleep(0.1)
    small = asyncio.create_task(wait_for(2, "small"))
    await asyncio.sleep(0)
    leaves = asyncio.create_task(wait_for(1, "leaves"))
    await asyncio.sleep(0)
    leaves.cancel()
    with pytest.raises(NoRoomError):
        await large
    await small
    assert order == ["small"], "it was behind the large one, and goes when that one has given up"
    first.keep()
    first.let_go()
    with pytest.raises(NoRoomError):
        await room.take(10)
    first.let_go()
    (await room.take(10)).shrink(1)
    (await room.take(9)).let_go()


@pytest.fixture(scope="module")
def bodies_uri(postgres: local.Postgres) -> str:
    return migrated(postgres, "bodies")


def memory(pid: int, name: str) -> int:
    """`VmRSS` now, or `VmHWM` at its highest, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


FACTOR = 16
"""What a byte of a body takes at most while its run is in progress: ten were measured, and processes differ."""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("path", ["runs/wait", "runs"])
async def test_fifty_photos_at_once_take_no_more_memory_than_the_bound_says(
    bodies_uri: str, path: str
) -> None:
    at_once = 16_777_216
    with processes(
        1, database_uri=bodies_uri, max_request_bytes_at_once=at_once, queue_timeout_seconds=4
    ) as (process,):
        async with httpx.AsyncClient(
            base_url=process.url, headers=HEADERS, timeout=120, limits=httpx.Limits(max_connections=60)
        ) as http:
            assert (await http.post("/runs/wait", json=held(0))).status_code == 200
            before = memory(process.pid, "VmRSS")

            async def one() -> int:
                thread_id = str(uuid.uuid4())
                body = {**held(0.3), "if_not_exists": "create"}
                return (await http.post(f"/threads/{thread_id}/{path}", json=body)).status_code

            answers = Counter(await asyncio.gather(*(one() for _ in range(50))))
            assert set(answers) <= {200, 503}
            assert answers[200] >= 3
            taken = memory(process.pid, "VmHWM") - before
        assert taken < FACTOR * at_once, f"{taken / at_once:.1f} times what is let in at once"
