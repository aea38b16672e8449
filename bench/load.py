"""A load generator that costs little itself: HTTP/1.1 over asyncio streams, keep-alive, one request at a time."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson


class Connection:
    """A connection to a loopback port that is opened when it is needed."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self._port = port
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: object) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and body of the answer."""
        reader, lines = await self._ask(path, body)
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:])
            if name
        }
        answer = await self._body(reader, headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return int(lines[0].split(" ", 2)[1]), headers, answer

    async def opens(self, path: str, body: object) -> bool:
        """Whether the answer begins well; its body stays unread, and the connection open."""
        _, lines = await self._ask(path, body)
        return lines[0].split(" ", 2)[1] == "200"

    async def _ask(self, path: str, body: object) -> tuple[asyncio.StreamReader, list[str]]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        content = orjson.dumps(body)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{self._headers}"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        writer.write(head.encode() + content)
        return reader, (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")

    @staticmethod
    async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await reader.readexactly(int(headers["content-length"]))
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        return b"".join(parts)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass
class Result:
    """What a load measured."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    """Seconds, one for each request that was answered with 200."""
    failures: int = 0
    cpu_seconds: float = 0
    """Processor time of the server and its children: what a busy machine disturbs least."""

    @property
    def rate(self) -> float:
        """Requests a second that succeeded."""
        return len(self.latencies) / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of processor time a request."""
        return self.cpu_seconds * 1000 / len(self.latencies) if self.latencies else math.nan

    def quantile(self, share: float) -> float:
        """Seconds within which this share of the requests was answered (nearest rank)."""
        ranked = sorted(self.latencies)
        return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else math.nan


Steps = Sequence[tuple[str, object]]
"""What one client asks, one after the other, for one answer: paths and bodies."""


async def load(
    port: int,
    request: Callable[[int], Steps],
    *,
    concurrency: int,
    seconds: float,
    headers: dict[str, str] | None = None,
) -> Result:
    """So many clients ask as fast as they are answered; `request` makes what is asked from a running number."""
    result = Result(seconds)
    number = 0
    begin = time.perf_counter()

    async def client() -> None:
        nonlocal number
        connection = Connection(port, headers)
        while time.perf_counter() - begin < seconds:
            number += 1
            steps = request(number)
            asked = time.perf_counter()
            for path, body in steps:
                status, _, _ = await connection.post(path, body)
                if status != 200:
                    break
            if status == 200:
                result.latencies.append(time.perf_counter() - asked)
            else:
                result.failures += 1
        connection.close()

    await asyncio.gather(*(client() for _ in range(concurrency)))
    result.seconds = time.perf_counter() - begin
    return result
