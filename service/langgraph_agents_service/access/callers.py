"""Who asks, and what for."""

from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from langgraph_agents_service.access.authorization import Authorization
from langgraph_agents_service.access.users import User, portable, restored
from langgraph_agents_service.persistence.registry.base import Json, Owner


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request, or on whose behalf a run executes."""

    owner: str
    """The name that its threads belong to."""
    user: User | None = None
    """Whom the project's own authentication found."""
    authorization: Authorization | None = None
    configurable: Mapping[str, str] = field(default_factory=dict)
    """What runs are given of the request's headers."""

    async def may(self, resource: str, action: str, value: MutableMapping[str, Any]) -> Owner:
        """What the caller may touch by this action. The project's handlers may change `value`, which holds what the
        request asks; use it from then on. Raises RefusedError."""
        if self.authorization is None or self.user is None:
            return Owner(self.owner)
        return Owner(self.owner, await self.authorization.ask(self.user, resource, action, value))

    def travels(self) -> Json | None:
        """The user, to execute a run on its behalf on any process."""
        return portable(self.user) if self.user else None


current: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""Who asks, for what the process asks of itself: a graph that calls its own server."""


def of_run(owner: str, travelled: Json | None) -> Caller:
    return Caller(owner, restored(travelled) if travelled else None)
