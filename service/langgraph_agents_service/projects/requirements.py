"""What a project declares of the packages that it needs, and what packages need without declaring it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from langgraph_agents_service.projects.config import Project, ProjectError

_DECLARING = ("pyproject.toml", "setup.py", "setup.cfg")

# langgraph-checkpoint cannot be imported from 4.1 on beside an older langchain-core.
_CORE_OF_CHECKPOINTS = (1, 2, 5)


@dataclass(frozen=True)
class Declared:
    """By `dependencies` of langgraph.json."""

    packages: list[str] = field(default_factory=list)
    """Requirements, such as `langchain-openai>=1`."""
    files: list[Path] = field(default_factory=list)
    """Of folders, the file that says what they need: a pyproject.toml, setup.py, setup.cfg or requirements.txt."""
    folders: list[Path] = field(default_factory=list)


def declared(project: Project) -> Declared:
    """Raises ProjectError with every folder that is not there."""
    found = Declared()
    problems = []
    for dependency in _dependencies(project):
        folder = (project.folder / dependency).resolve()
        if folder.is_dir():
            found.folders.append(folder)
            names = [name for name in _DECLARING if (folder / name).is_file()][:1] or ["requirements.txt"]
            found.files.extend(folder / name for name in names if (folder / name).is_file())
        elif dependency.startswith(("./", "../", "/")) or dependency in (".", ".."):
            problems.append(f"{project.file}: dependencies: {dependency!r}: there is no folder {folder}")
        else:
            found.packages.append(dependency)
    if problems:
        raise ProjectError("\n".join(problems))
    return found


def undeclared(versions: Mapping[str, str]) -> list[str]:
    """Requirements that make these versions go together, where their packages do not declare it.

    Args:
        versions: of packages that were resolved, by their names.
    """
    core = re.findall(r"\d+", versions.get("langchain-core", ""))[:3]
    if core and tuple(map(int, core)) < _CORE_OF_CHECKPOINTS:
        return ["langgraph-checkpoint<4.1"]
    return []


def _dependencies(project: Project) -> list[str]:
    if project.source and project.source.get("kind") == "uv":
        return [str(project.source.get("root", "."))]
    return project.dependencies
