"""The image of an agent whose source is a LangGraph project."""

from pathlib import Path

import pulumi

from components.workload.image import Image
from stacks.agent_settings import Agent
from stacks.built_images import PLATFORMS, image_args
from stacks.platform import Platform
from stacks.settings import Settings

CONTEXTS = Path("build/images")
"""Where build contexts are written, below the folder of Pulumi.yaml."""


def deploy_image(
    agent: Agent, settings: Settings, platform: Platform, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """By digest: the agent's own, or else that which the stack builds for all others.

    What an image by tag is resolved to has both, so that a plan tells what moved.

    Raises:
        pulumi.RunError: the packages of the project cannot be resolved.
    """
    if agent.image:
        return platform.registries.resolved(agent.image, pulumi.InvokeOutputOptions(parent=opts.parent))
    if agent.source is None:
        return platform.image
    return Image(
        f"{agent.data_name}-image",
        image_args(
            settings,
            name=platform.name,
            region=platform.region,
            context=str(_context(agent.name, agent.source, PLATFORMS[settings.cluster.architecture])),
            part=agent.data_name,
            kms_key_arn=platform.images_key_arn,
        ),
        opts,
    ).ref


def _context(name: str, source: str, on: str) -> Path:
    # Only stacks that build a project need what reads one.
    from images.context import write
    from images.source import read_source
    from langgraph_agents_service.projects.config import ProjectError

    try:
        context = write(read_source(Path(source)), name=name, platform=on, folder=CONTEXTS)
    except ProjectError as error:
        raise pulumi.RunError(f"agent {name}: {error}") from None
    if context.others:
        pulumi.log.info(
            f"agent {name}: beside the service its uv.lock does not hold for {', '.join(context.others)}"
        )
    if not context.locked:
        pulumi.log.info(
            f"agent {name}: {source} has no lock of its own, so a later build may install newer packages; "
            f"`make lock-source AGENT={name}` keeps what is resolved now"
        )
    return context.folder
