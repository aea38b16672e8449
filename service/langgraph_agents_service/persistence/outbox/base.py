"""What the service asks of whatever keeps webhooks until they are delivered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from langgraph_agents_service.persistence.registry.base import Json, Run


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended, for whoever is to hear of it."""

    identifier: str
    """The same each time that it is sent."""
    url: str
    run: Run
    """As it was at its end."""
    result: Json | None
    """`values`, `run_started_at`, `run_ended_at`; None if no process saw it end."""
    tries: int
    """How often it has been taken, this time included."""


class Outbox(Protocol):
    async def take(self, limit: int, *, hold_seconds: float) -> Sequence[Ended]:
        """Some that are due. Nobody else gets them for so long, after which they are due again."""

    async def done(self, identifier: str) -> None: ...

    async def later(self, identifier: str, seconds: float) -> None:
        """Make it due again after so long."""
