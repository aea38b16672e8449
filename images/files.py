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
    found: set[Path] = set()
    for folder in source.folders:
        found.update(_walk(source.root, source.root / folder))
    ignore = source.project.folder / ".dockerignore"
    if ignore.is_file():
        project = source.project.folder.relative_to(source.root)
        kept = context_files(source.project.folder, ignore.read_text().splitlines())
        keep = {project / path for path in kept}
        found = {path for path in found if project not in path.parents or path in keep}
    if source.project.pip_config_file:
        found.discard(
            (source.project.folder / source.project.pip_config_file).resolve().relative_to(source.root)
        )
    return sorted(found | {source.config})


def env_names(source: Source) -> list[str]:
    """The names in the project's `.env` file, which never enters an image; none where `env` is an object."""
    if not isinstance(source.project.env, str):
        return []
    file = source.project.folder / source.project.env
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
