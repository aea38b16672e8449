"""A hundred agents on a database for 399 connections: the stack's own PgBouncer configuration, run by the real one."""

import asyncio
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from components.pooling.pgbouncer import IMAGE_CONTEXT
from components.stores.max_connections import max_connections
from components.workload.pod_options import CERTIFICATES_DIR, SECRETS_DIR
from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.ports import free_port
from preview.recording.recorder import Recording
from sandbox.cluster.authority import SERVER, Authority
from stacks.connections import POOLED_MAINTENANCE, POOLERS, RESERVED
from tests.conftest import record_with
from tests.service.pgbouncer import PROGRAM, needed
from tests.stacks.test_existing_stores import uri
from tests.stacks.test_pooler import many

AGENTS = 100
CLASS = "db.t4g.medium"
LIMIT = max_connections(CLASS)
PODS = 1
"""Of each agent."""
POOL = 6
"""Connections of a pod, one of which is kept apart: five hundred of them are open, and 399 are what there is."""
STATEMENTS = 20
"""Of each pod at once."""

_SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
# Of Debian's package; neither server runs as root.
_USER = "postgres"

pytestmark = [
    pytest.mark.e2e,
    # On two busy cores.
    pytest.mark.timeout(900),
    needed,
    pytest.mark.skipif(
        not _SERVERS, reason="PostgreSQL with TLS is not installed (Debian's package postgresql)"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="starts servers as another user"),
]


@dataclass
class Seen:
    """What came of the load."""

    statements: int = 0
    clients: int = 0
    """Connections of the agents."""
    servers: int = 0
    """Connections of theirs at PostgreSQL at their most."""
    errors: list[str] = field(default_factory=list)


def _run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True, user=_USER, group=_USER)


@contextmanager
def _postgresql(folder: Path, port: int) -> Iterator[None]:
    """As RDS with the stack's parameters: TLS only, and no more connections than its class takes."""
    binaries = _SERVERS[-1].parent
    _run(binaries / "initdb", "-D", folder / "data", "-U", _USER, "--auth=trust", "--no-sync")
    (folder / "data" / "pg_hba.conf").write_text(
        "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
    )
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": folder,
        "max_connections": LIMIT,
        "ssl": "on",
        "ssl_cert_file": folder / "server.crt",
        "ssl_key_file": folder / "server.key",
        "password_encryption": "scram-sha-256",
        "fsync": "off",
    }
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command = [str(binaries / "postgres"), "-D", str(folder / "data"), "-p", str(port), *flags]
    log = (folder / "postgresql.log").open("wb")
    with subprocess.Popen(command, user=_USER, group=_USER, stdout=log, stderr=log) as process:
        try:
            ready = [str(binaries / "pg_isready"), "-q", "-h", str(folder), "-p", str(port)]
            deadline = time.monotonic() + 60
            while subprocess.run(ready, check=False).returncode:
                assert time.monotonic() < deadline, (folder / "postgresql.log").read_text()[-2000:]
                time.sleep(0.2)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _configured(recording: Recording, folder: Path, *, server: int, port: int, number: int) -> Path:
    """The stack's files, with the places of this machine. Their content is the stack's."""
    found: str = recording.named("pgbouncer-config").inputs["data"]["pgbouncer.ini"]
    own = folder / f"pgbouncer-{number}"
    own.mkdir()
    places = {
        f"{SECRETS_DIR}/userlist.txt": folder / "userlist.txt",
        f"{CERTIFICATES_DIR}/rds-ca.pem": folder / "ca.crt",
        "/etc/pgbouncer-tls/": f"{folder}/pooler-",
        "/run/pgbouncer": own,
        "port=5432": f"port={server}",
        "listen_port = 6432": f"listen_port = {port}",
    }
    for there, here in places.items():
        assert there in found
        found = found.replace(there, str(here))
    found = re.sub(r"host=\S+", "host=localhost", found)
    assert PROGRAM
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < (1, 21):
        # The service needs none of it, and the image's PgBouncer has it.
        found = found.replace("max_prepared_statements = 200\n", "")
    (own / "pgbouncer.ini").write_text(found)
    return own / "pgbouncer.ini"


def _pgbouncer(folder: Path, ini: Path) -> "subprocess.Popen[bytes]":
    """As in its image: by `serve`."""
    assert PROGRAM
    path = f"{Path(PROGRAM).parent}:{os.environ['PATH']}"
    command = [Path(IMAGE_CONTEXT) / "serve", ini, folder / "pooler-tls.crt", folder / "pooler-tls.key"]
    return subprocess.Popen(
        [str(part) for part in command],
        user=_USER,
        group=_USER,
        extra_groups=[],
        start_new_session=True,
        env={"PATH": path},
        stderr=(folder / "pgbouncer.log").open("ab"),
    )


