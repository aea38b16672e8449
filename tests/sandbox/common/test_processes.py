"""Only the sandbox's own processes are found, and only they are ended."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sandbox.common import processes

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "log"
    for sandbox_id in ("mine", "theirs"):
        for group in processes.running(_id(tmp_path, sandbox_id)).values():
            processes.stop(group, grace=0)


def _id(tmp_path: Path, name: str) -> str:
    return f"{name}-{tmp_path}"


def _start(log: Path, name: str, role: str, command: list[str]) -> "subprocess.Popen[bytes]":
    started = processes.start(_id(log.parent, name), role, command, log)
    deadline = time.monotonic() + 10
    while "up" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    return started


def test_what_is_asked_of_a_process_that_has_ended_is_empty() -> None:
    with subprocess.Popen(SLEEP, stdout=subprocess.PIPE) as started:
        found = psutil.Process(started.pid)
        started.kill()
    assert (processes.name(found), processes.command(found), processes.listening(found)) == ("", [], [])


def test_a_process_is_found_by_its_sandbox_and_role(log: Path) -> None:
    started = _start(log, "mine", "etcd", SLEEP)
    found = processes.running(_id(log.parent, "mine"))
    assert {role: [p.pid for p in group] for role, group in found.items()} == {"etcd": [started.pid]}
    assert not processes.running(_id(log.parent, "theirs"))


def test_a_process_that_ended_between_two_looks_is_no_error(log: Path) -> None:
    started = _start(log, "mine", "etcd", SLEEP)
    (found,) = processes.running(_id(log.parent, "mine"))["etcd"]
    started.kill()
    started.wait()
    assert processes.name(found) == ""
    processes.stop([found])
    processes.kill([found])


def test_a_process_outlives_its_starters_terminal(log: Path) -> None:
    started = _start(log, "mine", "etcd", SLEEP)
    ours = subprocess.run(
        ["ps", "-o", "sid=", "-p", str(started.pid)], capture_output=True, text=True, check=True
    )
    assert int(ours.stdout) == started.pid


def test_ending_one_sandbox_spares_another(log: Path) -> None:
    mine = _start(log, "mine", "etcd", SLEEP)
    theirs = processes.start(_id(log.parent, "theirs"), "etcd", SLEEP, log)
    processes.stop(processes.running(_id(log.parent, "mine"))["etcd"])
    assert mine.wait(5) is not None
    assert theirs.poll() is None


def test_a_process_that_ignores_the_request_is_killed(log: Path) -> None:
    started = _start(log, "mine", "etcd", STUBBORN)
    processes.stop(processes.running(_id(log.parent, "mine"))["etcd"], grace=0.2)
    assert not psutil.pid_exists(started.pid) or started.wait(5) is not None


def test_an_ended_process_is_not_running_though_nobody_has_collected_it(log: Path) -> None:
    started = processes.start(_id(log.parent, "mine"), "etcd", [sys.executable, "-c", ""], log)
    deadline = time.monotonic() + 10
    while psutil.Process(started.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not processes.running(_id(log.parent, "mine"))
    started.wait()


def test_stopping_what_has_ended_already_is_no_error(log: Path) -> None:
    started = _start(log, "mine", "etcd", SLEEP)
    found = processes.running(_id(log.parent, "mine"))["etcd"]
    started.kill()
    started.wait()
    processes.stop(found)


def test_the_output_of_a_process_is_in_its_log(log: Path) -> None:
    _start(log, "mine", "etcd", SLEEP)
    assert log.read_text().strip() == "up"


def test_what_waits_for_another_process_does_not_count_and_is_ended_apart(tmp_path: Path) -> None:
    wrapper = tmp_path / "nsenter"
    wrapper.symlink_to(shutil.which("sleep") or "")
    started = processes.start("wrapped", "etcd", [wrapper, "60"], tmp_path / "log")
    deadline = time.monotonic() + 10
    while psutil.Process(started.pid).name() != "nsenter":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert processes.running("wrapped") == {}
    processes.end_wrappers("another")
    assert started.poll() is None
    processes.end_wrappers("wrapped")
    assert started.wait(10) == -signal.SIGKILL
