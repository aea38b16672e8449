"""A LangGraph project as the source of an image: what its langgraph.json asks of a build."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from langgraph_agents_service.projects.config import Project, ProjectError, read
from langgraph_agents_service.projects.requirements import Declared, declared

DEFAULT_PYTHON = "3.13"

_LOGIN = re.compile(r"://[^/\s]+:[^/\s]+@")
_PYTHONS = ("3.11", "3.12", "3.13", "3.14")

# Tags of https://hub.docker.com/_/python, on the release of Debian that has this Python itself where there is one, and
# the digests of their indexes by https://github.com/docker-library/repo-info/tree/master/repos/python/remote.
_RELEASES = {"3.11": "bookworm"}
_RELEASE = "trixie"
_DIGESTS = {
    "python:3.11-slim-bookworm": "sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b",
    "python:3.11-slim-trixie": "sha256:90744cff8f32887f075c47d747a173ff333e9e98801667af93c357fa9f5e28ff",
    "python:3.12-slim-bookworm": "sha256:0f5b26b9518d002b6173fd61daad821fa340635ebfec5bba471013f9ca114579",
    "python:3.12-slim-trixie": "sha256:229a2c5bfa27522db7815ea81f9bed70af17ccb9de9fc7ad142b1877b5830d36",
    "python:3.13-slim-bookworm": "sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8",
    "python:3.13-slim-trixie": "sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285",
    "python:3.14-slim-bookworm": "sha256:3299f3062a4f3da96c403bfeec3f042768c0bf8a72eee6dd5d90e3a1368ff334",
    "python:3.14-slim-trixie": "sha256:e11c17f46f87983eb946b121694dedba6290ee2b0dd5294d137d82943502d179",
}


@dataclass(frozen=True)
class Source:
    """A project, and what a build of it takes."""

    project: Project
    declared: Declared
    root: Path
    """The nearest folder that holds the project and all folders of its `dependencies`."""
    python: str
    """Such as 3.13."""
    base: str
    """The image that it is built on."""

    @property
    def config(self) -> Path:
        """langgraph.json, as a path within `root`."""
        return self.project.file.relative_to(self.root)

    @property
    def folders(self) -> list[Path]:
        """What of `root` belongs to the project, as paths within it; none of them lies in another one."""
        whole = sorted({self.project.folder, *self.declared.folders})
        outer = [one for one in whole if not any(other in one.parents for other in whole)]
        return [one.relative_to(self.root) for one in outer]


def read_source(path: Path) -> Source:
    """The project of a folder or of a langgraph.json. Raises ProjectError with every problem."""
    project = read(path)
    wanted, problems = Declared(), []
    try:
        wanted = declared(project)
    except ProjectError as error:
        problems += str(error).splitlines()
    problems += _problems(project)
    root = Path(os.path.commonpath([project.folder, *wanted.folders]))
    if root == Path(root.anchor):
        problems.append(f"{project.file}: dependencies: they have only {root} in common with the project")
    if problems:
        raise ProjectError("\n".join(problems))
    python = project.python_version or DEFAULT_PYTHON
    return Source(project, wanted, root, python, project.base_image or _base(project, python))


def _base(project: Project, python: str) -> str:
    """Debian's, whatever `image_distro` prefers besides: the service and its libraries are tested there."""
    asked = project.image_distro
    release = asked if asked in ("bookworm", "trixie") else _RELEASES.get(python, _RELEASE)
    name = f"python:{python}-slim-{release}"
    # A Python that is not offered is a problem of its own.
    digest = _DIGESTS.get(name)
    return f"{name}@{digest}" if digest else name


def _problems(project: Project) -> list[str]:
    problems = []
    if (project.python_version or DEFAULT_PYTHON) not in _PYTHONS:
        problems.append(f"python_version: {project.python_version!r}: use one of {', '.join(_PYTHONS)}")
    if re.match(r"(docker\.io/)?langchain/", project.base_image or ""):
        problems.append(
            f"base_image: {project.base_image!r} is LangGraph's own server, which takes the place of this "
            "service; leave it out, or name a Python image"
        )
    if project.pip_config_file:
        file = project.folder / project.pip_config_file
        if not file.is_file():
            problems.append(f"pip_config_file: {project.pip_config_file!r}: there is no such file")
        elif _LOGIN.search(file.read_text()):
            problems.append(
                f"pip_config_file: {project.pip_config_file!r} holds a password, which everybody could read in the "
                "builder's cache; name an index that needs none from where images are built"
            )
    problems += [
        f"graphs.{name}: {entry.path!r}: there is no file {file}"
        for name, entry in project.graphs.items()
        if (given := entry.path.rpartition(":")[0]).endswith(".py")
        and not (file := (project.folder / given).resolve()).is_file()
    ]
    return [f"{project.file}: {problem}" for problem in problems]
