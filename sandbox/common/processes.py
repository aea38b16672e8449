"""Start, find and stop the processes of one sandbox.

Every process that a sandbox starts carries the sandbox's random id in its environment. What carries it is ours, and
nothing else is: no process number is recorded that could belong to another by the time it is used, and a process
whose starter was killed a moment later is still found.
"""

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

OWNER = "LANGGRAPH_AGENTS_SANDBOX"
ROLE = "LANGGRAPH_AGENTS_SANDBOX_ROLE"

# They enter namespaces for another process and end with it; the mark that both carry counts once.
_WRAPPERS = frozenset({"nsenter", "unshare"})


def marks(sandbox_id: str, role: str) -> dict[str, str]:
    """The environment variables by which a process of this sandbox is known."""
    return {OWNER: sandbox_id, ROLE: role}


def start(
    sandbox_id: str,
    role: str,
    command: Sequence[str | Path],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a process that outlives this one, with its output in `log`, and `environment` beside this one's.

    It leads a session of its own, so that Ctrl-C in the terminal does not reach it.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {}), **marks(sandbox_id, role)},
        )


def last_lines(log: Path, count: int) -> list[str]:
    """The end of what a process said."""
    return log.read_text(errors="replace").splitlines()[-count:]


def running(sandbox_id: str) -> dict[str, list[psutil.Process]]:
    """The live processes of a sandbox by their role."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        environment = _environment(process)
        if environment.get(OWNER) == sandbox_id and process.pid != os.getpid():
            found.setdefault(environment.get(ROLE, "?"), []).append(process)
    return found


def end_wrappers(sandbox_id: str) -> None:
    """End what waits for a process in a namespace. Nothing is lost: what it waited for has ended."""
    for process in psutil.process_iter():
        if _marks(process).get(OWNER) == sandbox_id and _is_wrapper(process):
            _signal(process, insist=True)


def stop(processes: Iterable[psutil.Process], grace: float = 5.0) -> None:
    """End processes: ask first, and after `grace` seconds insist. It is no error when one has ended by itself."""
    asked = list(processes)
    for process in asked:
        _signal(process, insist=False)
    _, left = psutil.wait_procs(asked, timeout=grace)
    kill(left)


def kill(processes: Iterable[psutil.Process], patience: float = 10.0) -> None:
    """End processes at once, and wait until they are gone. It is no error when one has ended by itself."""
    asked = list(processes)
    for process in asked:
        _signal(process, insist=True)
    psutil.wait_procs(asked, timeout=patience)


def listening(process: psutil.Process) -> list[str]:
    """The addresses that a process listens on, such as `127.0.0.1:6443`."""
    try:
        connections = process.net_connections(kind="inet")
    except psutil.Error:
        return []
    return sorted(f"{c.laddr.ip}:{c.laddr.port}" for c in connections if c.status == psutil.CONN_LISTEN)


def _environment(process: psutil.Process) -> Mapping[str, str]:
    return {} if _is_wrapper(process) else _marks(process)


def name(process: psutil.Process) -> str:
    """The name of a process; empty when it has ended, as any may between two looks at it."""
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def command(process: psutil.Process) -> list[str]:
    """The command line of a process; empty when it has ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _is_wrapper(process: psutil.Process) -> bool:
    return name(process) in _WRAPPERS


def _marks(process: psutil.Process) -> Mapping[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):
        # It has ended, or it is another user's.
        return {}


def _signal(process: psutil.Process, *, insist: bool) -> None:
    try:
        # psutil compares the start time first, so a number that was given to another process is left alone.
        process.kill() if insist else process.terminate()
    except psutil.NoSuchProcess:
        return
