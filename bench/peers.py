"""The open servers for the same API, each from PyPI in an environment of its own, asked by the SDK's own route."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.contestants import ROOT, Contestant, sdk_route

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "langgraph-agents" / "bench"


@dataclass(frozen=True)
class Peer:
    name: str
    package: str
    python: str
    """The least version that it runs on."""
    command: str
    """Its own, below `bin` of its environment."""
    environment: dict[str, str]
    """`{postgres}` and `{valkey}` in it are the addresses of the servers."""
    ready: str


PEERS = (
    Peer(
        "langgraph dev (in memory)",
        "langgraph-cli[inmem]==0.4.40",
        "3.11",
        "langgraph dev --host 127.0.0.1 --port {port} --no-browser --no-reload --n-jobs-per-worker 100",
        {},
        "/ok",
    ),
    Peer(
        "langhost 0.11 (langgraph-api on PostgreSQL)",
        "langhost==0.11.1.post1",
        "3.11",
        "langhost serve --port {port} --no-browser --n-jobs-per-worker 100 --server-log-level WARNING",
        {"DATABASE_URI": "{postgres}", "REDIS_URI": "{valkey}"},
        "/ok",
    ),
    Peer(
        "aegra-api 0.11, PostgreSQL",
        "aegra-api==0.11.0",
        "3.12",
        "uvicorn aegra_api.main:app --host 127.0.0.1 --port {port} --log-level warning",
        {"DATABASE_URL": "{postgres}", "AEGRA_CONFIG": "langgraph.json", "LOG_LEVEL": "WARNING"},
        "/health",
    ),
)


def peers(databases: Iterator[str], valkey_uri: str) -> Iterator[Contestant]:
    """Those that install here. `databases` gives each an empty one."""
    for peer in PEERS:
        folder = installed(peer)
        if folder is None:
            continue
        values = {"{postgres}": next(databases), "{valkey}": valkey_uri}
        environment = {name: values.get(value, value) for name, value in peer.environment.items()}
        program, *arguments = peer.command.split()
        command = [str(folder / "bin" / program), *arguments]
        yield Contestant(peer.name, command, environment, sdk_route, peer.ready, _copy_of_graphs())


def installed(peer: Peer) -> Path | None:
    """The environment of a peer, made once; None, with the reason printed, if it cannot be."""
    folder = _CACHE / peer.package.translate(str.maketrans("[]=", "---"))
    if not (folder / "installed").exists():
        print(f"installing {peer.package} for comparison ...", flush=True)
        uv = [sys.executable, "-m", "uv", "--system-certs"]
        done = subprocess.run(
            [*uv, "venv", "--quiet", "--clear", "--python", _python(peer.python), str(folder)], check=False
        )
        install = [*uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), peer.package]
        if done.returncode or subprocess.run(install, check=False).returncode:
            print(f"left out: {peer.name}: it does not install here", flush=True)
            return None
        (folder / "installed").touch()
    return folder


def _python(least: str) -> str:
    """This Python if it is new enough, one of pyenv's, or whatever uv finds for the version."""
    wanted = tuple(map(int, least.split(".")))
    if sys.version_info[:2] >= wanted:
        return sys.executable
    found = sorted((Path.home() / ".pyenv" / "versions").glob(f"{least}.*/bin/python"))
    return str(found[-1]) if found else least


def _copy_of_graphs() -> Path:
    """A folder for servers that read graphs from where they run, and write their state there."""
    folder = Path(tempfile.mkdtemp(prefix="bench-peer-"))
    for name in ("graph.py", "langgraph.json"):
        shutil.copy(ROOT / "bench" / name, folder / name)
    return folder
