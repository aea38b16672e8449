"""The exact packages of an image. uv asks PyPI once, and its own cache later."""

from collections.abc import Callable
from pathlib import Path

import pytest

from images.resolution import LOCK, resolve, write_lock
from images.source import Source, read_source
from langgraph_agents_service.projects.config import ProjectError

ON = "linux/amd64"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of resolutions; uv keeps its own, or every test would download."""
    folder = tmp_path_factory.mktemp("cache")
    import subprocess
    import sys

    uv = Path(sys.executable).with_name("uv")
    kept = subprocess.run([uv, "--system-certs", "cache", "dir"], capture_output=True, text=True, check=True)
    monkeypatch.setenv("UV_CACHE_DIR", kept.stdout.strip())
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def test_the_service_and_the_project_are_resolved_together_by_hash(project: Source) -> None:
    found = resolve(project, ON)
    assert not found.locked
    names = {entry.partition("==")[0] for entry in found.hashed.split("\n") if "==" in entry}
    assert {"langgraph", "fastapi", "python-slugify", "valkey"} <= names
    assert "words" not in names, "a folder of the project is imported and not installed"
    for entry in found.hashed.strip().split("\n"):
        assert entry.startswith(" ") or entry.endswith("\\"), f"{entry} has no hash"


def test_the_same_inputs_are_resolved_once(project: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    first = resolve(project, ON)
    monkeypatch.setattr("images.resolution._uv", lambda *_, **__: pytest.fail("it asked again"))
    assert resolve(project, ON) == first


def test_a_lock_is_kept_beside_the_project_and_holds_until_the_inputs_change(
    project: Source, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = write_lock(project, ON)
    assert lock == repository / "api" / LOCK
    held = lock.read_text().replace("python-slugify==", "python-slugify==0.0.")
    lock.write_text(held)
    monkeypatch.setattr(
        "images.resolution._uv", lambda *_, **__: pytest.fail("it asked although there is a lock")
    )
    found = resolve(project, ON)
    assert found.locked
    assert "python-slugify==0.0." in found.hashed
    (repository / "api/requirements.txt").write_text("langgraph>=1.1\n")
    with pytest.raises(ProjectError, match="make lock-source"):
        resolve(project, ON)


def test_packages_that_cannot_go_with_the_service_are_refused_with_both_sides(
    project: Source, repository: Path
) -> None:
    (repository / "api/requirements.txt").write_text("langgraph==0.6.0\n")
    with pytest.raises(ProjectError) as refused:
        resolve(read_source(repository / "api"), ON)
    for words in ("langgraph>=1.0.6", "langgraph==0.6.0", str(repository / "api/requirements.txt")):
        assert words in str(refused.value), words


def answering(text: str, limits: list[str]) -> Callable[..., str]:
    """Writes what uv would, and notes its constraints."""

    def uv(_: Source, arguments: list[str], stdin: str = "") -> str:
        limits.append(Path(arguments[arguments.index("--constraints") + 1]).read_text())
        Path(arguments[arguments.index("--output-file") + 1]).write_text(text)
        return ""

    return uv


def test_packages_from_git_are_installed_by_commit(project: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "git+https://github.com/example/words@0123456789012345678901234567890123456789"
    text = f"idna==3.10 \\\n    --hash=sha256:00\nwords @ {commit}\n-e file:///somewhere\n"
    monkeypatch.setattr("images.resolution._uv", answering(text, []))
    found = resolve(project, ON)
    assert found.hashed == "idna==3.10 \\\n    --hash=sha256:00\n"
    assert found.repositories == f"words @ {commit}"


def test_what_goes_beside_an_older_langchain_core_is_asked_for(
    project: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[str] = []
    text = "langchain-core==1.1.3 \\\n    --hash=sha256:00\n"
    monkeypatch.setattr("images.resolution._uv", answering(text, limits))
    resolve(project, ON)
    assert limits == ["", "langgraph-checkpoint<4.1"]


LOCKED = """\
version = 1
requires-python = ">=3.11"

[[package]]
name = "api"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "python-slugify" }, { name = "langgraph-sdk" }, { name = "langgraph" }]

[package.metadata]
requires-dist = [{ name = "python-slugify" }, { name = "langgraph-sdk" }, { name = "langgraph" }]
"""
PACKAGE = """
[[package]]
name = "{name}"
version = "{version}"
source = {{ registry = "https://pypi.org/simple" }}
sdist = {{ url = "https://files.pythonhosted.org/{name}.tar.gz", hash = "sha256:{hash}" }}
"""
DECLARES = '[project]\nname = "api"\nversion = "1"\nrequires-python = ">=3.11"\n'
DECLARES += 'dependencies = ["python-slugify", "langgraph-sdk", "langgraph"]\n'


def with_uv_lock(repository: Path, **versions: str) -> Source:
    (repository / "api/pyproject.toml").write_text(DECLARES)
    packages = [
        PACKAGE.format(name=name.replace("_", "-"), version=version, hash="0" * 64)
        for name, version in versions.items()
    ]
    (repository / "api/uv.lock").write_text(LOCKED + "".join(packages))
    return read_source(repository / "api")


def test_a_lock_of_the_projects_own_holds_where_the_service_can_go_beside_it(repository: Path) -> None:
    project = with_uv_lock(repository, python_slugify="8.0.1", langgraph_sdk="0.3.3", langgraph="1.0.10")
    found = resolve(project, ON)
    assert "python-slugify==8.0.1" in found.hashed
    assert "langgraph==1.0.10" in found.hashed
    assert [other.partition(" -> ")[0] for other in found.others] == ["langgraph-sdk 0.3.3"]


def test_a_lock_with_a_langgraph_below_1_is_refused_with_what_raises_it(repository: Path) -> None:
    project = with_uv_lock(repository, python_slugify="8.0.1", langgraph_sdk="0.3.3", langgraph="0.4.8")
    with pytest.raises(ProjectError, match="uv lock --upgrade-package langgraph") as refused:
        resolve(project, ON)
    assert "uv.lock holds langgraph 0.4.8" in str(refused.value)


def test_a_lock_that_is_not_of_the_project_is_refused_with_what_mends_it(repository: Path) -> None:
    project = with_uv_lock(repository, python_slugify="8.0.1", langgraph_sdk="0.3.3", langgraph="1.0.10")
    (repository / "api/pyproject.toml").write_text(DECLARES.replace('"api"', '"another"'))
    with pytest.raises(
        ProjectError, match=r"uv.lock cannot be used: .*`uv lock --directory .*/api`"
    ) as refused:
        resolve(project, ON)
    assert "another" in str(refused.value)
