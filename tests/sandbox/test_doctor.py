"""What `make doctor` says of machines, of which this one is none."""

import json
import shutil
from pathlib import Path

import httpx
import psutil
import pytest

from sandbox.__main__ import main
from sandbox.binaries import build, debian
from sandbox.doctor import examine
from sandbox.machine import choice
from sandbox.machine.choice import Obstacle


class Machine:
    """A machine on which everything is fine, until a test says otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.obstacle: Obstacle | None = None
        self.unbuilt: list[str] = []
        self.unreachable = ""
        self.asked: list[str] = []
        self.memory = 64
        monkeypatch.setattr(choice, "obstacle", lambda _: self.obstacle)
        monkeypatch.setattr(build, "unbuilt", lambda *_, **__: self.unbuilt)
        monkeypatch.setattr(httpx, "head", self.head)
        monkeypatch.setattr(
            psutil,
            "virtual_memory",
            lambda: type("M", (), {"available": self.memory << 30, "total": 64 << 30}),
        )
        monkeypatch.setattr(shutil, "disk_usage", lambda _: type("D", (), {"free": 100 << 30}))
        for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "GOPROXY"):
            monkeypatch.delenv(name, raising=False)

    def head(self, url: str, **_: object) -> httpx.Response:
        self.asked.append(httpx.URL(url).host)
        if httpx.URL(url).host == self.unreachable:
            raise httpx.ConnectError("no route to host")
        return httpx.Response(200, request=httpx.Request("HEAD", url))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def run(folder: Path, *more: str) -> int:
    where = ["--project", str(folder), "--state", str(folder / "s"), "--cache", str(folder / "c")]
    return main(["doctor", *where, *more])


def test_a_machine_that_lacks_nothing_is_told_so(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path) == 0
    told = capsys.readouterr().out
    assert told.startswith("langgraph-agents ")
    assert f"Kubernetes {build.KUBERNETES.version}" in told.splitlines()[0]
    assert "LACKS" not in told
    assert told.endswith("`make up` ends with an agent that answers from a real pod.\n")


def test_what_is_lacked_stands_with_the_one_command_that_mends_it(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.obstacle = Obstacle("namespaces and mounts need root", "sudo -E make up")
    assert run(tmp_path) == 1
    told = capsys.readouterr().out.splitlines()
    assert "LACKS real nodes  namespaces and mounts need root" in told
    assert told[-1] == "To mend it: sudo -E make up"


def test_programs_get_the_same(machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine.memory = 1
    assert run(tmp_path, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["fine"]
    assert told["remedy"] == "make down, and end what else takes memory"
    assert [each["name"] for each in told["findings"] if not each["fine"]] == ["memory"]


def test_only_what_is_still_to_be_fetched_has_to_be_reachable(machine: Machine, tmp_path: Path) -> None:
    debian.find(tmp_path).root.mkdir()
    examine(tmp_path, tmp_path, tmp_path)
    assert machine.asked == ["pypi.org"]
    debian.find(tmp_path).root.rmdir()
    machine.unbuilt, machine.asked = ["kubernetes 1.36.2"], []
    machine.unreachable = "proxy.golang.org"
    (lacked,) = [each for each in examine(tmp_path, tmp_path, tmp_path).findings if not each.fine]
    assert lacked.name == "Go's modules"
    assert "proxy.golang.org" in lacked.says
    assert "no route to host" in lacked.says
    assert {"pypi.org", "proxy.golang.org"} < set(machine.asked)


def test_the_mirrors_that_are_set_are_the_ones_that_are_asked(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOPROXY", "https://go.example.com|direct")
    monkeypatch.setenv("PIP_INDEX_URL", "https://pypi.example.com/simple/")
    machine.unbuilt = ["kubernetes 1.36.2"]
    examine(tmp_path, tmp_path, tmp_path)
    assert machine.asked[:2] == ["pypi.example.com", "go.example.com"]
