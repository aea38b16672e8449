"""Where one sandbox keeps its files: everything under one folder that git ignores."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from sandbox.common.errors import SandboxError


@dataclass(frozen=True)
class State:
    """The files of one stack's sandbox. Each stack has a control plane of its own, as it has in the cloud."""

    root: Path
    """The folder of all sandboxes of a checkout (`.sandbox`)."""
    stack: str

    @property
    def folder(self) -> Path:
        return self.root / self.stack

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def env(self) -> Path:
        """What a shell reads to talk to the sandbox."""
        return self.folder / "env"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def etcd(self) -> Path:
        return self.folder / "etcd"

    @property
    def machine(self) -> Path:
        """What a real node keeps: images, container logs, the data of the stores."""
        return self.folder / "machine"

    @property
    def endpoint(self) -> Path:
        """JSON: the address and ports of the running control plane."""
        return self.folder / "endpoint.json"

    @property
    def work(self) -> Path:
        """Copies of the project's files, on which the engine runs."""
        return self.folder / "work"

    @property
    def backend(self) -> Path:
        """The engine's state."""
        return self.folder / "backend"

    @property
    def pulumi_home(self) -> Path:
        return self.folder / "pulumi"

    @property
    def passphrase(self) -> Path:
        return self.folder / "passphrase"

    @property
    def updating(self) -> Path:
        """There while an update is under way; found there by a later command, it was interrupted."""
        return self.folder / "updating"

    @property
    def outputs(self) -> Path:
        """JSON: the stack's outputs, without secret values."""
        return self.folder / "outputs.json"

    def checkpoint(self, project: str) -> Path:
        """The engine's record of what is deployed."""
        return self.backend / ".pulumi" / "stacks" / project / f"{self.stack}.json"

    @property
    def nodes(self) -> Path:
        """What the pods run on, `real` or `simulated`: what etcd holds is of the one or the other."""
        return self.folder / "nodes"

    @property
    def exists(self) -> bool:
        return self.folder.is_dir()

    def create(self) -> None:
        """Make the folder, for its owner only, with what later starts need to find again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for folder in (self.logs, self.work, self.backend, self.pulumi_home):
            folder.mkdir(exist_ok=True)
        _once(self.folder / "id", secrets.token_hex(16))
        _once(self.passphrase, secrets.token_urlsafe(32))

    @property
    def id(self) -> str:
        """A random mark that every process of this sandbox carries, so that no other is ever ended.

        It outlives a move of the checkout, and no process number can be mistaken for it.
        """
        return (self.folder / "id").read_text()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the sandbox: of two commands at once, the second reports that and ends.

        Raises:
            SandboxError: another command holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / f"{self.stack}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise SandboxError(
                f"another `make up` or `make down` of stack {self.stack} is at work in {self.root}: wait for it to end"
            ) from None
        try:
            yield
        finally:
            lock.release()


def stacks(root: Path) -> list[str]:
    """The stacks that have a sandbox under `root`."""
    return sorted(folder.parent.name for folder in root.glob("*/id"))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.touch(mode=0o600)
    partial.chmod(0o600)
    partial.write_text(text)
    partial.replace(path)


def _once(path: Path, text: str) -> None:
    if not path.exists():
        write_private(path, text)
