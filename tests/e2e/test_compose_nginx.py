"""A real nginx with the configuration that Compose gives it, in front of real agent processes."""

import asyncio
import os
import re
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from compose import nginx
from compose.services import upstreams
from langgraph_agents_service import local
from langgraph_agents_service.ports import free_port
from sandbox.__main__ import default_cache
from sandbox.binaries import debian
from tests.compose.compose_stacks import stack_with
from tests.service.databases import migrated
from tests.service.processes import Process, processes
from tests.service.serving import KEY

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux runs what Debian builds"),
]

(AGENT,) = upstreams(stack_with().settings.agents)
HEADERS = {"X-API-Key": KEY.partition(":")[2]}


@pytest.fixture(scope="module")
def program() -> Path:
    return debian.ensure(default_cache()).programs / "nginx"


@dataclass(frozen=True)
class Front:
    """A running nginx."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers=HEADERS, timeout=30)

    def asked(self, request: str) -> list[list[str]]:
        """For each request such as `GET /info`, once it is answered, the addresses that were asked in turn."""
        found = re.findall(rf'"{re.escape(request)}" .*upstream="(.*?)"', self.log.read_text())
        return [addresses.split(", ") for addresses in found]


@contextmanager
def fronting(program: Path, folder: Path, ports: Sequence[int], *, limited: bool = True) -> Iterator[Front]:
    """nginx in front of what listens at these ports, with the figures that Compose gives it."""
    folder.mkdir()
    port, health = free_port(), free_port()
    agent = replace(AGENT, servers=[f"127.0.0.1:{each}" for each in ports])
    if not limited:
        agent = replace(agent, average=10_000, burst=10_000)
    text = nginx.configuration([agent], resolver=None, port=port, health_port=health, folder=str(folder))
    (folder / "nginx.conf").write_text(text)
    # In the container all of it is one user's.
    user = " user root;" if os.geteuid() == 0 else ""
    options = [
        "-p",
        str(folder),
        "-e",
        "stderr",
        "-c",
        str(folder / "nginx.conf"),
        "-g",
        f"daemon off;{user}",
    ]
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen([str(program), *options], stdout=log, stderr=log) as process,
    ):
        try:
            _wait(f"http://127.0.0.1:{health}/", process, folder / "log")
            yield Front(port, folder / "log")
        finally:
            process.terminate()


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            assert httpx.get(url).status_code == 204
            return
        except httpx.TransportError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


@pytest.fixture(scope="module")
def database_uri() -> Iterator[str]:
    with local.postgres() as server:
        yield migrated(server, "agent")


@pytest.fixture(scope="module")
def three(database_uri: str) -> Iterator[list[Process]]:
    """Agents that nobody kills."""
    with processes(3, database_uri=database_uri) as started:
        yield started


async def status_of(port: int, path: str) -> int:
    """Of a request whose path no client puts in order."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


def ports_of(started: Sequence[Process]) -> list[int]:
    return [process.port for process in started]


async def test_requests_that_take_long_are_spread_over_all_agents(
    program: Path, three: list[Process], tmp_path: Path
) -> None:
    run = {"assistant_id": "steps", "input": {"seconds": 0.3}}
    with fronting(program, tmp_path / "nginx", ports_of(three)) as front:
        async with front.client() as client:
            answers = await asyncio.gather(*(client.post("/runs/wait", json=run) for _ in range(6)))
        assert {answer.status_code for answer in answers} == {200}
        asked = [addresses for (addresses,) in front.asked("POST /runs/wait")]
    assert {asked.count(f"127.0.0.1:{port}") for port in ports_of(three)} == {2}


async def test_an_agent_that_is_busy_gets_nothing_while_others_are_idle(
    program: Path, three: list[Process], tmp_path: Path
) -> None:
    run = {"assistant_id": "steps", "input": {"seconds": 1}}
    with fronting(program, tmp_path / "nginx", ports_of(three)) as front:
        async with front.client() as client:
            long = asyncio.create_task(client.post("/runs/wait", json=run))
            await asyncio.sleep(0.5)
            for _ in range(12):
                assert (await client.get("/info")).status_code == 200
            assert not long.done()
            assert (await long).status_code == 200
        ((busy,),) = front.asked("POST /runs/wait")
        asked = [address for (address,) in front.asked("GET /info")]
    assert len(asked) == 12
    assert busy not in asked


