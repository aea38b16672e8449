"""The image of LangGraph's Agent Server with a project, Python or JavaScript: langgraph-cli says how it is built."""

import json
from dataclasses import dataclass
from pathlib import Path

from components.workload.build_context import content_hash
from images.context import begin, copy, keep
from images.files import env_file_names, project_files
from images.langgraph_cli import ask
from langgraph_agents_service.projects.config import FILE, ProjectError

PROJECT = "project"
"""The folder of a context that is built; the Dockerfile lies beside it."""


@dataclass(frozen=True)
class ServerProject:
    """A project, and the Dockerfile that `langgraph build` would use."""

    folder: Path
    dockerfile: str
    env: list[str]
    """The names in its `.env` file, which never enters an image."""
    has_auth: bool
    """Whether it says who may call it."""


def read_server_project(path: Path) -> ServerProject:
    """The project of a folder or of a langgraph.json. Raises ProjectError, in langgraph-cli's words."""
    file = (path / FILE if path.is_dir() else path).resolve()
    if not file.is_file():
        raise ProjectError(f"{file}: there is no such file; name a langgraph.json or its folder")
    answer = ask(file)
    if answer.outside:
        raise ProjectError(
            f"{file}: dependencies: {', '.join(answer.outside)} is outside {file.parent}: build the image with"
            " `langgraph build`, and name it as the agent's image"
        )
    # langgraph-cli has read it already.
    config = json.loads(file.read_text())
    env = config.get("env")
    named = env_file_names(file.parent / env) if isinstance(env, str) else []
    return ServerProject(file.parent, answer.dockerfile, named, bool(config.get("auth")))


def write_server_context(project: ServerProject, *, name: str, platform: str, folder: Path) -> Path:
    """Make the folder that holds the Dockerfile, and beside it what is built; older ones of that name go."""
    partial = begin(folder, name)
    (partial / "Dockerfile").write_text(project.dockerfile)
    (partial / PROJECT).mkdir()
    copy(project.folder, sorted(project_files(project.folder)), partial / PROJECT)
    return keep(partial, folder, name, content_hash(partial, partial / "Dockerfile", salt=[platform]))
