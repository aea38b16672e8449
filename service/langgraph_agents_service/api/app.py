"""The ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Router

from langgraph_agents_service.api import (
    composed,
    errors,
    gateway,
    invoke,
    meta,
    missing,
    probes,
    store,
)
from langgraph_agents_service.api.agents import a2a, mcp
from langgraph_agents_service.api.assistants import graphs as assistant_graphs
from langgraph_agents_service.api.assistants import routes as assistants
from langgraph_agents_service.api.authentication import Authentication
from langgraph_agents_service.api.composed import Application
from langgraph_agents_service.api.crons import routes as crons
from langgraph_agents_service.api.crons.firing import firing
from langgraph_agents_service.api.description import describe
from langgraph_agents_service.api.paths import OPEN_PATHS
from langgraph_agents_service.api.runs import stateless, threaded
from langgraph_agents_service.api.threads import commands as thread_commands
from langgraph_agents_service.api.threads import events as thread_events
from langgraph_agents_service.api.threads import kept
from langgraph_agents_service.api.threads import socket as thread_sockets
from langgraph_agents_service.api.threads import state as thread_states
from langgraph_agents_service.api.threads import stream as thread_streams
from langgraph_agents_service.configuration.settings import Environment, Settings
from langgraph_agents_service.observability.tracing import telemetry
from langgraph_agents_service.projects.http import Http
from langgraph_agents_service.service import Service


def create_app(settings: Settings) -> Application:
    """The application of one process; its lifespan opens and closes the service. Raises ProjectError."""
    service = Service(settings)
    http = service.graphs.project.http
    page = settings.environment is Environment.DEV
    open_paths = OPEN_PATHS | ({"/"} if page else frozenset())
    if not http.disable_meta:
        open_paths |= meta.PATHS
    api = _api(service, http, page=page, untraced=OPEN_PATHS)
    authentication = Middleware(Authentication, service=service, open_paths=open_paths)
    # Cross-origin rules are outermost, because a browser's preflight request carries no key.
    around_all = [*_cors(settings, http), Middleware(gateway.Gateway, service=service)]
    own: Router | None = None
    if http.app is None:
        for cls, args, kwargs in reversed([*around_all, authentication]):  # what is added last is outermost
            api.add_middleware(cls, *args, **kwargs)
        app: Any = api
    else:
        project = composed.checked(
            service.graphs.attribute("http.app", http.app),
            f"{settings.langgraph_config}: http.app: {http.app!r}",
        )
        own = project.router
        app = composed.compose(
            project,
            api,
            around_all=around_all,
            authentication=authentication,
            # Of the project's routes none is open, whatever path of the service's it has.
            protection=Middleware(Authentication, service=service) if http.enable_custom_route_auth else None,
            authentication_first=http.middleware_order == "auth_first",
            reserved=OPEN_PATHS | (frozenset() if http.disable_meta else {"/docs", "/openapi.json"}),
        )
    auth = service.graphs.project.auth
    describe(api, own, auth.openapi or {} if auth else {})
    service.app = app
    return Application(app, api, http.mount_prefix, answers=settings.process_role.answers)


def _api(service: Service, http: Http, *, page: bool, untraced: frozenset[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with service, firing(service):
            yield

    api = FastAPI(
        title="LangGraph agent",
        description="The part of the Agent Server API that langgraph-sdk uses, and /invoke.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        openapi_url=None if http.disable_meta else "/openapi.json",
        telemetry=telemetry(service.settings, untraced=untraced),
        redoc_url=None,
    )
    api.state.service = service
    errors.install(api)
    # Routes are tried in this order: the busiest come first. Side by side, because a router inside the
    # application's would look for its route anew at each request.
    routers = (
        invoke.router,
        crons.router,
        threaded.router,
        stateless.router,
        kept.router,
        thread_states.router,
        thread_streams.router,
        thread_events.router,
        thread_commands.router,
        thread_sockets.router,
        assistants.router,
        assistant_graphs.router,
        store.router,
        probes.router,
        meta.router,
        mcp.router,
        a2a.router,
    )
    api.router.routes[:0] = [
        route
        for router in routers
        for route in router.routes
        if not http.disables(getattr(route, "path", ""))
    ]
    api.router.default = missing.answering(http)
    if page:
        # The page itself holds nothing: what it shows comes over the API, with the key that the person enters.

        @api.get("/", include_in_schema=False)
        async def index(request: Request) -> HTMLResponse:
            return meta.page(request, "page.html")

    return api


def _cors(settings: Settings, http: Http) -> list[Middleware]:
    if http.cors is not None:
        return [Middleware(CORSMiddleware, **http.cors.given())]
    if not settings.cors:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Content-Location", "Location", "X-Request-Id"],
            # A page that is named may ask from the internet what listens on its reader's own machine or network, as
            # LangGraph Studio does.
            allow_private_network=True,
        )
    ]