async def test_one_address_gets_the_burst_at_once_and_429_beyond_it(
    program: Path, three: list[Process], tmp_path: Path
) -> None:
    with fronting(program, tmp_path / "nginx", ports_of(three)) as front:
        async with front.client() as client:
            await client.get("/metrics")  # a connection, and no request to an agent
            began = time.monotonic()
            answers = await asyncio.gather(*(client.get("/info") for _ in range(60)))
            taken = time.monotonic() - began
            statuses = [answer.status_code for answer in answers]
            await asyncio.sleep(0.5)
            later = await client.get("/info")
    passed = statuses.count(200)
    assert passed + statuses.count(429) == 60
    assert 21 <= passed <= 22 + 10 * taken
    assert later.status_code == 200
    assert len(front.asked("GET /info")) == 61
    assert sum(addresses != ["-"] for addresses in front.asked("GET /info")) == passed + 1


async def test_a_stream_is_passed_on_as_it_comes(program: Path, three: list[Process], tmp_path: Path) -> None:
    run = {"assistant_id": "steps", "input": {"seconds": 0.5}, "stream_mode": "updates"}
    with fronting(program, tmp_path / "nginx", ports_of(three)) as front:
        async with front.client() as client, client.stream("POST", "/runs/stream", json=run) as answer:
            assert answer.status_code == 200
            came = [time.monotonic() async for _ in answer.aiter_raw()]
    # Four steps, each of which is told when it has ended.
    assert came[-1] - came[0] > 1.2
    assert len(came) >= 5


async def test_an_agent_that_is_gone_is_noticed_by_no_client(
    program: Path, database_uri: str, tmp_path: Path
) -> None:
    with (
        processes(3, database_uri=database_uri) as started,
        fronting(program, tmp_path / "nginx", ports_of(started), limited=False) as front,
    ):
        async with front.client() as client:
            before = [await client.get("/info") for _ in range(6)]
            started[0].kill()
            after = [await client.get("/info") for _ in range(20)]
            made = await asyncio.gather(*(client.post("/threads", json={}) for _ in range(20)))
        assert {answer.status_code for answer in (*before, *after, *made)} == {200}
        asked = [*front.asked("GET /info"), *front.asked("POST /threads")]
        gone = f"127.0.0.1:{started[0].port}"
        assert any(addresses[0] == gone and len(addresses) == 2 for addresses in asked)


