"""Redis in the place of ElastiCache: with TLS, and the users that the account's groups name."""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from sandbox.common.state import write_private
from sandbox.machine.account import CACHE, CACHE_PARAMETERS, CACHE_USER, CACHE_USERS, Account
from sandbox.machine.stores import Store, Stores

_OWN_USER = "sandbox"
"""The process that reports changed users to the server."""


class Caches:
    """The replication groups of the account; of each, the one server that takes writes."""

    def __init__(self, stores: Stores, account: Account) -> None:
        self._stores = stores
        self._account = account

    def ensure(self) -> None:
        """Run what the account has, as it has it."""
        for group in self._account.all(CACHE):
            self._ensure(group)

    def remove(self, group: Mapping[str, Any]) -> None:
        """End a group and its data."""
        self._stores.remove(_name(group))

    def _ensure(self, group: Mapping[str, Any]) -> None:
        hosts = [group["primaryEndpointAddress"], group["readerEndpointAddress"]]
        store = self._stores.place(_name(group), hosts)
        password = secrets.token_urlsafe(32)
        if self._stores.running(store):
            # It knows the password of its own user from the file that is there: that one is kept.
            password = (store.folder / "own-password").read_text()
        write_private(store.folder / "own-password", password)
        write_private(store.folder / "users.acl", self._users(group, password))
        port = int(group.get("port") or 6379)
        client = [
            "env",
            f"REDISCLI_AUTH={password}",
            "redis-cli",
            "-e",
            "--user",
            _OWN_USER,
            "-h",
            store.address,
        ]
        client += ["-p", str(port), "--tls", "--cacert", str(self._stores.authority.certificate)]
        if self._stores.running(store):
            self._stores.run([*client, "ACL", "LOAD"])
        else:
            command = ["redis-server", self._config(store, group, port)]
            self._stores.start(store, command, [*client, "PING"])

    def _config(self, store: Store, group: Mapping[str, Any], port: int) -> str:
        parameters = self._account.named(CACHE_PARAMETERS, "name", group.get("parameterGroupName", ""))
        settings = {
            **{each["name"]: each["value"] for each in parameters.get("parameters") or ()},
            "bind": store.address,
            "port": 0,
            "tls-port": port,
            "tls-cert-file": store.certificate,
            "tls-key-file": store.key,
            "tls-ca-cert-file": self._stores.authority.certificate,
            "tls-auth-clients": "no",
            "aclfile": store.folder / "users.acl",
            "dir": store.folder,
            "appendonly": "yes",
            # A title would be written over the environment, by which the sandbox knows its processes.
            "set-proc-title": "no",
        }
        file = store.folder / "redis.conf"
        file.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        return str(file)

    def _users(self, group: Mapping[str, Any], own_password: str) -> str:
        members = {
            user
            for name in group.get("userGroupIds") or ()
            for user in self._account.named(CACHE_USERS, "userGroupId", name).get("userIds") or ()
        }
        users = [user for user in self._account.all(CACHE_USER) if user["userId"] in members]
        lines = {"default": "user default reset off -@all"}
        for user in users:
            mode = user.get("authenticationMode") or {}
            passwords = [f"#{_digest(each)}" for each in mode.get("passwords") or user.get("passwords") or ()]
            entry = ["user", user["userName"], "reset", *passwords, user["accessString"]]
            lines[user["userName"]] = " ".join(entry)
        lines[_OWN_USER] = f"user {_OWN_USER} reset on #{_digest(own_password)} -@all +acl|load +ping"
        return "".join(f"{line}\n" for line in lines.values())


def _name(group: Mapping[str, Any]) -> str:
    return f"redis-{group['replicationGroupId']}"


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
