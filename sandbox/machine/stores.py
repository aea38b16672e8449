"""The databases and caches of the emulated account, each a real server with an address of its own."""

import json
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.cluster.authority import SERVER, Authority
from sandbox.common import processes
from sandbox.common.addresses import Addresses
from sandbox.common.errors import SandboxError
from sandbox.common.namespaces import Namespaces
from sandbox.common.state import State, write_private
from sandbox.machine.dns import Dns

_START_SECONDS = 30.0


@dataclass(frozen=True)
class Store:
    """The place of one server."""

    role: str
    folder: Path
    address: str
    certificate: Path
    key: Path


class Stores:
    """Where servers run, what they are called, and what proves who they are."""

    def __init__(self, state: State, namespaces: Namespaces, dns: Dns, addresses: Addresses) -> None:
        self._state = state
        self._namespaces = namespaces
        self._dns = dns
        self._addresses = addresses
        self._folder = state.machine / "stores"
        self.authority = Authority(self._folder / "authority", "langgraph-agents sandbox stores CA")

    def place(self, name: str, hosts: Sequence[str]) -> Store:
        """The place of the server `name`, known to pods under its host names; the same one each time."""
        numbers_file = self._folder / "numbers.json"
        numbers: dict[str, int] = json.loads(numbers_file.read_text()) if numbers_file.exists() else {}
        number = numbers.setdefault(name, max(numbers.values(), default=-1) + 1)
        write_private(numbers_file, json.dumps(numbers))
        address = str(self._addresses.store(number))
        self._namespaces.add_address(address)
        self._dns.publish(dict.fromkeys(hosts, address))
        certificate, key = self.authority.issue(
            name, purposes=[SERVER], common_name=hosts[0], alternatives=[*hosts, address]
        )
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return Store(name, folder, address, certificate, key)

    def running(self, store: Store) -> bool:
        return store.role in processes.running(self._state.id)

    def run(
        self, command: Sequence[str | Path], *, stdin: str = "", user: str = "root", role: str = "stores"
    ) -> str:
        """Run a command beside the servers, with `stdin` as its input, and return what it prints.

        It outlives a killed `make up`; by its role it is found and stopped.

        Raises:
            SandboxError: it failed; with its words.
        """
        whole = [*self._namespaces.visit, *as_user(user), *map(str, command)]
        environment = {**os.environ, **processes.marks(self._state.id, role)}
        done = subprocess.run(
            whole, input=stdin, capture_output=True, text=True, check=False, env=environment
        )
        if done.returncode:
            raise SandboxError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def start(
        self,
        store: Store,
        command: Sequence[str | Path],
        ready: Sequence[str | Path],
        *,
        user: str = "root",
    ) -> None:
        """Start a server and wait until it serves, as the exit code of the command `ready` says.

        Raises:
            SandboxError: it does not; with the end of its log.
        """
        log = self._state.logs / f"{store.role}.log"
        started = processes.start(
            self._state.id, store.role, [*self._namespaces.enter, *as_user(user), *command], log
        )
        deadline = time.monotonic() + _START_SECONDS
        probe = [*self._namespaces.visit, *map(str, ready)]
        while subprocess.run(probe, capture_output=True, check=False).returncode:
            if started.poll() is not None or time.monotonic() > deadline:
                words = "\n  ".join(processes.last_lines(log, 5))
                raise SandboxError(f"{store.role} did not start; the end of {log}:\n  {words}")
            time.sleep(0.05)

    def stop(self, name: str) -> None:
        """Stop a server; its data stay."""
        processes.stop(processes.running(self._state.id).get(name, []))

    def remove(self, name: str) -> None:
        """Stop a server for good, data included."""
        self.stop(name)
        shutil.rmtree(self._folder / name, ignore_errors=True)


def as_user(user: str) -> list[str]:
    """The command that runs another one as a user."""
    if user == "root":
        return []
    # The group of `nobody` has another name on Debian.
    return ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--init-groups"]
