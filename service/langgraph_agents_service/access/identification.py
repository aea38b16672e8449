"""Finds out who asks: by a key, by the project's own authentication, or by both."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from starlette.types import Receive, Scope

from langgraph_agents_service.access.authorization import Authorization, RefusedError
from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.access.keys import Access
from langgraph_agents_service.access.users import Studio, User
from langgraph_agents_service.configuration.settings import Environment, Settings

SHARED_OWNER = ""
"""To whom threads belong where nobody needs a key. Whose is whose is then for the project's handlers to say."""

IN_PROCESS = "langgraph_agents.caller"
"""Key of a scope that this process made for a call of itself; no request from outside can have it."""


class Identification:
    """The doors of one process. `access` may change while it serves."""

    def __init__(
        self,
        settings: Settings,
        access: Access,
        authorization: Authorization | None = None,
        *,
        studio: bool = False,
    ) -> None:
        self._access = access
        self._authorization = authorization
        self._studio = studio
        self._also_key = settings.require_api_key_with_auth
        self._limit = settings.rate_limit_per_minute
        self._host = settings.host.lower()
        # Without keys nobody can tell who uses Studio: only the person at this machine, in development.
        self._open_studio = settings.listens_on_loopback and settings.environment is Environment.DEV

    async def caller(
        self, scope: Scope, body: Callable[[], Receive], *, path_params: Callable[[], dict[str, Any]]
    ) -> Caller:
        """Raises RefusedError: 401, what the project's authentication says, or 429."""
        inside: Caller | None = scope.get(IN_PROCESS)
        if inside is not None:
            return self.on_behalf(inside)
        if self.foreign(scope):
            raise RefusedError(
                403,
                "without API_KEYS this service answers at its own address only; the Host header names another",
            )
        caller = await self._identify(scope, body, path_params)
        seconds = await self._access.wait_seconds(_counted(caller))
        if seconds:
            raise RefusedError(
                429,
                f"more than {self._limit} requests in a minute; wait {seconds} s",
                {"Retry-After": str(seconds)},
            )
        return caller

    def on_behalf(self, caller: Caller) -> Caller:
        """Somebody who asked earlier, and may what the project's handlers say now."""
        return replace(caller, authorization=self._authorization)

    def still_in(self, caller: Caller) -> bool:
        """Whether somebody who asked earlier could ask now: no, if the key is out of use."""
        needs_key = self._authorization is None or self._also_key
        return not needs_key or self._access.knows(caller.owner)

    def foreign(self, scope: Scope) -> bool:
        """Whether a page of another site asks a service that asks nobody for a key: its name may lead to this machine
        by now, for which browsers look at names only."""
        if self._authorization is not None or self._access.needs_key:
            return False
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        name = name.strip("[]").lower()
        if name in ("", "localhost", self._host) or name.endswith(".localhost"):
            return False
        try:
            return not ip_address(name).is_loopback
        except ValueError:
            return True

    async def _identify(
        self, scope: Scope, body: Callable[[], Receive], path_params: Callable[[], dict[str, Any]]
    ) -> Caller:
        headers = dict(scope["headers"])
        if self._authorization is None:
            return Caller(self._owner(headers))
        owner = self._owner(headers) if self._also_key else SHARED_OWNER
        user: User
        if self._studio and headers.get(b"x-auth-scheme") == b"langsmith" and self._may_use_studio(headers):
            user = Studio()
        else:
            user = await self._authorization.authenticate(scope, body, path_params)
        return Caller(owner, user, self._authorization)

    def _owner(self, headers: dict[bytes, bytes]) -> str:
        key = headers.get(b"x-api-key")
        owner = self._access.owner(key.decode("latin-1") if key else None)
        if owner is None:
            raise RefusedError(401, f"the X-API-Key header is {'missing' if key is None else 'not valid'}")
        return owner

    def _may_use_studio(self, headers: dict[bytes, bytes]) -> bool:
        if not self._access.needs_key:
            return self._open_studio
        self._owner(headers)
        return True


def _counted(caller: Caller) -> str:
    """The name under which requests are counted: the user's, else the key's."""
    if caller.user is None:
        return caller.owner
    return hashlib.sha256(f"{caller.owner} {caller.user.identity}".encode()).hexdigest()[:32]
