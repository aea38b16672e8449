"""Images that a stack builds: where they are pushed, by which tag, and for which processor."""

import pulumi

from components.cluster.node_groups import Architecture
from components.workload.image import DEPLOYED, ImageArgs
from stacks.agent_settings import Agent
from stacks.settings import Settings
from stacks.vocabulary import Runtime

PLATFORMS = {
    Architecture.X86_64: "linux/amd64",
    Architecture.ARM64: "linux/arm64",
}
"""As Docker names the processors."""


def image_args(
    settings: Settings,
    *,
    name: str,
    region: str,
    context: str,
    dockerfile: str | None = None,
    part: str = "",
    kms_key_arn: pulumi.Output[str] | None = None,
) -> ImageArgs:
    """What builds and keeps an image of a stack.

    Args:
        name: the stack's own, which a repository of its own has.
        context: the build context.
        dockerfile: None for the one in the context.
        part: whose image it is; "" of the one that all agents without a source have.
        kms_key_arn: encrypts the repository; None for a key of its own.
    """
    shared = settings.image.repository
    return ImageArgs(
        repository_name=shared or (f"{name}/{part}" if part else name),
        existing=shared is not None,
        # In a repository of somebody else's, the tag tells them apart.
        tag=f"{DEPLOYED}-{part}" if shared and part else DEPLOYED,
        context=context,
        dockerfile=dockerfile,
        platforms=[PLATFORMS[settings.cluster.architecture]],
        region=region,
        keep_images=settings.image.keep,
        force_delete=not settings.production,
        protect=settings.production,
        kms_key_arn=kms_key_arn,
    )


def needs_stack_image(agent: Agent) -> bool:
    """Whether pods of an agent run the image of ``image.context``: all of them, or an Agent Server's migration."""
    return agent.runtime is Runtime.LANGGRAPH_SERVER or (agent.image is None and agent.source is None)
