"""Which files of a project enter its image: what it needs to run, and nothing that is secret or only a tool's."""

import fnmatch
import os
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values

from components.workload.build_context import context_files
from images.source import Source

_FOLDERS = {
    *(".git", ".hg", ".svn", ".github", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox"),
    *(
        ".pytest_cache",
        ".mypy_cache",
        ".ruff_cache",
        ".ipynb_checkpoints",
        ".langgraph_api",
        ".idea",
        ".vscode",
    ),
    *(".aws", ".ssh", ".gnupg", ".kube", ".docker", ".azure", ".pulumi", ".sandbox"),
}
_FILES = (
    *(".env", ".env.*", "*.env", ".envrc", ".netrc", ".pypirc", ".npmrc", ".git-credentials", "*.pyc"),
    *(
        "*.pem",
        "*.key",
        "*.p12",
        "*.pfx",
        "*.jks",
        "*.kdbx",
        "id_rsa*",
        "id_dsa*",
        "id_ecdsa*",
        "id_ed25519*",
    ),
    *("credentials.json", "service-account*.json", "kubeconfig", ".DS_Store", "*.swp"),
)


def files(source: Source) -> list[Path]:
    """The files of a project, sorted, as paths within `source.root`. Symbolic links to folders are not followed.

    A `.dockerignore` beside langgraph.json leaves out more, as in any build.
    """
    project = source.project.folder.relative_to(source.root)
    found = {project / path for path in project_files(source.project.folder)}
    for folder in source.folders:
        found |= {path for path in _walk(source.root, source.root / folder) if project not in path.parents}
    if source.project.pip_config_file:
        found.discard(
            (source.project.folder / source.project.pip_config_file).resolve().relative_to(source.root)
        )
    return sorted(found | {source.config})


def project_files(folder: Path) -> set[Path]:
    """Of one folder, as paths within it, without what a `.dockerignore` in it leaves out."""
    found = set(_walk(folder, folder))
    ignore = folder / ".dockerignore"
    if ignore.is_file():
        found &= set(map(Path, context_files(folder, ignore.read_text().splitlines())))
    return found


def env_names(source: Source) -> list[str]:
    """The names in the project's `.env` file, which never enters an image; none where `env` is an object."""
    env = source.project.env
    return env_file_names(source.project.folder / env) if isinstance(env, str) else []


def env_file_names(file: Path) -> list[str]:
    """The names in a `.env` file; none where it is not there."""
    return sorted(dotenv_values(file)) if file.is_file() else []


def _walk(root: Path, folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = [name for name in folders if not _is_left_out(here / name)]
        for name in names:
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in _FILES):
                yield (here / name).relative_to(root)


def _is_left_out(folder: Path) -> bool:
    # A virtual environment of any name says so by this file.
    return folder.name in _FOLDERS or (folder / "pyvenv.cfg").is_file()
