"""Requests that do not end, from people without a key: bounded in size and in time."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from langgraph_agents_service.api.connection import Connection
from tests.service.serving import KEY, Served, serving

SECRET = KEY.partition(":")[2]


class Quick(Connection):
    """The same in short."""

    FIRST_SECONDS = 0.4
    HEAD_SECONDS = 0.4
    BODY_SECONDS = 0.4
    BODY_RATE = 10_000


@pytest.fixture(scope="module")
def quick() -> Iterator[Served]:
    with serving(checkpointer="memory", connection=Quick) as served:
        yield served


@asynccontextmanager
async def connected(served: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(served.url).port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ends(reader: asyncio.StreamReader, seconds: float = 5) -> bytes:
    """What comes until the service closes the connection."""
    try:
        return await asyncio.wait_for(reader.read(), seconds)
    except ConnectionError:
        return b""


HEAD = f"POST /invoke HTTP/1.1\r\nHost: agent\r\nX-API-Key: {SECRET}\r\nContent-Type: application/json\r\n".encode()


async def test_a_connection_on_which_nothing_comes_is_closed(quick: Served) -> None:
    async with connected(quick) as (reader, _):
        assert await ends(reader) == b""


async def test_headers_that_do_not_end_are_refused_however_steadily_they_come(quick: Served) -> None:
    async with connected(quick) as (reader, writer):
        begin = time.monotonic()
        writer.write(b"GET /ok HTTP/1.1\r\n")
        answer = asyncio.ensure_future(ends(reader))
        while not answer.done() and time.monotonic() - begin < 5:
            writer.write(b"X-More: 1\r\n")
            await asyncio.sleep(0.05)
        assert (await answer).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"X-More: " + b"x" * 5_000 + b"\r\n"] * 2_000,
        [b"X-More: ", *[b"x" * 10_000] * 1_000],
        [b"x" * 10_000] * 1_000,
    ],
    ids=["many", "one without an end", "a name without an end"],
)
async def test_headers_that_are_too_long_are_refused_before_they_are_kept(
    in_memory: Served, pieces: list[bytes]
) -> None:
    async with connected(in_memory) as (reader, writer):
        writer.write(b"GET /ok HTTP/1.1\r\n")
        answer = asyncio.ensure_future(ends(reader))
        sent = 0
        for piece in pieces:
            if answer.done() or writer.is_closing():
                break
            writer.write(piece)
            sent += len(piece)
            try:
                await writer.drain()
            except ConnectionError:
                break
            await asyncio.sleep(0)
        assert (await answer)[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400", b"")
        assert sent < 10_000_000


async def test_headers_that_end_but_are_too_long_are_refused_by_name(in_memory: Served) -> None:
    async with connected(in_memory) as (reader, writer):
        writer.write(b"GET /ok HTTP/1.1\r\nX-More: " + b"x" * 70_000 + b"\r\n\r\n")
        assert (await ends(reader)).startswith(b"HTTP/1.1 431")
    async with connected(in_memory) as (reader, writer):
        writer.write(b"GET /ok?" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n")
        assert (await ends(reader)).startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))


async def test_headers_of_a_usual_length_are_taken(in_memory: Served) -> None:
    async with connected(in_memory) as (reader, writer):
        writer.write(b"GET /ok HTTP/1.1\r\nHost: a\r\nX-More: " + b"x" * 40_000 + b"\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("key", [SECRET, "wrong"])
async def test_a_body_that_comes_too_slowly_is_given_up(quick: Served, key: str) -> None:
    async with connected(quick) as (reader, writer):
        begin = time.monotonic()
        writer.write(HEAD.replace(SECRET.encode(), key.encode()) + b"Content-Length: 10000\r\n\r\n")
        answer = asyncio.ensure_future(ends(reader))
        while not answer.done() and time.monotonic() - begin < 5:
            writer.write(b"x")
            await asyncio.sleep(0.05)
        assert (await answer).startswith(b"HTTP/1.1 408" if key == SECRET else b"HTTP/1.1 401")
        assert time.monotonic() - begin < 4


async def test_a_body_that_comes_steadily_may_take_its_time(quick: Served) -> None:
    body = b'{"assistant_id": "steps", "input": {"tag": "' + b"x" * 30_000 + b'"}}'
    async with connected(quick) as (reader, writer):
        writer.write(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode())
        for start in range(0, len(body), 3_000):
            writer.write(body[start : start + 3_000])
            await asyncio.sleep(0.1)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_a_connection_serves_many_requests_and_long_answers_after_these_times(quick: Served) -> None:
    body = b'{"assistant_id": "steps", "input": {"seconds": 0.3}}'
    async with connected(quick) as (reader, writer):
        for _ in range(2):
            writer.write(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            await asyncio.sleep(0.6)
