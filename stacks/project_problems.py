"""What keeps a LangGraph project from being served, found in its files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from images.files import env_names
from images.source import read_source
from langgraph_agents_service.projects.config import ProjectError
from stacks.agent_server import AUTH_TYPE


def problems_of(source: str, given: set[str]) -> Iterator[str]:
    """Why the agent service cannot serve a project, without asking anybody for its packages.

    Args:
        source: the folder or file.
        given: the names that the agent's pods find, as variables and as secrets.
    """
    try:
        project = read_source(Path(source))
    except ProjectError as error:
        yield str(error)
        return
    yield from _missing(env_names(project), given, f"{project.project.folder / str(project.project.env)}")


def server_problems_of(source: str, given: set[str]) -> Iterator[str]:
    """Why LangGraph's Agent Server cannot serve a project, likewise."""
    # Only who has such an agent needs langgraph-cli.
    from images.agent_server import read_server_project

    try:
        project = read_server_project(Path(source))
    except ProjectError as error:
        yield str(error)
        return
    yield from _missing(project.env, given, f"the .env file of {project.folder}")
    if not project.has_auth and AUTH_TYPE not in given:
        yield open_to_everybody("its langgraph.json has no auth")


def open_to_everybody(why: str) -> str:
    """The Agent Server asks nobody for a key by itself."""
    return (
        f"everybody who reaches its host may call it, because {why}: write an `auth` into langgraph.json, or set env"
        f" {AUTH_TYPE} to langsmith, or to noop if that is wanted"
    )


def _missing(names: Sequence[str], given: set[str], file: str) -> Iterator[str]:
    missing = [name for name in names if name not in given]
    if missing:
        yield (
            f"{file} sets {', '.join(missing)}, and it never enters an image: "
            "declare what is secret of it under secrets, and the rest under env"
        )
