"""A database whose packets are dropped, as in a failover, instead of one that closes its connections."""

import asyncio
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.ports import free_port

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("nft") is None, reason="dropping packets takes root and nft"
    ),
]


@asynccontextmanager
async def by_tcp(uri: str) -> AsyncIterator[tuple[str, int]]:
    """The embedded server, which listens on a Unix socket, by TCP; its URI and port there."""
    socket = f"{parse_qs(urlsplit(uri).query)['host'][0]}/.s.PGSQL.5432"
    port = free_port()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_unix_connection(socket)
        await asyncio.gather(pipe(reader, back_writer), pipe(back_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        parts = urlsplit(uri)
        login = parts.netloc.rpartition("@")[0]
        yield f"postgresql://{login}@127.0.0.1:{port}{parts.path}", port
    finally:
        server.close()


@contextmanager
def silence(port: int) -> Iterator[None]:
    """Drop every packet of the connections that this process has to a loopback port; new ones go through."""
    mine = psutil.Process().net_connections(kind="tcp")
    ports = {str(c.laddr.port) for c in mine if c.raddr and c.raddr.port == port}
    assert ports
    table = f"silence_{uuid.uuid4().hex[:8]}"
    rules = f"""
table inet {table} {{
  chain drops {{
    type filter hook input priority 0;
    iif "lo" tcp dport {{ {", ".join(ports)} }} drop;
    iif "lo" tcp sport {{ {", ".join(ports)} }} drop;
  }}
}}
"""
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", table], check=True)


async def test_a_statement_in_flight_goes_on_within_a_minute(database_uri: str) -> None:
    async with by_tcp(database_uri) as (uri, port):
        database = Database(DatabaseSettings(database_uri=uri))
        await database.open()
        try:
            assert await database.fetch("SELECT 1 AS one") == [{"one": 1}]
            asking = asyncio.create_task(database.fetch("SELECT pg_sleep(2), 2 AS two", patient=True))
            await asyncio.sleep(0.5)
            with silence(port):
                async with asyncio.timeout(60):
                    (row,) = await asking
            assert row["two"] == 2
        finally:
            await database.close()
