"""The files of an RDS instance's PostgreSQL: whole, or not there."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from sandbox.binaries.debian import Debian
from sandbox.common.errors import SandboxError
from sandbox.machine import stores
from sandbox.machine.account import DATABASE, DATABASE_PROXY, DATABASE_PROXY_TARGET, Account
from sandbox.machine.postgresql import Databases, initialise
from sandbox.machine.stores import Store, Stores

_BINARIES = Path("/run/debian/usr/lib/postgresql/17/bin")


_BINARIES = Path("/run/debian/usr/lib/postgresql/17/bin")


class InitDb:
    """Makes files as initdb does, or is killed when it has made the first of them."""

    def __init__(self) -> None:
        self.killed = False
        self.did: list[str] = []

    def stop(self, role: str) -> None:
        self.did.append(f"stop {role}")

    def run(self, command: Sequence[str | Path], *, user: str, role: str) -> str:
        (data,) = [Path(str(part).partition("=")[2]) for part in command if str(part).startswith("--pgdata=")]
        data.mkdir()
        (data / "PG_VERSION").write_text("15")
        self.did.append(f"run {role}")
        if self.killed:
            raise SandboxError("killed")
        (data / "base").mkdir()
        return ""


@pytest.fixture
def initdb() -> InitDb:
    return InitDb()


def test_files_that_a_killed_command_began_are_made_anew_once_it_has_ended(
    tmp_path: Path, initdb: InitDb
) -> None:
    store: Any = Store("postgresql-x", tmp_path, "10.0.0.1", tmp_path, tmp_path)
    stores = cast(Stores, initdb)
    initdb.killed = True
    with pytest.raises(SandboxError):
        initialise(stores, store, tmp_path, _BINARIES)
    initdb.killed, initdb.did = False, []
    initialise(stores, store, tmp_path, _BINARIES)
    assert initdb.did == ["stop postgresql-x-initdb", "run postgresql-x-initdb"]
    assert (tmp_path / "data" / "base").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_files_that_are_there_stay(tmp_path: Path, initdb: InitDb) -> None:
    store: Any = Store("postgresql-x", tmp_path, "10.0.0.1", tmp_path, tmp_path)
    (tmp_path / "data").mkdir()
    initialise(cast(Stores, initdb), store, tmp_path, _BINARIES)
    assert initdb.did == []


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="becoming another user takes root")
def test_a_server_can_be_run_by_nobody_where_no_group_has_that_name() -> None:
    done = subprocess.run(
        [*stores.as_user("nobody"), "id", "-un"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "nobody\n"


class Running(Stores):
    """Stores of which the one server runs already."""

    def __init__(self, folder: Path) -> None:
        self._at = folder
        self.hosts: list[Sequence[str]] = []
        self.told: list[str] = []

    def place(self, name: str, hosts: Sequence[str]) -> Store:
        self.hosts.append(hosts)
        files = [self._at / file for file in ("issued.crt", "issued.key")]
        for file in files:
            file.write_text(" ".join(hosts))
        return Store(name, self._at, "10.0.0.1", *files)

    def running(self, store: Store) -> bool:
        return True

    def run(
        self, command: Sequence[str | Path], *, stdin: str = "", user: str = "root", role: str = "stores"
    ) -> str:
        self.told.append(stdin)
        return ""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="files are given to another user")
def test_a_server_answers_for_its_proxies_once_they_lead_to_it(tmp_path: Path) -> None:
    account = Account(tmp_path / "account.json")
    running = Running(tmp_path)
    (tmp_path / "usr/lib/postgresql/17/bin").mkdir(parents=True)
    databases = Databases(running, account, Debian(tmp_path))
    account.put(
        DATABASE,
        {
            "identifier": "agents",
            "address": "agents.rds",
            "port": 5432,
            "username": "admin",
            "password": "p",
        },
    )
    account.put(DATABASE_PROXY, {"name": "proxy", "endpoint": "proxy.rds"})
    account.put(DATABASE_PROXY, {"name": "other", "endpoint": "other.rds"})
    account.put(DATABASE_PROXY_TARGET, {"dbProxyName": "other", "dbInstanceIdentifier": "another"})
    databases.ensure()
    assert (tmp_path / "server.crt").read_text() == "agents.rds"
    account.put(DATABASE_PROXY_TARGET, {"dbProxyName": "proxy", "dbInstanceIdentifier": "agents"})
    databases.ensure()
    assert (tmp_path / "server.crt").read_text() == "agents.rds proxy.rds"
    assert "pg_reload_conf" in running.told[-1]
