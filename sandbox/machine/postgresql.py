"""PostgreSQL in the place of RDS: with TLS, the instance's administrator, and its parameters."""

import pwd
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.binaries.debian import MOUNT, Debian
from sandbox.machine.account import (
    DATABASE,
    DATABASE_PARAMETERS,
    DATABASE_PROXY,
    DATABASE_PROXY_TARGET,
    Account,
)
from sandbox.machine.stores import Store, Stores

_USERS = ("postgres", "nobody")
"""The server refuses to run as root: who it is run by, the first that the machine has."""
_SUPERUSER = "rdsadmin"
"""As on RDS, where nobody but AWS is it."""


class Databases:
    """The instances of the account."""

    def __init__(self, stores: Stores, account: Account, debian: Debian) -> None:
        self._stores = stores
        self._account = account
        self._debian = debian

    def ensure(self) -> None:
        """Run what the account has, as it has it."""
        for instance in self._account.all(DATABASE):
            self._ensure(instance)

    def remove(self, instance: Mapping[str, Any]) -> None:
        """End an instance and its data."""
        self._stores.remove(_name(instance))

    def _ensure(self, instance: Mapping[str, Any]) -> None:
        store = self._stores.place(_name(instance), [instance["address"], *self._proxies(instance)])
        port = int(instance["port"])
        self._mount(self._debian.root, MOUNT)
        folder = self._mounted(store)
        if not self._stores.running(store):
            initialise(self._stores, store, folder, self._debian.postgresql)
            # It listens while it still recovers from a crash.
            ready: list[str | Path] = [
                self._debian.postgresql / "pg_isready",
                f"--host={store.address}",
                f"--port={port}",
            ]
            self._stores.start(store, self._command(store, folder, instance), ready, user=_user(store))
        self._administrator(store, instance, port)

    def _proxies(self, instance: Mapping[str, Any]) -> list[str]:
        """The host names of the proxies that lead to an instance: here it answers for them itself."""
        targets = {
            target["dbProxyName"]
            for target in self._account.all(DATABASE_PROXY_TARGET)
            if target["dbInstanceIdentifier"] == instance["identifier"]
        }
        proxies = self._account.all(DATABASE_PROXY)
        return [proxy["endpoint"] for proxy in proxies if proxy["name"] in targets]

    def _mounted(self, store: Store) -> Path:
        """The store's folder where the server's user may go: the sandbox's own folder is closed to others."""
        owner = pwd.getpwnam(_user(store))
        for name, source in (("server.crt", store.certificate), ("server.key", store.key)):
            shutil.copy(source, store.folder / name)
            shutil.chown(store.folder / name, owner.pw_uid, owner.pw_gid)
        shutil.chown(store.folder, owner.pw_uid, owner.pw_gid)
        folder = Path("/run/stores") / store.role
        self._mount(store.folder, folder)
        return folder

    def _mount(self, source: Path, folder: Path) -> None:
        """Show a folder elsewhere within the namespaces; no error when it is there."""
        script = 'mkdir --parents "$2" && { mountpoint -q "$2" || mount --bind "$1" "$2"; }'
        self._stores.run(["sh", "-c", script, "sh", source, folder])

    def _command(self, store: Store, folder: Path, instance: Mapping[str, Any]) -> list[str | Path]:
        parameters = self._parameters(instance)
        host = "hostssl" if parameters.pop("rds.force_ssl", "1") == "1" else "host"
        # The socket lies in a folder that nobody but the server's user may enter.
        rules = store.folder / "hba.conf"
        rules.write_text(f"local all all trust\n{host} all all 0.0.0.0/0 scram-sha-256\n")
        rules.chmod(0o644)
        settings = {
            **{name: value for name, value in parameters.items() if not name.startswith("rds.")},
            "listen_addresses": store.address,
            "port": str(instance["port"]),
            "unix_socket_directories": str(folder / "data"),
            "hba_file": str(folder / "hba.conf"),
            "ssl": "on",
            "ssl_cert_file": str(folder / "server.crt"),
            "ssl_key_file": str(folder / "server.key"),
            "password_encryption": "scram-sha-256",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._debian.postgresql / "postgres", "-D", folder / "data", *flags]

    def _parameters(self, instance: Mapping[str, Any]) -> dict[str, str]:
        group = self._account.named(DATABASE_PARAMETERS, "name", instance.get("parameterGroupName", ""))
        given = {each["name"]: str(each["value"]) for each in group.get("parameters") or ()}
        # A formula, such as one over the instance's memory, has no meaning on this machine.
        return {name: value for name, value in given.items() if not value.startswith("{")}

    def _administrator(self, store: Store, instance: Mapping[str, Any], port: int) -> None:
        """The instance's user: it makes roles and databases, and is no superuser.

        On RDS it may make pgvector's extension all the same; here databases begin with it. The server also reads its
        certificate anew, which has the name of a proxy that has come since.
        """
        user, password = _literal(instance["username"]), _literal(instance["password"])
        statements = f"""
        SELECT pg_reload_conf();
        SELECT format('CREATE ROLE %I', {user}) WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = {user}) \\gexec
        SELECT format('ALTER ROLE %I LOGIN CREATEDB CREATEROLE PASSWORD %L', {user}, {password}) \\gexec
        \\connect template1
        CREATE EXTENSION IF NOT EXISTS vector;
        """  # noqa: S608 (quoted by `_literal` and `format`)
        socket = Path("/run/stores") / store.role / "data"
        psql: list[str | Path] = [
            self._debian.postgresql / "psql",
            "--no-psqlrc",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            f"--host={socket}",
        ]
        psql += [f"--port={port}", f"--username={_SUPERUSER}", "--dbname=postgres"]
        self._stores.run(psql, stdin=statements, user=_user(store))


def initialise(stores: Stores, store: Store, folder: Path, binaries: Path) -> None:
    """Make the instance's files unless they are there. What a killed command began is ended and begun anew.

    Args:
        folder: the store's, where the server's user sees it.
        binaries: PostgreSQL's programs, likewise.
    """
    if (store.folder / "data").exists():
        return
    role = f"{store.role}-initdb"
    stores.stop(role)
    begun = store.folder / "data.begun"
    shutil.rmtree(begun, ignore_errors=True)
    initdb: list[str | Path] = [
        binaries / "initdb",
        f"--pgdata={folder / begun.name}",
        # As on RDS; the machine's own locale may be one that these programs do not know.
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        f"--username={_SUPERUSER}",
        "--auth=trust",
    ]
    stores.run(initdb, user=_user(store), role=role)
    begun.rename(store.folder / "data")


def _user(store: Store) -> str:
    """Whose a store's files are: they stay who they are when the machine gets another user."""
    owner = store.folder.stat().st_uid
    if owner:
        return pwd.getpwuid(owner).pw_name
    there = {each.pw_name for each in pwd.getpwall()}
    return next(user for user in _USERS if user in there)


def _name(instance: Mapping[str, Any]) -> str:
    return f"postgresql-{instance['identifier']}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
