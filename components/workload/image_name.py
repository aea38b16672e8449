"""Names of container images: ``registry/repository:tag@digest``."""

import re
from dataclasses import dataclass

#: The registry of names that begin with none.
DOCKER_HUB = "docker.io"

_NAME = re.compile(
    r"(?P<path>(?:[a-z0-9.-]+(?::\d+)?/)?[a-z0-9._-]+(?:/[a-z0-9._-]+)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
_ECR = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com")


@dataclass(frozen=True)
class ImageName:
    """A name, taken apart."""

    registry: str
    """Its host, with a port if there is one."""
    repository: str
    tag: str | None
    digest: str | None

    @property
    def ecr(self) -> tuple[str, str] | None:
        """Account and region, where the registry is ECR."""
        match = _ECR.fullmatch(self.registry)
        return (match["account"], match["region"]) if match else None


def image_name(text: str) -> ImageName:
    """Take a name apart as container runtimes do.

    Raises:
        ValueError: it is no name of an image, or has neither tag nor digest.
    """
    match = _NAME.fullmatch(text)
    if match is None:
        raise ValueError(
            "is no name of an image: write registry/repository:tag, or by digest"
            " registry/repository@sha256:<64 hex digits>"
        )
    if not match["tag"] and not match["digest"]:
        raise ValueError(
            "has neither tag nor digest, and would be whatever was pushed last: write registry/repository:tag, or by"
            " digest registry/repository@sha256:<64 hex digits>"
        )
    first, slash, rest = match["path"].partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = DOCKER_HUB, match["path"]
    return ImageName(first, rest, match["tag"], match["digest"])
