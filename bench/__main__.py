"""`make bench`: rates and latencies side by side in one run, on an embedded PostgreSQL and Valkey."""

import argparse
import asyncio
import itertools
import os
import platform
import time
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from statistics import median
from typing import Any, TypeVar

import psutil
import uvloop

from bench.contestants import QUESTION, Contestant, contestants, ours, running
from bench.graph import echo
from bench.load import Connection, Result, load
from bench.peers import PEERS, peers
from langgraph_agents_service import local
from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.migrate import migrate

CONCURRENCIES = (1, 10, 50)
STREAMS = 1000

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each; the best one counts")
    parser.add_argument("--no-peers", action="store_true", help="leave out what has to be installed first")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}", flush=True)
    with local.postgres() as server, local.valkey() as valkey_uri:
        uri = server.uri("bench")
        asyncio.run(migrate(DatabaseSettings(database_uri=uri, database_admin_uri=server.admin_uri)))
        results: dict[str, dict[int, Result]] = {}
        everyone = contestants(uri, valkey_uri)
        if not options.no_peers:
            everyone += peers(databases(server), valkey_uri)
        for _ in range(options.rounds):
            # Round by round, so that a disturbance of the machine meets everyone alike.
            keep(
                results, "graph alone, in process", {c: run(alone(c, options.seconds)) for c in CONCURRENCIES}
            )
            for contestant in everyone:
                try:
                    keep(results, contestant.name, measure(contestant, options.seconds))
                except (RuntimeError, OSError, EOFError) as error:
                    print(f"left out: {contestant.name}: {error}", flush=True)
        print(report(results), flush=True)
        print(goals(results), flush=True)
        print(ahead(results), flush=True)
        bare, none, durable = everyone[:3]
        print(share(none, durable), flush=True)
        print(overhead(bare, none), flush=True)
        print(streams(uri), flush=True)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it on the event loop that every contestant has, so that the load and the graph alone are no slower."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def keep(results: dict[str, dict[int, Result]], name: str, measured: dict[int, Result]) -> None:
    """Of each concurrency, keep the better measurement."""
    known = results.setdefault(name, measured)
    for concurrency, result in measured.items():
        if result.rate > known[concurrency].rate:
            known[concurrency] = result


async def alone(concurrency: int, seconds: float) -> Result:
    """The bare graph: no HTTP, no checkpointer."""
    graph = echo.compile()
    result = Result(seconds)
    begin = time.perf_counter()
    before = processor_seconds(os.getpid())

    async def client() -> None:
        while time.perf_counter() - begin < seconds:
            asked = time.perf_counter()
            await graph.ainvoke(QUESTION)
            result.latencies.append(time.perf_counter() - asked)

    await asyncio.gather(*(client() for _ in range(concurrency)))
    result.seconds = time.perf_counter() - begin
    result.cpu_seconds = processor_seconds(os.getpid()) - before
    return result


def measure(contestant: Contestant, seconds: float) -> dict[int, Result]:
    with running(contestant) as (port, pid):
        run(load(port, contestant.request, concurrency=10, seconds=2))  # warm up
        results = {}
        for concurrency in CONCURRENCIES:
            before = processor_seconds(pid)
            result = run(load(port, contestant.request, concurrency=concurrency, seconds=seconds))
            result.cpu_seconds = processor_seconds(pid) - before
            results[concurrency] = result
        return results


def processor_seconds(pid: int) -> float:
    """Processor time of a process and its children so far, without the database's."""
    process = psutil.Process(pid)
    return sum(_own_seconds(one) for one in (process, *process.children(recursive=True)))


def _own_seconds(process: psutil.Process) -> float:
    try:
        used = process.cpu_times()
    except psutil.NoSuchProcess:  # A child may end between being found and being looked at.
        return 0.0
    return float(used.user + used.system)


