"""`make bench`: how long `make up` takes on a real node, and how much memory the node has then."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.projects import ROOT, STACK, copied, down, edited, up
from sandbox.__main__ import default_cache
from sandbox.cluster import agents
from sandbox.cluster.api import Api
from sandbox.cluster.controlplane import running_endpoint
from sandbox.common import addresses, processes
from sandbox.common.errors import InputError
from sandbox.common.namespaces import Namespaces
from sandbox.common.state import State
from sandbox.machine.choice import Nodes, choose

SOURCE = {"name": "orders", "host": "orders.dev.agents.example.com", "source": "examples/orders"}
PRICES = "examples/orders/src/shop/prices.py"


def main() -> int:
    """Measure; what has to be built first is built first. Exit code 0 also where no real node can be had."""
    with tempfile.TemporaryDirectory(prefix="bench-sandbox-", dir=ROOT) as folder:
        here = Path(folder)
        try:
            choose(Nodes.REAL, (here, default_cache()))
        except InputError as obstacle:
            print(f"left out: make up on a real node: {obstacle}")
            return 0
        copied(here)
        try:
            # What is built once (binaries, the image's layers) is not what is measured.
            _up(here)
            down(here)
            first = _up(here)
            print(_goal("from nothing to an answering agent, add-ons included", first, 60))
            print(f"         a repeat without changes: {_up(here):.1f} s")
            with edited(here) as settings:
                settings["agents"][0]["replicas"] = {"min": 1, "max": 4}
            print(_goal("a changed setting that rolls nothing", _up(here), 15))
            with edited(here) as settings:
                settings["agents"][0]["maxIterations"] = 40
            print(f"         a changed setting with the roll of its pod: {_up(here):.1f} s")
            with edited(here) as settings:
                settings["agents"].append(SOURCE)
            _up(here)
            print(_goal("a changed line of an agent's source to an answer", _answered(here), 20))
            memory = _memory(State(here / "state", STACK)) / 2**30
            print(f"{_mark(memory < 3)} memory of everything: {memory:.2f} GiB (goal: under 3)")
        finally:
            down(here)
    return 0


def _up(here: Path) -> float:
    began = time.monotonic()
    up(here, "--nodes", "real")
    return time.monotonic() - began


def _answered(here: Path) -> float:
    """Seconds from `make up`, after a line of the source was changed, to the first answer by TLS that shows it."""
    file = here / "project" / PRICES
    file.write_text(file.read_text().replace('"tea": 3', '"tea": 30'))
    return asyncio.run(_until(here, {"order": "tea"}, {"total": "30 EUR"}))


async def _until(here: Path, given: object, right: dict[str, object]) -> float:
    began = time.monotonic()
    change = asyncio.create_task(asyncio.to_thread(_up, here))
    seen = None
    async with asyncio.timeout(300), _orders(State(here / "state", STACK)).client() as client:
        while seen is None:
            answer = await client.post("/runs/wait", json={"assistant_id": "orders", "input": given})
            answer.raise_for_status()
            if right.items() <= answer.json().items():
                seen = time.monotonic() - began
            # Slower than the agent's rate limit.
            await asyncio.sleep(0.25)
    await change
    return seen


def _orders(state: State) -> agents.Reached:
    endpoint = running_endpoint(state)
    if endpoint is None:
        raise SystemExit(f"the sandbox of {state.stack} has ended meanwhile")
    with Api(endpoint) as api:
        (agent,) = (agent for agent in agents.find(api) if agent.name == SOURCE["name"])
    address = addresses.ensure(state.machine / "addresses.json").ingress
    return agent.through_ingress(str(address), state.machine / "ingress-authority" / "ca.crt")


def _memory(state: State) -> int:
    """Bytes of the sandbox's processes, pods included; what several share is counted once."""
    group = Namespaces(state).cgroup.lstrip("/")
    pods = {
        int(pid)
        for file in Path("/sys/fs/cgroup").glob(f"**/{group}/**/cgroup.procs")
        for pid in _members(file)
    }
    own = {process.pid for each in processes.running(state.id).values() for process in each}
    return sum(map(_resident, pods | own))


def _members(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:  # The group has gone with the last of its processes.
        return []


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_full_info().pss)
    except psutil.Error:  # It has ended meanwhile.
        return 0


def _goal(what: str, seconds: float, limit: float) -> str:
    return f"{_mark(seconds < limit)} {what}: {seconds:.1f} s (goal: under {limit:.0f})"


def _mark(holds: bool) -> str:
    return "holds:  " if holds else "MISSED: "


if __name__ == "__main__":
    sys.exit(main())
