"""Writes the build context of a project's image: a folder that plain `docker build` takes as well."""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from components.workload.build_context import content_hash, context_files
from images.dockerfile import dockerfile
from images.files import files
from images.resolution import SERVICE, resolve
from images.source import Source


@dataclass(frozen=True)
class Context:
    """A folder that is ready to be built."""

    folder: Path
    revision: str
    """Decided by everything that is in it, and by the platform."""
    locked: bool
    """Whether its packages come from a lock beside the project."""
    others: tuple[str, ...] = ()
    """What of it has another version than in the project's own lock."""


def write(source: Source, *, name: str, platform: str, folder: Path) -> Context:
    """Make the context, and remove older ones of the same name.

    Args:
        name: of the agent.
        platform: such as linux/amd64.
        folder: where contexts are kept.

    Raises:
        ProjectError: its packages cannot be resolved.
    """
    resolution = resolve(source, platform)
    partial = begin(folder, name)
    text = dockerfile(source, repositories=bool(resolution.repositories))
    (partial / "Dockerfile").write_text(text)
    (partial / "requirements.txt").write_text(resolution.hashed)
    if resolution.repositories:
        (partial / "repositories.txt").write_text(resolution.repositories)
    if source.project.pip_config_file:
        shutil.copyfile(source.project.folder / source.project.pip_config_file, partial / "pip.conf")
    shutil.copyfile(SERVICE / "sbom-requirements.txt", partial / "sbom-requirements.txt")
    package = [
        path for path in context_files(SERVICE, _ignored()) if path.parts[0] == "langgraph_agents_service"
    ]
    copy(SERVICE, [Path(path) for path in package], partial / "service")
    copy(source.root, files(source), partial / "project")
    revision = content_hash(partial, partial / "Dockerfile", salt=[platform])
    target = keep(partial, folder, name, revision)
    return Context(target, revision, resolution.locked, resolution.others)


def begin(folder: Path, name: str) -> Path:
    """An empty folder for a context that is not whole yet."""
    partial = folder / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def copy(root: Path, paths: Iterable[Path], target: Path) -> None:
    """Copy files of a folder, named by their paths in it."""
    for path in paths:
        there = target / path
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / path, there, follow_symlinks=False)


def keep(partial: Path, folder: Path, name: str, revision: str) -> Path:
    """Give a context that is whole its name, which its content decides, and remove older ones of ``name``."""
    target = folder / f"{name}-{revision}"
    for old in folder.glob(f"{name}-*"):
        if re.fullmatch(rf"{re.escape(name)}-[0-9a-f]{{16}}", old.name) and old != target:
            shutil.rmtree(old)
    if target.exists():
        shutil.rmtree(partial)
    else:
        partial.rename(target)
    return target


def _ignored() -> list[str]:
    return (SERVICE / ".dockerignore").read_text().splitlines()
