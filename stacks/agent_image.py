"""The image of an agent whose source is a LangGraph project."""

from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.workload.image import Image
from stacks.agent_settings import Agent
from stacks.built_images import PLATFORMS, image_args
from stacks.platform import Platform
from stacks.settings import Settings
from stacks.vocabulary import Runtime

CONTEXTS = Path("build/images")
"""Where build contexts are written, below the folder of Pulumi.yaml."""


@dataclass(frozen=True)
class Build:
    """What `docker build` takes."""

    context: Path
    dockerfile: Path
    notes: tuple[str, ...] = ()
    """What whoever deploys should know of it."""


def deploy_image(
    agent: Agent, settings: Settings, platform: Platform, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """By digest: the agent's own, or else that which the stack builds for all others.

    What an image by tag is resolved to has both, so that a plan tells what moved.

    Raises:
        pulumi.RunError: no image can be made of the project.
    """
    if agent.image:
        return platform.registries.resolved(agent.image, pulumi.InvokeOutputOptions(parent=opts.parent))
    if agent.source is None:
        return platform.image
    # Only stacks that build a project need what reads one.
    from langgraph_agents_service.projects.config import ProjectError

    try:
        build = write_build(agent, agent.source, PLATFORMS[settings.cluster.architecture])
    except ProjectError as error:
        raise pulumi.RunError(f"agent {agent.name}: {error}") from None
    for note in build.notes:
        pulumi.log.info(f"agent {agent.name}: {note}")
    return Image(
        f"{agent.data_name}-image",
        image_args(
            settings,
            name=platform.name,
            region=platform.region,
            context=str(build.context),
            dockerfile=str(build.dockerfile),
            part=agent.data_name,
            kms_key_arn=platform.images_key_arn,
        ),
        opts,
    ).ref


def write_build(agent: Agent, source: str, platform: str) -> Build:
    """Write the build context that the agent's runtime wants.

    Args:
        platform: such as linux/amd64.

    Raises:
        ProjectError: no image can be made of the project.
    """
    if agent.runtime is Runtime.LANGGRAPH_SERVER:
        from images.agent_server import PROJECT, read_server_project, write_server_context

        project = read_server_project(Path(source))
        folder = write_server_context(project, name=agent.name, platform=platform, folder=CONTEXTS)
        return Build(folder / PROJECT, folder / "Dockerfile")
    from images.context import write
    from images.source import read_source

    context = write(read_source(Path(source)), name=agent.name, platform=platform, folder=CONTEXTS)
    notes = []
    if context.others:
        notes.append(f"beside the service its uv.lock does not hold for {', '.join(context.others)}")
    if not context.locked:
        notes.append(
            f"{source} has no lock of its own, so a later build may install newer packages; "
            f"`make lock-source AGENT={agent.name}` keeps what is resolved now"
        )
    return Build(context.folder, context.folder / "Dockerfile", tuple(notes))
