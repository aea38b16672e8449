"""The exact packages of an image. uv asks PyPI once, and its own cache later."""

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


def test_packages_from_git_are_installed_by_commit(project: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "git+https://github.com/example/words@0123456789012345678901234567890123456789"
    text = f"idna==3.10 \\\n    --hash=sha256:00\nwords @ {commit}\n-e file:///somewhere\n"
    monkeypatch.setattr("images.resolution._uv", lambda *_, **__: text)
    found = resolve(project, ON)
    assert found.hashed == "idna==3.10 \\\n    --hash=sha256:00\n"
    assert found.repositories == f"words @ {commit}"


def test_what_goes_beside_an_older_langchain_core_is_asked_for(
    project: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = []

    def uv(_: Source, arguments: list[str], stdin: str = "") -> str:
        limits.append(Path(arguments[arguments.index("--constraints") + 1]).read_text())
        return "langchain-core==1.1.3 \\\n    --hash=sha256:00\n"

    monkeypatch.setattr("images.resolution._uv", uv)
    resolve(project, ON)
    assert limits == ["", "langgraph-checkpoint<4.1"]
