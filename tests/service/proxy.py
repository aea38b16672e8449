"""A small load balancer for the tests: readiness checks, round robin, and retries that repeat nothing."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from langgraph_agents_service.ports import free_port

CHECK_SECONDS = 0.2


class Proxy:
    """Passes TCP connections on to a backend that is ready, and tries the next one if it cannot connect.

    A request that has been handed on is never sent again. A connection carries one request, so that each one
    is balanced anew.
    """

    def __init__(self, ports: list[int]) -> None:
        self._ready = dict.fromkeys(ports, True)
        self._turn = itertools.cycle(ports)

    async def check(self) -> None:
        while True:
            for port in self._ready:
                self._ready[port] = await self._is_ready(port)
            await asyncio.sleep(CHECK_SECONDS)

    async def _is_ready(self, port: int) -> bool:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /ready HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")
                line = await reader.readline()
                writer.close()
                return b" 200 " in line
        return False

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            for _ in range(2 * len(self._ready)):
                port = next(self._turn)
                if not self._ready[port]:
                    continue
                try:
                    back_reader, back_writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    continue
                back_writer.write(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                # The client sends no more than its one request; the answer's end is the connection's end.
                upload = asyncio.create_task(_copy(reader, back_writer))
                await _copy(back_reader, writer)
                upload.cancel()
                back_writer.close()
                return
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@contextmanager
def proxying(ports: list[int]) -> Iterator[str]:
    """The URL of a proxy in front of these loopback ports."""
    port = free_port()
    loop = asyncio.new_event_loop()
    proxy = Proxy(ports)

    async def start() -> None:
        loop.create_task(proxy.check())  # noqa: RUF006  # ends with the loop
        await asyncio.start_server(proxy.handle, "127.0.0.1", port)

    def run() -> None:
        loop.run_until_complete(start())
        listening.set()
        loop.run_forever()

    listening = threading.Event()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    listening.wait(timeout=10)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
