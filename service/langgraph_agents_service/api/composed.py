"""The service beside an application of the project's own (`http.app`), as LangGraph's server puts them together.

The project's application is the outer one: its middleware sees every answer, its routes come first except for the
probes and the description of the API, its exception handlers hold for all, and its lifespan is within the service's.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.datastructures import URLPath
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Match, Mount, NoMatchFound, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from langgraph_agents_service.api.errors import answer
from langgraph_agents_service.api.paths import OPEN_PATHS, path_of
from langgraph_agents_service.projects.config import ProjectError


def checked(app: object, where: str) -> Starlette:
    """The project's application. Raises ProjectError."""
    if not isinstance(app, Starlette):
        raise ProjectError(
            f"{where} is a {type(app).__name__}; it has to be a Starlette or FastAPI application"
        )
    for hook in ("on_startup", "on_shutdown"):
        if getattr(app.router, hook, None):
            raise ProjectError(
                f"{where} has {hook} handlers, which cannot go with the service's; use a lifespan"
            )
    return app


def compose(
    project: Starlette,
    api: FastAPI,
    *,
    around_all: Sequence[Middleware],
    authentication: Middleware,
    protection: Middleware | None,
    authentication_first: bool,
    reserved: frozenset[str],
) -> Starlette:
    """The project's application with the service's API in it. `protection`: of the project's own routes."""
    theirs = list(project.user_middleware)
    inner = theirs if authentication_first else []
    for cls, args, kwargs in reversed([authentication, *inner]):  # what is added last is outermost
        api.add_middleware(cls, *args, **kwargs)
    project.user_middleware = [*([] if authentication_first else theirs), *around_all]
    routes = project.router
    own = _Project(routes, [*([protection] if protection else []), *inner])
    ours, within = api.router.lifespan_context, routes.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        async with ours(api), within(app) as state:
            yield state or {}

    project.router = Router([_Reserved(api, reserved), own, Mount("", app=api)], lifespan=lifespan)
    _share_exception_handlers(project, api)
    return project


class _Reserved(BaseRoute):
    """Routes of the service that nothing may come before."""

    def __init__(self, app: ASGIApp, paths: frozenset[str]) -> None:
        self._app = app
        self._paths = paths

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if scope["type"] == "http" and path_of(scope) in self._paths else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _Project(BaseRoute):
    """The project's own routes, with middleware around them that no other routes have."""

    def __init__(self, router: Router, middleware: Sequence[Middleware]) -> None:
        self._router = router
        self._app: ASGIApp = router
        for cls, args, kwargs in reversed(middleware):
            self._app = cls(self._app, *args, **kwargs)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found: tuple[Match, Scope] = (Match.NONE, {})
        for route in self._router.routes:
            match, inside = route.matches(scope)
            if match is Match.FULL or (match is Match.PARTIAL and found[0] is Match.NONE):
                found = match, {"path_params": inside.get("path_params", {})}
            if match is Match.FULL:
                break
        return found

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        return self._router.url_path_for(name, **path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_params"] = {}
        await self._app(scope, receive, send)


def _share_exception_handlers(project: Starlette, service: FastAPI) -> None:
    """The project's handlers hold for the service's routes too; where it has none the service's hold for both."""
    untouched = FastAPI().exception_handlers
    for kind, handler in project.exception_handlers.items():
        if untouched.get(kind) is not handler and kind not in (500, Exception):
            service.exception_handlers[kind] = handler
    for kind, handler in service.exception_handlers.items():
        project.exception_handlers.setdefault(kind, handler)


class Application:
    """What a server serves: below a prefix, if the project has one. The probes answer without it too, so that no load
    balancer has to know it."""

    def __init__(self, app: Starlette, api: FastAPI, prefix: str | None, *, answers: bool) -> None:
        """`answers`: more than probes. What a graph asks its own process for does not come this way."""
        self.app = app
        self.api = api
        self.state = api.state
        self._prefix = prefix
        self._answers = answers

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[Mapping[str, Any]]:
        """Opens the service and then what the project's application opens; gives the state of its requests."""
        async with self.app.router.lifespan_context(self.app) as state:
            yield state or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._answers and scope["type"] != "lifespan" and scope["path"] not in OPEN_PATHS:
            await _refuse(scope, receive, send, "this process executes runs, and answers probes alone")
            return
        if self._prefix and scope["type"] in ("http", "websocket") and scope["path"] not in OPEN_PATHS:
            if not f"{scope['path']}/".startswith(f"{self._prefix}/"):
                text = "there is nothing outside of the mount_prefix of langgraph.json"
                await _refuse(scope, receive, send, text)
                return
            scope["root_path"] = scope.get("root_path", "") + self._prefix
        await self.app(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send, text: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await answer(404, text)(scope, receive, send)