async def test_a_post_that_an_agent_has_begun_is_not_begun_by_another_one(
    program: Path, database_uri: str, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    with (
        processes(3, database_uri=database_uri, steps_journal=journal) as started,
        fronting(program, tmp_path / "nginx", ports_of(started)) as front,
    ):
        async with front.client() as client:
            thread = (await client.post("/threads", json={})).json()["thread_id"]
            run = {"assistant_id": "steps", "input": {"seconds": 0.5, "tag": "t"}}
            waiting = asyncio.create_task(client.post(f"/threads/{thread}/runs/wait", json=run))
            while not journal.exists() or " two " not in journal.read_text():
                assert not waiting.done()
                await asyncio.sleep(0.02)
            pid = int(journal.read_text().split()[2])
            next(process for process in started if process.pid == pid).kill()
            answer = await waiting
            # The run itself is not lost: an agent that lives goes on with it.
            (kept,) = (await client.get(f"/threads/{thread}/runs")).json()
            joined = await client.get(f"/threads/{thread}/runs/{kept['run_id']}/join")
            runs = (await client.get(f"/threads/{thread}/runs")).json()
        assert answer.status_code == 502
        assert [len(addresses) for addresses in front.asked(f"POST /threads/{thread}/runs/wait")] == [1]
        assert joined.json()["done"] == ["one", "two", "three", "four"]
        assert len(runs) == 1
        assert sum(line.startswith("t one ") for line in journal.read_text().splitlines()) == 1


async def test_metrics_and_unknown_hosts_are_answered_by_nginx_itself(
    program: Path, three: list[Process], tmp_path: Path
) -> None:
    with fronting(program, tmp_path / "nginx", ports_of(three)) as front:
        async with front.client() as client:
            known = [AGENT.hosts[0], "support.localhost", "localhost"]
            for host in known:
                assert (await client.get("/info", headers={"Host": host})).status_code == 200, host
            elsewhere = await client.get("/info", headers={"Host": "elsewhere.example.com"})
        assert elsewhere.status_code == 404
        assert "README.md" in elsewhere.text
        for path in ("/metrics", "//metrics", "/info/../metrics", "/%6detrics", "/metrics?a=b", "/metrics/"):
            assert await status_of(front.port, path) == 404, path
        assert front.asked("GET /metrics") == [["-"]] * 5  # as nginx reads the paths
        assert front.asked("GET /metrics/") == [["-"]]
        assert len(front.asked("GET /info")) == len(known) + 1


class Failing(BaseHTTPRequestHandler):
    """Ends the connection without an answer, or with `status`."""

    protocol_version = "HTTP/1.1"
    status = 0

    def _fail(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.status:
            self.send_response(self.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.close_connection = True

    do_GET = do_POST = _fail  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def failing(count: int, status: int) -> Iterator[list[int]]:
    """The ports of servers that fail."""
    handler = type("Handler", (Failing,), {"status": status})
    with ExitStack() as stack:
        servers = [stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler)) for _ in range(count)]
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        yield [server.server_address[1] for server in servers]


@pytest.mark.parametrize("status", [0, 502, 503])
async def test_what_failed_is_asked_of_three_agents_at_most_and_a_post_of_one(
    status: int, program: Path, tmp_path: Path
) -> None:
    with failing(4, status) as ports, fronting(program, tmp_path / "nginx", ports) as front:
        async with front.client() as client:
            read = await client.get("/info")
            posted = await client.post("/threads", json={})
        assert read.status_code == posted.status_code == (status or 502)
        assert [len(set(addresses)) for addresses in front.asked("GET /info")] == [3]
        assert [len(addresses) for addresses in front.asked("POST /threads")] == [1]


async def test_another_error_of_an_agent_is_the_caller_s_to_see(program: Path, tmp_path: Path) -> None:
    with failing(3, 500) as ports, fronting(program, tmp_path / "nginx", ports) as front:
        async with front.client() as client:
            assert (await client.get("/info")).status_code == 500
        assert [len(addresses) for addresses in front.asked("GET /info")] == [1]


class Streaming(BaseHTTPRequestHandler):
    """Says a word three times, half a second apart, and neither how much there will be nor how to pass it on."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        for _ in range(3):
            self.wfile.write(b"word")
            time.sleep(0.5)

    def log_message(self, *_: object) -> None:
        pass


async def test_a_stream_that_asks_for_nothing_is_not_held_back_either(program: Path, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Streaming) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with fronting(program, tmp_path / "nginx", [server.server_address[1]]) as front:
            async with front.client() as client, client.stream("GET", "/custom") as answer:
                came = [time.monotonic() async for _ in answer.aiter_raw()]
        server.shutdown()
    assert len(came) == 3
    assert came[-1] - came[0] > 0.7


class Echo(socketserver.StreamRequestHandler):
    """Takes an upgrade, and sends back a line."""

    def handle(self) -> None:
        head = []
        while (line := self.rfile.readline().strip()) != b"":
            head.append(line.lower())
        assert b"upgrade: websocket" in head
        assert b"connection: upgrade" in head
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        self.wfile.write(self.rfile.readline())


async def test_a_websocket_goes_through(program: Path, tmp_path: Path) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with fronting(program, tmp_path / "nginx", [server.server_address[1]]) as front:
            reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
            writer.write(
                b"GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            )
            assert b" 101 " in await reader.readline()
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
            writer.close()


async def test_connections_to_agents_are_kept(program: Path, tmp_path: Path) -> None:
    connections = []

    class Counting(Failing):
        status = 200

        def setup(self) -> None:
            connections.append(self.client_address)
            super().setup()

    with ThreadingHTTPServer(("127.0.0.1", 0), Counting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with fronting(program, tmp_path / "nginx", [server.server_address[1]], limited=False) as front:
            async with front.client() as client:
                for _ in range(30):
                    assert (await client.get("/info")).status_code == 200
        server.shutdown()
    # Each of nginx's workers keeps its own.
    assert len(connections) <= (os.cpu_count() or 1)
