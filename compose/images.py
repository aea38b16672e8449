"""What the agents' containers run: the images that stacks build, by the same context and Dockerfile, or ready ones."""

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from components.cluster.node_groups import Architecture
from components.workload.build_context import sent_files
from images.source import read_source
from langgraph_agents_service.projects.config import ProjectError
from stacks.agent_image import write_build
from stacks.agent_settings import Agent
from stacks.built_images import PLATFORMS
from stacks.settings import Settings

FOLDER = "images"
STACK = "agent"
"""The image of all agents that name none of their own."""

# Where images have their project (images/dockerfile.py).
_PROJECT = PurePosixPath("/project")
_MACHINES = {
    "x86_64": Architecture.X86_64,
    "AMD64": Architecture.X86_64,
    "aarch64": Architecture.ARM64,
    "arm64": Architecture.ARM64,
}


@dataclass(frozen=True)
class AgentImage:
    """One image."""

    name: str
    """As Docker knows it."""
    context: str | None = None
    """The folder that it is built of, within the written one; None for one that is ready."""
    sources: Mapping[str, Path] = field(default_factory=dict)
    """What of it a developer changes: folders, by where they are in the image."""
    notes: tuple[str, ...] = ()
    """What whoever runs it should know of the build."""
    vectors: bool = False
    """Whether its store may search by vectors, so that PostgreSQL needs pgvector."""


def machine() -> str:
    """What images are built for: the machine that they are written on, as Docker names it, such as linux/amd64."""
    return PLATFORMS[_MACHINES.get(platform.machine(), Architecture.X86_64)]


def image_of(agent: Agent, settings: Settings, stack: str, folder: Path) -> AgentImage:
    """The image of an agent; its context is written below ``folder``.

    Raises:
        ProjectError: none can be made of its project.
    """
    if agent.image:
        # Nobody looks into it: its store may have an index.
        return AgentImage(agent.image, vectors=True)
    name = agent.name if agent.source else STACK
    target = folder / FOLDER / name
    context = f"./{FOLDER}/{name}"
    tag = f"langgraph-agents-{stack}/{name}"
    if agent.source is None:
        given = Path(settings.image.context)
        if not target.exists():
            _copy(given, given / "Dockerfile", target)
        package = given / "langgraph_agents_service"
        sources = {"/app/langgraph_agents_service": package.resolve()} if package.is_dir() else {}
        return AgentImage(tag, context, sources)
    build = write_build(agent, agent.source, machine())
    shutil.copytree(build.context, target, symlinks=True)
    source = read_source(Path(agent.source))
    store = source.project.store
    return AgentImage(
        tag,
        context,
        {str(_PROJECT / each): source.root / each for each in source.folders},
        build.notes,
        bool(store and store.index),
    )


def _copy(context: Path, dockerfile: Path, target: Path) -> None:
    """Raises ProjectError."""
    if not dockerfile.is_file():
        raise ProjectError(
            f"image.context: {context}: there is no Dockerfile in it; name the folder that has one"
        )
    files = {*map(Path, sent_files(context, dockerfile)), Path("Dockerfile")}
    if (context / ".dockerignore").is_file():
        files.add(Path(".dockerignore"))
    for path in sorted(files):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(context / path, target / path, follow_symlinks=False)
