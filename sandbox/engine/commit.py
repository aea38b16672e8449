"""The project's files as a commit has them."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from sandbox.common.errors import InputError


@dataclass(frozen=True)
class Exported:
    commit: str
    """Its hash."""
    project: Path
    """The project's folder, as the commit has it."""


def export(reference: str, project: Path, target: Path, *, wrong: str = "no") -> Exported:
    """Write the files of a commit into a folder, without touching the working tree.

    The whole repository is written, since a stack's sources may lie beside its project. What lies beside the repository
    is found there as well, as it is now: a link in the target leads to it.

    Args:
        reference: a branch, a tag or a commit.
        project: a folder of the repository.
        target: an empty folder to write to.
        wrong: how the message says that it is none.

    Raises:
        InputError: there is no such commit.
    """
    git = ["git", "-C", str(project)]
    known = subprocess.run(
        [*git, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if known.returncode:
        raise InputError(
            f"--base {reference} is {wrong} commit of the repository at {project}:"
            " name a branch, a tag or a commit (in CI, fetch it first: fetch-depth 0)"
        )
    found = known.stdout.strip()
    top = Path(
        subprocess.run(
            [*git, "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    repository = target / top.name
    repository.mkdir()
    with subprocess.Popen(["git", "-C", str(top), "archive", found], stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", str(repository)], stdin=archive.stdout, check=True)
    for beside in top.parent.iterdir():
        if beside != top:
            (target / beside.name).symlink_to(beside)
    return Exported(found, repository / project.resolve().relative_to(top.resolve()))