def make_databases(recording: Recording, admin: str) -> list[str]:
    """The agents' logins and databases, as their migrations make them; returns the agents' pooled URIs."""
    uris = []
    with psycopg.connect(admin, autocommit=True) as connection:
        for number in range(AGENTS):
            pooled = uri(recording, f"agent-{number}-database-pooled-uri-version")
            parts = urlsplit(pooled)
            name = sql.Identifier(parts.path.lstrip("/"))
            role = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(role.format(sql.Identifier(parts.username or ""), sql.Literal(parts.password)))
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(name, sql.Identifier(parts.username or ""))
            )
            uris.append(pooled)
    return uris


def _wait_for(port: int, folder: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, (folder / "pgbouncer.log").read_text()[-2000:]
        time.sleep(0.1)


async def load(uris: list[str], admin: str, replace: Callable[[int], None]) -> Seen:
    """All agents at once, first undisturbed, then while one PgBouncer after the other is replaced."""
    seen = Seen()
    pods = [
        Database(
            DatabaseSettings(
                database_uri=uri_,
                database_pool_min_size=POOL,
                database_pool_max_size=POOL,
                # All pods share the processors of this machine.
                database_pool_timeout_seconds=30,
            )
        )
        for uri_ in uris
        for _ in range(PODS)
    ]
    opening = asyncio.Semaphore(10)

    async def open_(pod: Database) -> None:
        async with opening:
            await pod.open()
            await pod.pool.wait(timeout=120)

    async def ask(pod: Database, *, patient: bool) -> None:
        try:
            await pod.fetch("SELECT pg_sleep(0.01)", patient=patient)
            seen.statements += 1
        except psycopg.Error as error:
            seen.errors.append(repr(error))

    async def burst(*, patient: bool) -> None:
        await asyncio.gather(*(ask(pod, patient=patient) for pod in pods for _ in range(STATEMENTS)))

    async def watch() -> None:
        query = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'agent%'"
        async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as connection:
            while True:
                row = await (await connection.execute(query)).fetchone()
                seen.servers = max(seen.servers, row[0] if row else 0)
                await asyncio.sleep(0.05)

    await asyncio.gather(*(open_(pod) for pod in pods))
    watching = asyncio.create_task(watch())
    try:
        await burst(patient=False)
        seen.clients = sum(pod.pool.get_stats()["pool_size"] for pod in pods)
        for number in range(POOLERS):
            # As a run that is under way does, it asks again for a while.
            await asyncio.gather(asyncio.to_thread(replace, number), burst(patient=True))
    finally:
        watching.cancel()
        await asyncio.gather(*(pod.close() for pod in pods), return_exceptions=True)
    return seen


def shared_without_an_error(seen: Seen) -> None:
    assert seen.clients > LIMIT, "without it they would not fit"
    assert seen.servers <= LIMIT - RESERVED - POOLED_MAINTENANCE * AGENTS
    assert not seen.errors, f"{len(seen.errors)} of {seen.statements}: {seen.errors[0]}"
    assert seen.statements > AGENTS * PODS * STATEMENTS


def test_a_hundred_agents_share_the_connections_of_a_small_database_without_an_error() -> None:
    recording = record_with("dev", many(AGENTS, instanceClass=CLASS, pooler="pgbouncer"))
    folder = Path(tempfile.mkdtemp(prefix="pooled-", dir="/tmp"))
    owner = pwd.getpwnam(_USER)
    authority = Authority(folder, "of this test")
    for name, names in (("server", ["localhost"]), ("pooler", ["localhost"])):
        authority.issue(name, purposes=[SERVER], common_name=name, alternatives=names)
    for kind in ("crt", "key"):
        (folder / f"pooler.{kind}").rename(folder / f"pooler-tls.{kind}")
    (folder / "userlist.txt").write_text(
        recording.named("pooler-logins-version").inputs["secretString"].value
    )
    server, *ports = free_port(), free_port(), free_port()
    inis = [
        _configured(recording, folder, server=server, port=port, number=number)
        for number, port in enumerate(ports)
    ]
    subprocess.run(["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", folder], check=True)
    poolers: dict[int, subprocess.Popen[bytes]] = {}
    try:
        with _postgresql(folder, server):
            admin = f"postgresql://{_USER}@/postgres?host={folder}&port={server}"
            uris = make_databases(recording, admin)
            for number, ini in enumerate(inis):
                poolers[number] = _pgbouncer(folder, ini)
            for port in ports:
                _wait_for(port, folder)

            def replace(number: int) -> None:
                """As a rollout: it stops when its transactions have ended, and then there is another."""
                poolers[number].terminate()
                assert poolers[number].wait(120) == 0
                poolers[number] = _pgbouncer(folder, inis[number])
                _wait_for(ports[number], folder)

            # A Service sends each connection to one of the pods that are there.
            hosts = ",".join(["localhost"] * len(ports)), ",".join(map(str, ports))
            places = [
                f"{each.partition('@')[0]}@/{urlsplit(each).path.lstrip('/')}?host={hosts[0]}&port={hosts[1]}"
                f"&load_balance_hosts=random&sslmode=verify-full&sslrootcert={folder / 'ca.crt'}"
                for each in uris
            ]
            seen = asyncio.run(load(places, admin, replace))
    finally:
        for process in poolers.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder)
    shared_without_an_error(seen)
