"""Images that a stack builds: where they are pushed, by which tag, and for which processor."""

import pulumi

from components.cluster.node_groups import Architecture
from components.workload.image import DEPLOYED, ImageArgs
from stacks.settings import Settings

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
    part: str = "",
    kms_key_arn: pulumi.Output[str] | None = None,
) -> ImageArgs:
    """What builds and keeps an image of a stack.

    Args:
        name: the stack's own, which a repository of its own has.
        context: the build context.
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
        dockerfile=None,
        platforms=[PLATFORMS[settings.cluster.architecture]],
        region=region,
        keep_images=settings.image.keep,
        force_delete=not settings.production,
        protect=settings.production,
        kms_key_arn=kms_key_arn,
    )
