"""What the image of the service sets, for processes that are measured as its pods are."""

import re
from pathlib import Path

IMAGE = (Path(__file__).parents[2] / "service" / "Dockerfile").read_text()


def allocator(dockerfile: str = IMAGE) -> dict[str, str]:
    """The environment of glibc's malloc."""
    return dict(re.findall(r"(MALLOC_[A-Z_]+)=(\d+)", dockerfile))
