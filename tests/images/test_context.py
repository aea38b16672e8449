"""The build context of a project, as a builder gets it."""

import subprocess
import sys
from pathlib import Path

import pytest

from components.pooling import pgbouncer
from images import context, resolution
from images.context import Context
from images.dockerfile import dockerfile
from images.resolution import Resolution
from images.source import Source, read_source
from tests.service.allocators import allocator


@pytest.fixture(autouse=True)
def resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Resolution("idna==3.10 \\\n    --hash=sha256:00\n", "", locked=False)
    monkeypatch.setattr(context, "resolve", lambda *_: found)


def made(source: Source, folder: Path, platform: str = "linux/amd64") -> Context:
    return context.write(source, name="api", platform=platform, folder=folder)


def test_it_holds_the_service_the_project_and_its_packages(project: Source, tmp_path: Path) -> None:
    folder = made(project, tmp_path / "contexts").folder
    assert (folder / "project/api/graph.py").read_text() == "graph = None"
    assert (folder / "service/langgraph_agents_service/server.py").is_file()
    assert not (folder / "service/langgraph_agents_service/local.py").exists(), "what only a checkout needs"
    assert "idna==3.10" in (folder / "requirements.txt").read_text()
    assert not [
        path for path in folder.rglob("*") if "planted" in (path.read_text() if path.is_file() else "")
    ]


def test_its_image_gives_back_the_memory_of_a_peak_as_the_reference_agents_does(project: Source) -> None:
    set_there = allocator(dockerfile(project, repositories=False))
    assert set_there == allocator()
    assert set(set_there) == {"MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}


def test_its_revision_changes_with_any_file_and_the_platform_and_with_nothing_else(
    project: Source, repository: Path, tmp_path: Path
) -> None:
    contexts = tmp_path / "contexts"
    first = made(project, contexts)
    (repository / "other/service.py").write_text("changed = 1")
    assert made(read_source(repository / "api"), contexts).revision == first.revision
    assert made(project, contexts, "linux/arm64").revision != first.revision
    (repository / "libs/words/words/__init__.py").write_text("changed = 1")
    changed = made(read_source(repository / "api"), contexts)
    assert changed.revision != first.revision
    assert [path.name for path in contexts.iterdir()] == [changed.folder.name], "older ones are removed"


def test_contexts_of_agents_whose_names_begin_alike_do_not_remove_each_other(
    project: Source, tmp_path: Path
) -> None:
    other = context.write(project, name="api-two", platform="linux/amd64", folder=tmp_path / "contexts")
    made(project, tmp_path / "contexts")
    assert other.folder.is_dir()


@pytest.mark.parametrize("repositories", [False, True])
def test_the_dockerfile_passes_hadolint(project: Source, tmp_path: Path, repositories: bool) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text(dockerfile(project, repositories=repositories))
    linter = Path(sys.executable).with_name("hadolint")
    # Versions of Debian's packages are those of the base's release, which is pinned by the base.
    done = subprocess.run(
        [linter, "--ignore", "DL3008", "--ignore", "DL3042", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_a_changed_source_is_a_change_of_the_last_layers_alone(project: Source) -> None:
    lines = dockerfile(project, repositories=False).splitlines()
    final = lines[lines.index("FROM base", lines.index("FROM packages AS project")) :]
    copies = [line for line in final if line.startswith(("COPY", "RUN"))]
    assert copies[-1] == "COPY --from=project /project /project"
    assert lines.index("COPY requirements.txt ./") < lines.index("COPY project /project")


def test_lines_of_the_project_come_before_everything_that_is_installed(repository: Path) -> None:
    file = repository / "api/langgraph.json"
    file.write_text(file.read_text().replace('"env"', '"dockerfile_lines": ["RUN echo hello"], "env"'))
    text = dockerfile(read_source(repository / "api"), repositories=False)
    assert text.index("RUN echo hello") < text.index("FROM base AS packages")
    assert resolution.LOCK not in text


def test_a_builder_for_another_processor_is_told_so_by_the_first_command_that_it_cannot_run(
    project: Source,
) -> None:
    root = Path(context.__file__).parents[1]
    texts = [dockerfile(project, repositories=False)]
    texts += [
        path.read_text()
        for path in (root / "service/Dockerfile", root / pgbouncer.IMAGE_CONTEXT / "Dockerfile")
    ]
    for text in texts:
        first = next(line for line in text.splitlines() if line.startswith("RUN "))
        assert "cluster.architecture" in first
        assert [line for line in text.splitlines() if line.startswith("FROM ${BASE}")] == [
            line for line in text.splitlines()[: text.splitlines().index(first)] if line.startswith("FROM")
        ], "every stage is made of the one that runs it"
