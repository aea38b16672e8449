"""Who asks: a key, the project's own authentication, or both; and how often they may."""

from dataclasses import replace
from typing import Any

from starlette.authentication import AuthCredentials
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langgraph_agents_service.access import callers
from langgraph_agents_service.access.authorization import RefusedError
from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api.errors import answer
from langgraph_agents_service.api.paths import OPEN_PATHS, path_of
from langgraph_agents_service.service import Service

SECRET_HEADERS = frozenset({"authorization", "cookie", "x-api-key", "x-service-key", "x-tenant-id"})
"""Headers that neither runs nor logs are given, whatever the project includes."""


class Authentication:
    """Lets in whom the service knows, and tells routes who it is."""

    def __init__(self, app: ASGIApp, *, service: Service, open_paths: frozenset[str] = OPEN_PATHS) -> None:
        self._app = app
        self._service = service
        self._open_paths = open_paths
        self._headers = service.graphs.project.http.configurable_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or path_of(scope) in self._open_paths:
            await self._app(scope, receive, send)
            return
        body = _Body(receive)
        try:
            caller = await self._service.identification.caller(
                scope, body.reader, path_params=lambda: _path_params(scope)
            )
        except RefusedError as refused:
            await _refuse(refused, scope, receive, send)
            return
        if self._headers is not None:
            picked = self._headers.pick(scope["headers"], never=SECRET_HEADERS)
            caller = replace(caller, configurable=picked)
        scope.setdefault("state", {})["caller"] = caller
        if caller.user is not None:
            scope["user"], scope["auth"] = caller.user, AuthCredentials(caller.user.permissions)
        callers.current.set(caller)
        await self._app(scope, body.rest(), send)


def caller_in(scope: Scope) -> Caller:
    found: Caller = scope["state"]["caller"]
    return found


async def _refuse(refused: RefusedError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": refused.detail[:100]})
        return
    await answer(refused.status, refused.detail, refused.headers)(scope, receive, send)


def _path_params(scope: Scope) -> dict[str, Any]:
    """What the path holds for the route that it will reach."""
    for route in scope["app"].routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            return dict(found.get("path_params") or {})
    return {}


class _Body:
    """A body that may be read for authentication first, and then again by its route."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: list[Message] = []

    def reader(self) -> Receive:
        """Reads from the beginning, each time that it is asked for."""
        return self._from(0, keep=True)

    def rest(self) -> Receive:
        return self._from(0, keep=False) if self._kept else self._receive

    def _from(self, position: int, *, keep: bool) -> Receive:
        async def receive() -> Message:
            nonlocal position
            if position < len(self._kept):
                position += 1
                return self._kept[position - 1]
            message = await self._receive()
            if keep:
                self._kept.append(message)
                position += 1
            return message

        return receive
