"""The servers that are measured, each started alone on a free port."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.load import Steps
from langgraph_agents_service.ports import free_port

ROOT = Path(__file__).parents[1]
QUESTION = {"messages": [{"role": "user", "content": "How are you today?"}]}

Request = Callable[[int], Steps]


@dataclass(frozen=True)
class Contestant:
    name: str
    command: list[str]
    """`{port}` in it is the port to listen on, which PORT names as well."""
    environment: dict[str, str]
    request: Request
    ready: str = "/ready"
    folder: Path = ROOT


def _invoke(_number: int) -> Steps:
    return [("/invoke", {"input": QUESTION})]


def _invoke_thread(_number: int) -> Steps:
    return [("/invoke", {"input": QUESTION, "thread_id": str(uuid.uuid4())})]


def sdk_route(_number: int) -> Steps:
    """What an application does with langgraph-sdk: a thread, then a run that is waited for."""
    thread_id = str(uuid.uuid4())
    return [
        ("/threads", {"thread_id": thread_id}),
        (f"/threads/{thread_id}/runs/wait", {"assistant_id": "echo", "input": QUESTION}),
    ]


def ours(name: str, request: Request, **settings: Any) -> Contestant:
    """The service with these settings."""
    values = {
        "HOST": "127.0.0.1",
        "METRICS_PORT": "0",
        "LOG_LEVEL": "warning",
        "LANGGRAPH_CONFIG": str(ROOT / "bench" / "langgraph.json"),
        "RATE_LIMIT_PER_MINUTE": "0",
        "MAX_CONCURRENT_RUNS": "2000",
        **{key.upper(): str(value) for key, value in settings.items()},
    }
    return Contestant(name, [sys.executable, "-m", "langgraph_agents_service"], values, request)


def contestants(database_uri: str, valkey_uri: str) -> list[Contestant]:
    """This service in its forms, and what its parts are compared with."""
    return [
        Contestant(
            "graph alone, behind bare HTTP", [sys.executable, "-m", "bench.bare"], {}, _invoke, "/health"
        ),
        ours("this service, no checkpointer", _invoke, checkpointer="none"),
        ours("this service, PostgreSQL", _invoke_thread, database_uri=database_uri),
        ours(
            "this service, PostgreSQL, durability=exit",
            _invoke_thread,
            database_uri=database_uri,
            durability="exit",
        ),
        ours("this service, Valkey", _invoke_thread, checkpointer="valkey", redis_uri=valkey_uri),
        Contestant(
            "FastAPI + stock AsyncPostgresSaver",
            [sys.executable, "-m", "bench.stock"],
            {"DATABASE_URI": database_uri},
            _invoke_thread,
            "/openapi.json",
        ),
        ours("this service, PostgreSQL, by the SDK's route", sdk_route, database_uri=database_uri),
    ]


@contextmanager
def running(contestant: Contestant) -> Iterator[tuple[int, int]]:
    """Port and process id of a contestant that is ready. Raises RuntimeError if it does not get so."""
    port = free_port()
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    path = os.pathsep.join(map(str, (ROOT, ROOT / "service")))
    environment = {**inherited, "PYTHONPATH": path, "PORT": str(port), **contestant.environment}
    command = [part.replace("{port}", str(port)) for part in contestant.command]
    with subprocess.Popen(
        command, env=environment, cwd=contestant.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            with httpx.Client(verify=False, timeout=2) as probe:  # noqa: S501  # plain HTTP over loopback
                deadline = time.monotonic() + 90
                while not _ready(probe, f"http://127.0.0.1:{port}{contestant.ready}"):
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"{contestant.name} did not start: {' '.join(command)}")
                    time.sleep(0.1)
            yield port, process.pid
        finally:
            process.kill()


def _ready(probe: httpx.Client, url: str) -> bool:
    with suppress(httpx.HTTPError):
        return probe.get(url).status_code == 200
    return False
