"""`make up`, `make status` and `make down` as their users meet them."""

import json
import re
import subprocess
import threading
from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.common import processes, state
from sandbox.common.errors import SandboxError
from sandbox.common.state import State
from tests.conftest import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: p\nruntime: python\n")
    return tmp_path


def run(project: Path, *arguments: str) -> int:
    command, *rest = arguments
    return main([command, "--project", str(project), "--state", str(project / ".sandbox"), *rest])


def test_a_stack_that_there_is_not_is_bad_input_and_no_traceback(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "Pulumi.dev.yaml").write_text("config: {}\n")
    assert run(project, "up", "--stack", "qa") == 2
    told = capsys.readouterr().out
    assert "give STACK=dev" in told
    assert "Traceback" not in told


def test_another_kubernetes_version_is_bad_input_before_anything_starts(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"aws:region": "eu-central-1", "p:settings": {"cluster": {"version": "1.30"}}}
    (project / "Pulumi.dev.yaml").write_text(json.dumps({"config": settings}))
    assert run(project, "up") == 2
    assert "cluster.version is 1.30" in capsys.readouterr().out
    assert not (project / ".sandbox").exists()


def test_status_without_a_sandbox_says_how_to_start_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(project, "status") == 1
    assert "start one with `make up`" in capsys.readouterr().out


def test_status_for_programs_is_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = State((project / ".sandbox").resolve(), "dev")
    here.create()
    started = processes.start(here.id, "etcd", ["sleep", "60"], here.logs / "etcd.log")
    try:
        assert run(project, "status", "--json") == 1
    finally:
        started.kill()
        started.wait()
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["stack"], told["running"], told["server"]) == ("dev", False, None)
    assert [(process["role"], process["pid"]) for process in told["processes"]] == [("etcd", started.pid)]
    assert "kube-apiserver" in told["missing"]


def test_down_ends_every_stacks_processes_and_removes_their_files(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started = []
    for stack in ("dev", "prod"):
        here = State((project / ".sandbox").resolve(), stack)
        here.create()
        started.append(processes.start(here.id, "etcd", ["sleep", "60"], here.logs / "etcd.log"))
    assert run(project, "down") == 0
    assert all(process.wait(5) is not None for process in started)
    assert state.stacks(project / ".sandbox") == []
    assert "Ended 1 processes" in capsys.readouterr().out
    assert run(project, "down") == 0


def test_down_of_one_stack_spares_the_other(project: Path) -> None:
    root = (project / ".sandbox").resolve()
    for stack in ("dev", "prod"):
        State(root, stack).create()
    assert run(project, "down", "--stack", "prod") == 0
    assert state.stacks(root) == ["dev"]


def test_of_two_commands_at_once_the_second_is_refused(project: Path) -> None:
    here = State(project / ".sandbox", "dev")
    raised: list[BaseException] = []

    def second() -> None:
        try:
            with State(project / ".sandbox", "dev").locked():
                pass
        except SandboxError as error:
            raised.append(error)

    with here.locked():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert "another `make up` or `make down` of stack dev is at work" in str(raised[0])
    with here.locked():
        pass


def test_a_sandboxs_files_are_for_its_owner_only(project: Path) -> None:
    here = State(project / ".sandbox", "dev")
    here.create()
    assert here.folder.stat().st_mode & 0o777 == 0o700
    assert here.passphrase.stat().st_mode & 0o777 == 0o600


def test_a_sandbox_keeps_its_id_and_passphrase(project: Path) -> None:
    here = State(project / ".sandbox", "dev")
    here.create()
    before = (here.id, here.passphrase.read_text())
    here.create()
    assert (here.id, here.passphrase.read_text()) == before
    other = State(project / ".sandbox", "prod")
    other.create()
    assert other.id != here.id


def test_the_state_folder_is_ignored_by_git() -> None:
    assert ".sandbox/" in (ROOT / ".gitignore").read_text().splitlines()


def test_make_alone_lists_every_target_in_a_line() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert sorted(re.findall(r"^  make (\S+) +\S", listed, re.MULTILINE)) == sorted(phony[1].split())


def test_make_says_which_python_it_needs(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements-dev.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\ntest "$1" = --version && echo Python 3.9.2 || exit 1\n')
    old.chmod(0o755)
    for python, words in (
        (str(old), "Python 3.9.2 is too old"),
        ("no-such-python", "no-such-python is missing"),
    ):
        done = subprocess.run(
            ["make", "venv", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert words in done.stdout
