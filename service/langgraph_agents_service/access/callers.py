"""Who asks, and what for."""

from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from langgraph_agents_service.access.authorization import Authorization
from langgraph_agents_service.access.users import User, portable, restored
from langgraph_agents_service.persistence.registry.base import Json, Owner

AUTH_PREFIX = "langgraph_auth_"
"""Names in `configurable` that only the service sets, as LangGraph's server does."""


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

    def configure(self, given: Mapping[str, Any]) -> Json:
        """`configurable` of a graph: what is given, and who asks, which no request can say for itself."""
        configurable = without_caller(given)
        if self.user is not None:
            configurable |= {
                f"{AUTH_PREFIX}user": self.user,
                f"{AUTH_PREFIX}user_id": self.user.identity,
                f"{AUTH_PREFIX}permissions": list(self.user.permissions),
            }
            configurable["user_id"] = configurable.get("user_id") or self.user.identity
        return configurable


def without_caller(given: Mapping[str, Any]) -> Json:
    """What is given, but for what it says of who asks."""
    return {name: value for name, value in given.items() if not name.startswith(AUTH_PREFIX)}


current: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""Who asks, for what the process asks of itself: a graph that calls its own server."""


def of_run(owner: str, travelled: Json | None) -> Caller:
    return Caller(owner, restored(travelled) if travelled else None)
