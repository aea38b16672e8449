"""The project's files as a commit has them."""

import subprocess
from pathlib import Path

from sandbox.common.errors import InputError


def export(reference: str, project: Path, target: Path, *, wrong: str = "no") -> str:
    """Write the files of a commit into a folder, without touching the working tree.

    Args:
        reference: a branch, a tag or a commit.
        project: a folder of the repository; its part of the commit is written.
        target: the folder to write to.
        wrong: how the message says that it is none.

    Returns:
        The commit's hash.

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
    # Of the project's own folder, wherever in the repository it is.
    with subprocess.Popen([*git, "archive", found], stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", str(target)], stdin=archive.stdout, check=True)
    return found
