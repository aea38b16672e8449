"""The ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from starlette.middleware.cors import CORSMiddleware

from langgraph_agents_service.api import assistants, errors, gateway, invoke, probes, runs, store, threads
from langgraph_agents_service.api.authentication import Authentication
from langgraph_agents_service.api.paths import OPEN_PATHS
from langgraph_agents_service.configuration.settings import Environment, Settings
from langgraph_agents_service.observability.tracing import telemetry
from langgraph_agents_service.service import Service


def create_app(settings: Settings) -> FastAPI:
    """The application of one process; its lifespan opens and closes the service."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with service:
            yield

    app = FastAPI(
        title="LangGraph agent",
        description="The part of the Agent Server API that langgraph-sdk uses, and /invoke.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        telemetry=telemetry(settings, untraced=OPEN_PATHS),
        redoc_url=None,
    )
    app.state.service = service
    service.app = app
    errors.install(app)
    # Routes are tried in this order: the busiest come first. Side by side, because a router inside the
    # application's would look for its route anew at each request.
    routers = (invoke.router, runs.router, threads.router, assistants.router, store.router, probes.router)
    app.router.routes[:0] = [route for router in routers for route in router.routes]
    open_paths = OPEN_PATHS
    if settings.environment is Environment.DEV:
        # The page itself holds nothing: what it shows comes over the API, with the key that the person enters.
        open_paths |= {"/"}
        page = files("langgraph_agents_service.api").joinpath("page.html").read_text()

        @app.get("/", include_in_schema=False)
        async def index() -> HTMLResponse:
            return HTMLResponse(page, headers={"Content-Security-Policy": _PAGE_POLICY})

    app.add_middleware(Authentication, service=service, open_paths=open_paths)
    app.add_middleware(gateway.Gateway, service=service)
    if settings.cors:
        # Outside the gateway, because a browser's preflight request carries no key.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Content-Location", "Location", "X-Request-Id"],
        )
    return app


_PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
