"""A sandbox as its user drives it: by its commands, by kubectl, and by looking at what lies there."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from sandbox.__main__ import default_cache
from sandbox.binaries import build
from sandbox.common.errors import InputError
from sandbox.common.processes import OWNER
from sandbox.common.state import State
from sandbox.machine.choice import Nodes, choose

ROOT = Path(__file__).parents[2]

# Pulumi's SDKs, an image, a rollout and whatever else the machine does at the time.
PATIENCE = 900.0

Edit = Callable[[dict[str, Any]], None]


def needs_a_real_node(folder: Path) -> None:
    """Skip where this machine cannot have one whose files lie there."""
    try:
        choose(Nodes.REAL, (folder,))
    except InputError as obstacle:
        pytest.skip(str(obstacle))


@dataclass
class Done:
    """A command that has ended."""

    code: int
    out: str
    seconds: float

    @property
    def changed(self) -> set[tuple[str, str, str]]:
        """What changed: (operation, type, name)."""
        lines = (line.split() for line in self.out.splitlines() if line.startswith("  "))
        return {(words[0], words[1], words[2]) for words in lines if len(words) == 3 and ":" in words[1]}


@dataclass
class Sandbox:
    """A project and its sandbox."""

    project: Path
    root: Path
    stack: str = "dev"
    nodes: str = "simulated"

    @property
    def state(self) -> State:
        return State(self.root, self.stack)

    def command(self, verb: str, *more: str) -> list[str]:
        where = ["--project", str(self.project), "--state", str(self.root), "--stack", self.stack]
        nodes = ["--nodes", self.nodes] if verb == "up" else []
        return [sys.executable, "-m", "sandbox", verb, *where, *nodes, *more]

    def run(self, verb: str, *more: str) -> Done:
        began = time.monotonic()
        command = self.command(verb, *more)
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Done(done.returncode, done.stdout, time.monotonic() - began)

    def up(self, *more: str) -> Done:
        done = self.run("up", *more)
        assert done.code == 0, done.out
        return done

    def killed(self, after: float) -> str:
        """Start `make up`, kill it after so many seconds unless it has ended, and return what it printed last."""
        log = self.root.with_name("killed.log")
        with (
            log.open("w") as output,
            subprocess.Popen(self.command("up"), cwd=ROOT, stdout=output, stderr=output) as started,
        ):
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.wait(timeout=after)
            started.kill()
        return (log.read_text().splitlines() or ["nothing yet"])[-1]

    def interrupted(self, signal_number: int) -> int:
        """Start an update, end it by a signal in its midst, and return its exit code."""
        command = self.command("up")
        # A shell lets what it starts in the background ignore Ctrl-C, and so would all that comes from it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as started:
            deadline = time.monotonic() + PATIENCE
            while not (self.state.updating.exists() and self._begun()):
                assert started.poll() is None, "it ended before it could be interrupted"
                assert time.monotonic() < deadline
                time.sleep(0.02)
            os.kill(started.pid, signal_number)
            return started.wait(PATIENCE)

    def _begun(self) -> bool:
        return self.kubectl("get", "configmap", "-n", "small", "extra-3", check=False).returncode == 0

    def edit(self, change: Edit) -> None:
        """Change the settings in the copy's stack file."""
        path = self.project / f"Pulumi.{self.stack}.yaml"
        loaded = yaml.safe_load(path.read_text())
        change(next(value for key, value in loaded["config"].items() if key.endswith(":settings")))
        path.write_text(yaml.safe_dump(loaded, sort_keys=False))

    def kubectl(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        command = [*self.kubectl_command(), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=check)

    def kubectl_command(self) -> list[str]:
        """The command without arguments."""
        binary = default_cache() / build.KUBERNETES.key / "bin" / "kubectl"
        return [str(binary), "--kubeconfig", str(self.state.kubeconfig)]

    def objects(self, kind: str, *more: str) -> list[dict[str, Any]]:
        """The objects of a kind in all namespaces."""
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "-A", "-o", "json", *more).stdout)[
            "items"
        ]
        return items

    def servers(self) -> list[dict[str, Any]]:
        """The agents' pods, those that end left out."""
        found = self.objects("pod", "-l", "app.kubernetes.io/component=server")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def ready_servers(self) -> int:
        """How many of them are ready."""
        conditions = [pod["status"].get("conditions", ()) for pod in self.servers()]
        return sum(any(c["type"] == "Ready" and c["status"] == "True" for c in each) for each in conditions)

    def record(self, project: str) -> str:
        """The engine's state file."""
        return self.state.checkpoint(project).read_text()

    def processes(self) -> list[psutil.Process]:
        """Every process of this sandbox, found without its own code."""
        return [process for process in psutil.process_iter() if _owner(process) == self.state.id]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run: one that has ended and waits to be reaped by its parent does not."""
    ended = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    return [process for process in processes if process.is_running() and _status(process) not in ended]


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.Error:
        return psutil.STATUS_DEAD


def _owner(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(OWNER)
    except psutil.Error:
        return None
