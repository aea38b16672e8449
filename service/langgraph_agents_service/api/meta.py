"""What the server is: its version and abilities, as LangGraph's clients ask for them, and a page that shows the API."""

from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from langgraph_agents_service.api.context import service_of
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.observability import langsmith

router = APIRouter(tags=["meta"], responses=ANSWERS)

PATHS = frozenset({"/info", "/docs"})
"""Answered without a key, as LangGraph's server does; neither says anything of the project."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Of pages that hold their own script and style, and ask this service alone."""


def own_version() -> str:
    """The service's version; 0.1.0+source where it runs from its folder and is not installed."""
    try:
        return version("langgraph-agents-service")
    except PackageNotFoundError:
        return "0.1.0+source"


def page(request: Request, name: str) -> HTMLResponse:
    """A page of the service's own. Raises ApiError 403 if a page of another site may be asking."""
    if service_of(request).identification.foreign(request.scope):
        raise ApiError(403, "the Host header names another address than this service's")
    text = files("langgraph_agents_service.api").joinpath(name).read_text()
    return HTMLResponse(text, headers={"Content-Security-Policy": PAGE_POLICY, "X-Frame-Options": "DENY"})


@router.get("/info")
async def info(request: Request) -> dict[str, Any]:
    """Versions and abilities, in the form that agent-chat-ui and LangGraph Studio read."""
    here = service_of(request)
    if here.identification.foreign(request.scope):
        raise ApiError(403, "the Host header names another address than this service's")
    http = here.graphs.project.http
    return {
        "version": own_version(),
        "langgraph_py_version": version("langgraph"),
        "flags": {
            "assistants": not http.disable_assistants,
            "crons": any(getattr(route, "path", "") == "/runs/crons" for route in request.app.routes),
            "langsmith": langsmith.wanted(),
            "langsmith_tracing_replicas": False,
            "langsmith_tracing_session_on_runs": False,
        },
        "host": {
            "kind": "self-hosted",
            "project_id": None,
            "host_revision_id": None,
            "revision_id": None,
            "tenant_id": None,
        },
    }


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The page holds nothing: what it shows is /openapi.json, which it asks for with the key that the person enters."""
    return page(request, "docs.html")
