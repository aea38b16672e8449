"""What keeps a LangGraph project from being served, found in its files."""

from collections.abc import Iterator
from pathlib import Path

from images.files import env_names
from images.source import read_source
from langgraph_agents_service.projects.config import ProjectError


def problems_of(source: str, given: set[str]) -> Iterator[str]:
    """Why no image can be made of a project, without asking anybody for its packages.

    Args:
        source: the folder or file.
        given: the names that the agent's pods find, as variables and as secrets.
    """
    try:
        project = read_source(Path(source))
    except ProjectError as error:
        yield str(error)
        return
    missing = [name for name in env_names(project) if name not in given]
    if missing:
        yield (
            f"{project.project.folder / str(project.project.env)} sets {', '.join(missing)}, and it never enters "
            "declare what is secret of it under secrets, and the rest under env"
        )
