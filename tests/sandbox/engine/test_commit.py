"""A project as a commit has it, with what its sources may reach."""

import subprocess
from pathlib import Path

import pytest

from sandbox.common.errors import InputError
from sandbox.engine.commit import export


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder `infra` of a repository that has an agent beside it, and another agent beside the repository."""
    repository = tmp_path / "teams" / "platform"
    for name, text in (("infra/Pulumi.yaml", "old"), ("agents/a/graph.py", "old")):
        (repository / name).parent.mkdir(parents=True)
        (repository / name).write_text(text)
    (tmp_path / "teams" / "research").mkdir()
    (tmp_path / "teams" / "research" / "graph.py").write_text("beside")
    git = ["git", "-C", str(repository), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "old"]):
        subprocess.run([*git, *command], check=True)
    for name in ("infra/Pulumi.yaml", "agents/a/graph.py"):
        (repository / name).write_text("new")
    return repository / "infra"


def test_sources_in_the_repository_are_the_commits_and_those_beside_it_are_as_they_are(
    project: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    found = export("HEAD", project, target)
    assert len(found.commit) == 40
    assert (found.project / "Pulumi.yaml").read_text() == "old"
    assert (found.project / "../agents/a/graph.py").read_text() == "old"
    assert (found.project / "../../research/graph.py").read_text() == "beside"
    assert (project / "Pulumi.yaml").read_text() == "new", "the working tree stays"


def test_what_is_no_commit_is_refused_by_its_name(project: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--base nowhere"):
        export("nowhere", project, tmp_path)
