"""A real PgBouncer in front of the tests' PostgreSQL."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from langgraph_agents_service.ports import free_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

needed = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed (Debian's package pgbouncer)")


@contextmanager
def pgbouncer(uri: str, *, mode: str = "transaction", servers: int = 20) -> Iterator[str]:
    """The URI of the same database behind a PgBouncer that has so many connections to it."""
    assert PROGRAM
    parts = urlsplit(uri)
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir="/tmp"))
    name, host = parts.path.lstrip("/"), parse_qs(parts.query)["host"][0]
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n"
        f"{name} = host={host} port=5432 dbname={name} user={parts.username} password={parts.password}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = {mode}\ndefault_pool_size = {servers}\nmax_client_conn = 500\nquery_wait_timeout = 20\n"
    )
    # It refuses to run as root. PostgreSQL's own user reaches the socket.
    owner = Path(host).stat()
    if os.geteuid() == 0:
        os.chown(folder, owner.st_uid, owner.st_gid)
    with subprocess.Popen(
        [PROGRAM, str(folder / "pgbouncer.ini")],
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[] if os.geteuid() == 0 else None,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("wb"),
    ) as process:
        try:
            _wait_for(port, process, folder / "log")
            yield f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{port}/{name}"
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(folder)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"pgbouncer does not listen: {log.read_text()[-500:]}")
        time.sleep(0.02)
