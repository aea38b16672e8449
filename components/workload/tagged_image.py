"""What a tag names today: its digest, asked of the registry at each deployment and preview."""

import pulumi
import pulumi_aws as aws
import pulumi_docker as docker

from components.workload.image_name import DOCKER_HUB, ImageName

_DOCKER_HUB_API = "registry-1.docker.io"


def registry_address(registry: str) -> str:
    """Where a registry's API is."""
    return _DOCKER_HUB_API if registry == DOCKER_HUB else registry


def digest_of(
    name: ImageName, *, registries: pulumi.ProviderResource, opts: pulumi.InvokeOutputOptions
) -> pulumi.Output[str]:
    """The digest, ``sha256:...``, of an image that is named by tag.

    Args:
        registries: has the logins of registries that want one.
        opts: with the AWS provider; its account asks ECR, where tokens would be another value every time.
    """
    if name.ecr:
        account, region = name.ecr
        return aws.ecr.get_image_output(
            registry_id=account,
            region=region,
            repository_name=name.repository,
            image_tag=name.tag,
            opts=opts,
        ).image_digest
    hub = name.registry == DOCKER_HUB
    repository = f"library/{name.repository}" if hub and "/" not in name.repository else name.repository
    return docker.get_registry_image_output(
        name=f"{registry_address(name.registry)}/{repository}:{name.tag}",
        opts=pulumi.InvokeOutputOptions(provider=registries),
    ).sha256_digest
