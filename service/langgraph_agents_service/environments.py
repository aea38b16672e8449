"""An environment of a project's own, with the service installed beside what the project asks for.

uv resolves both together, so that a project may hold versions of its own within what the service allows. Nothing is
written into the project: its packages are imported from where they lie, as `langgraph dev` does.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from langgraph_agents_service.projects.config import Project, ProjectError
from langgraph_agents_service.projects.requirements import declared, undeclared

SERVICE = Path(__file__).parents[1]
"""Of a checkout, the folder that the service is installed from."""

_STAMP = "installed.sha256"


def environment(project: Project) -> Path:
    """The Python of the project's environment, made anew if what is asked for has changed. Raises ProjectError."""
    if not (SERVICE / "pyproject.toml").is_file():
        raise ProjectError(f"{SERVICE} is no checkout of the service, which is installed from there")
    arguments, files = _wanted(project)
    folder = _cache() / f"{project.folder.name}-{_hash(str(project.folder))[:12]}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    version = _python(project)
    stamp = _hash(version, *arguments, *(file.read_text() for file in files))
    known = folder / _STAMP
    if python.exists() and known.is_file() and known.read_text() == stamp:
        return python
    print(f"installing {project.folder.name} and the service into {folder} ...", flush=True)
    _uv(project, "venv", "--clear", "--python", version, str(folder))
    _uv(project, "pip", "install", "--python", str(python), *arguments)
    if more := undeclared(_versions(project, python)):
        _uv(project, "pip", "install", "--python", str(python), *arguments, *more)
    known.write_text(stamp)
    return python


def _python(project: Project) -> str:
    """The version that the project asks for where this machine has it, or else this process's own."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    asked = project.python_version
    if asked is None or asked == own:
        return own
    if _run(project, "python", "find", "--no-python-downloads", "--system", asked).returncode:
        print(f"Python {asked} of python_version is not on this machine: served with {own}", flush=True)
        return own
    return asked


def _wanted(project: Project) -> tuple[list[str], list[Path]]:
    """The arguments of uv that say what is installed, and the files that they depend on. Raises ProjectError."""
    wanted = declared(project)
    arguments = ["--editable", f"{SERVICE}[local]"]
    for file in wanted.files:
        arguments += ["--requirements", str(file)]
    return [*arguments, *wanted.packages], [SERVICE / "pyproject.toml", *wanted.files]


def _versions(project: Project, python: Path) -> dict[str, str]:
    listed = _run(project, "pip", "list", "--python", str(python), "--format", "json").stdout
    return {each["name"]: each["version"] for each in json.loads(listed)}


def _uv(project: Project, *arguments: str) -> None:
    done = _run(project, *arguments)
    if done.returncode:
        raise ProjectError(
            f"{project.file}: what it asks for cannot be installed beside the service, which needs what "
            f"{SERVICE / 'pyproject.toml'} says. uv says:\n{done.stderr.strip()}"
        )


def _run(project: Project, *arguments: str) -> "subprocess.CompletedProcess[str]":
    beside = Path(sys.executable).with_name("uv")
    command = str(beside) if beside.exists() else shutil.which("uv")
    if command is None:
        raise ProjectError("uv is missing: pip install uv")
    # Relative paths within requirements files mean the project's folder.
    return subprocess.run(
        [command, "--system-certs", "--quiet", *arguments],
        cwd=project.folder,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
    )


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "langgraph-agents" / "projects"


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