def report(results: dict[str, dict[int, Result]]) -> str:
    head = [f"c={c} {what}" for c in CONCURRENCIES for what in ("req/s", "p50 ms", "p99 ms", "CPU ms")]
    rows = [f"| | {' | '.join(head)} |", "|---|" + "---:|" * len(head)]
    for name, measured in results.items():
        cells = [
            cell
            for result in measured.values()
            for cell in (
                f"{result.rate:.0f}" + (f" ({result.failures} failed)" if result.failures else ""),
                f"{result.quantile(0.5) * 1000:.1f}",
                f"{result.quantile(0.99) * 1000:.1f}",
                f"{result.cpu_ms:.1f}",
            )
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n" + "\n".join(rows) + "\n"


def goals(results: dict[str, dict[int, Result]]) -> str:
    durable, stock = results["this service, PostgreSQL"], results["FastAPI + stock AsyncPostgresSaver"]
    times = durable[50].rate / stock[50].rate
    return f"{_mark(times >= 2)} PostgreSQL at c=50 is {times:.1f} x the stock saver (goal: at least 2)"


def ahead(results: dict[str, dict[int, Result]]) -> str:
    """How far this service is ahead of each open server, by the same requests."""
    ours_by_sdk = results["this service, PostgreSQL, by the SDK's route"]
    lines = []
    for name in (peer.name for peer in PEERS if peer.name in results):
        times = [ours_by_sdk[c].rate / max(results[name][c].rate, 0.1) for c in CONCURRENCIES]
        at = ", ".join(f"{t:.1f} x at c={c}" for t, c in zip(times, CONCURRENCIES, strict=True))
        lines.append(f"{_mark(min(times) > 1)} by the SDK's route, {at} the rate of {name}")
    return "\n".join(lines)


def databases(server: local.Postgres) -> Iterator[str]:
    """Databases and logins that are made as they are asked for, for servers that bring tables of their own."""
    for number in itertools.count(1):
        uri = server.uri(f"peer{number}")
        asyncio.run(migrate(DatabaseSettings(database_uri=uri, database_admin_uri=server.admin_uri)))
        yield uri


def in_turns(*asked: Contestant, starts: int = 8, turns: int = 10) -> Iterator[list[int]]:
    """Ports of contestants to measure one after the other, for figures that compare them. In turns that are too short
    for a machine to change its speed within them, and so many that a disturbance of some does not count. Over several
    starts, because two processes of one program differ by a tenth of their speed for as long as they run."""
    for _ in range(starts):
        with ExitStack() as stack:
            ports = [stack.enter_context(running(contestant))[0] for contestant in asked]
            for port, contestant in zip(ports, asked, strict=True):
                run(load(port, contestant.request, concurrency=10, seconds=1))  # warm up
            for _ in range(turns):
                yield ports


def share(none: Contestant, durable: Contestant, *, seconds: float = 0.5) -> str:
    """What the checkpoints leave of the rate at ten clients."""
    shares = []
    for none_port, durable_port in in_turns(none, durable):
        without = run(load(none_port, none.request, concurrency=10, seconds=seconds)).rate
        with_ = run(load(durable_port, durable.request, concurrency=10, seconds=seconds)).rate
        shares.append(with_ / without)
    found = median(shares)
    return f"{_mark(found >= 0.6)} PostgreSQL at c=10 is {found:.0%} of no checkpointer (goal: at least 60 %)"


def overhead(bare: Contestant, service: Contestant, *, seconds: float = 0.2) -> str:
    """What bare HTTP adds to the graph for one client, and this service to that."""
    http, added = [], []
    for bare_port, service_port in in_turns(bare, service):
        graph, behind_http, served = (
            result.quantile(0.5) * 1000
            for result in (
                run(alone(1, seconds)),
                run(load(bare_port, bare.request, concurrency=1, seconds=seconds)),
                run(load(service_port, service.request, concurrency=1, seconds=seconds)),
            )
        )
        http.append(behind_http - graph)
        added.append(served - behind_http)
    return (
        f"{_mark(median(added) < 1)} overhead on the bare graph at c=1 is {median(added):.2f} ms (goal: under 1), "
        f"and that of HTTP between two processes {median(http):.2f} ms"
    )


def streams(database_uri: str) -> str:
    """Memory of a process with a thousand streams of running runs open, on PostgreSQL."""
    contestant = ours("streams", lambda _: [], database_uri=database_uri, max_iterations=25)
    with running(contestant) as (port, pid):
        process = psutil.Process(pid)
        before = process.memory_info().rss
        opened, peak = run(_open_streams(port, process))
    megabytes = peak / 1e6
    return (
        f"{_mark(opened == STREAMS and megabytes < 300)} {opened} streams open at once: {megabytes:.0f} MB resident "
        f"({before / 1e6:.0f} MB before; goal: {STREAMS} under 300 MB)"
    )


async def _open_streams(port: int, process: psutil.Process) -> tuple[int, int]:
    body = {
        "assistant_id": "slow",
        "input": {"messages": [{"role": "user", "content": "30"}]},
        "if_not_exists": "create",
    }

    async def one() -> bool:
        connection = Connection(port)
        return await connection.opens(f"/threads/{uuid.uuid4()}/runs/stream", body)

    opened = 0
    for _ in range(STREAMS // 50):
        opened += sum(await asyncio.gather(*(one() for _ in range(50))))
    await asyncio.sleep(2)
    return opened, process.memory_info().rss


def _mark(holds: bool) -> str:
    return "holds:  " if holds else "MISSED: "


if __name__ == "__main__":
    main()
