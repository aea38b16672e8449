"""How the container of an image serves: what starts it, and where it tells how it is."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What differs between the servers that an agent's image may hold.

    Attributes:
        command: replaces the image's entry point; ``None`` keeps it.
        health: the path, with its query, that answers while the process lives.
        ready: the path that answers while it can serve requests.
    """

    command: Sequence[str] | None = None
    health: str = "/health"
    ready: str = "/ready"
