"""Makes a project's code importable, and finds what its langgraph.json names in it."""

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from dotenv import dotenv_values

from langgraph_agents_service.projects.config import Project, ProjectError

_PACKAGED = ("pyproject.toml", "setup.py", "setup.cfg")


def prepare(project: Project) -> None:
    """Do what LangGraph's server does with `dependencies` and `env`, before anything of the project is imported.

    What is installed wins over the project's folders, as `langgraph build` installs them.
    """
    for folder in _folders(project):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    env: dict[str, Any] = {}
    if isinstance(project.env, str):
        file = project.folder / project.env
        env = dict(dotenv_values(file)) if file.is_file() else {}
    else:
        env = project.env
    for name, value in env.items():
        if value is not None:
            os.environ.setdefault(name, str(value))


def _folders(project: Project) -> list[Path]:
    """Where the project's modules are found: its own folder, those of `dependencies`, and what these hold."""
    found = [project.folder]
    for dependency in project.dependencies:
        folder = (project.folder / dependency).resolve()
        if not folder.is_dir():
            continue  # a package
        found.append(folder)
        if (folder / "src").is_dir():
            found.append(folder / "src")
        if (folder / "__init__.py").exists() and not any((folder / name).exists() for name in _PACKAGED):
            # The folder is the package itself, and imported by its name.
            found.append(folder.parent)
    return found


def attribute(project: Project, field: str, path: str) -> Any:
    """What a field names as `./file.py:attribute` or `package.module:attribute`. Raises ProjectError."""
    where = f"{project.file}: {field}: {path!r}"
    source, _, name = path.rpartition(":")
    try:
        module = _module(project, field, source)
    except ProjectError as error:
        raise ProjectError(f"{where}: {error}") from None
    except (Exception, SystemExit) as error:
        raise ProjectError(f"{where}: {_failed(error)}") from error
    if not hasattr(module, name):
        raise ProjectError(f"{where}: there is no {name} in {source}")
    return getattr(module, name)


def _failed(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "importing it calls sys.exit(), which would end the service; do that only when it is run as a program"
    words = f"importing it failed: {type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError):
        words += "; name the package in `dependencies`, and install it where the service runs"
    return words


def _module(project: Project, field: str, source: str) -> ModuleType:
    if not source.endswith(".py"):
        return importlib.import_module(source)
    file = (project.folder / source).resolve()
    if not file.is_file():
        raise ProjectError(f"there is no file {file}")
    spec = importlib.util.spec_from_file_location(f"langgraph_agents_graph_{field}", file)
    if spec is None or spec.loader is None:
        raise ProjectError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
