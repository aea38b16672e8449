"""The servers that are measured, each started alone on a free port."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from langgraph_agents_service.ports import free_port

ROOT = Path(__file__).parents[1]
PEERS = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "langgraph-agents" / "bench"
QUESTION = {"messages": [{"role": "user", "content": "How are you today?"}]}

Request = Callable[[int], tuple[str, object]]


@dataclass(frozen=True)
class Contestant:
    name: str
    command: list[str]
    environment: dict[str, str]
    request: Request
    ready: str = "/ready"
    folder: Path = ROOT


def _invoke(_number: int) -> tuple[str, object]:
    return "/invoke", {"input": QUESTION}


def _invoke_thread(_number: int) -> tuple[str, object]:
    return "/invoke", {"input": QUESTION, "thread_id": str(uuid.uuid4())}


def _wait_thread(_number: int) -> tuple[str, object]:
    body = {"assistant_id": "echo", "input": QUESTION, "if_not_exists": "create"}
    return f"/threads/{uuid.uuid4()}/runs/wait", body


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


def contestants(database_uri: str, valkey_uri: str, *, peers: bool) -> list[Contestant]:
    """All that are compared; with `peers`, LangGraph's development server too, from an environment of its own."""
    found = [
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
    ]
    if peers and (command := _langgraph_dev()):
        found.append(
            Contestant("langgraph dev (in memory)", command, {}, _wait_thread, "/ok", _copy_of_graphs())
        )
    return found


def _langgraph_dev() -> list[str] | None:
    """Install LangGraph's development server once, beside this checkout's environment; None if it will not."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        print("installing langgraph-cli[inmem] for comparison ...", flush=True)
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "-q", str(PEERS)], check=True)
        packages = ["langgraph-cli[inmem]", "langchain-core"]
        if subprocess.run(
            [*uv, "pip", "install", "-q", "--python", str(python), *packages], check=False
        ).returncode:
            print("it does not install here; going on without it", flush=True)
            return None
    options = ["--no-browser", "--no-reload", "--n-jobs-per-worker", "100"]
    return [str(PEERS / "bin" / "langgraph"), "dev", "--host", "127.0.0.1", *options]


def _copy_of_graphs() -> Path:
    """A folder for the development server, which reads graphs from where it runs and writes its state there."""
    folder = Path(tempfile.mkdtemp(prefix="langgraph-dev-"))
    for name in ("graph.py", "langgraph.json"):
        shutil.copy(ROOT / "bench" / name, folder / name)
    return folder


@contextmanager
def running(contestant: Contestant) -> Iterator[tuple[int, int]]:
    """Port and process id of a contestant that is ready. Raises RuntimeError if it does not get so."""
    port = free_port()
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    path = os.pathsep.join(map(str, (ROOT, ROOT / "service")))
    environment = {**inherited, "PYTHONPATH": path, "PORT": str(port), **contestant.environment}
    command = [*contestant.command, *(["--port", str(port)] if "dev" in contestant.command else [])]
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
