"""What an update does to which resource, and when: measured here, foreseen by the preview, in the same words."""

from dataclasses import dataclass
from enum import StrEnum

_MINUTE = 60


class What(StrEnum):
    """What a step does to its resource."""

    CREATED = "created"
    UPDATED = "updated"
    REPLACED = "replaced"
    MOVED = "moved"
    DELETED = "deleted"
    CLEARED = "deleted after it was replaced"
    """The old one of a resource whose new one was made beside it."""


@dataclass(frozen=True)
class Timed:
    """What is done to one resource, and when."""

    urn: str
    name: str
    type: str
    what: What
    start: float
    """Seconds from the beginning of the update."""
    seconds: float


class Measured(Timed):
    """One that the engine has done."""


def title(name: str, what: What) -> str:
    """``support-workload-deployment is updated``."""
    return f"{name} is {what}"


def when(start: float) -> str:
    """``at once``, ``after 2 min``."""
    return f"after {minutes(start)}" if round(start) else "at once"


def minutes(seconds: float) -> str:
    """``45 s``, ``12 min``."""
    return f"{seconds:.0f} s" if seconds < _MINUTE else f"{seconds / _MINUTE:.0f} min"
