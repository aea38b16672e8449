"""Probes for Kubernetes, which routes requests to pods and restarts them. They need no key and never call a model."""

from fastapi import APIRouter, Response

from langgraph_agents_service.api.context import ServiceDep
from langgraph_agents_service.api.errors import ANSWERS
from langgraph_agents_service.runs.wire import dumps

router = APIRouter(tags=["probes"], responses=ANSWERS)


@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers. It says nothing of the servers behind it, which a restart would not mend."""
    return {"status": "ok"}


@router.get("/ok")
async def ok() -> dict[str, bool]:
    """The probe of LangGraph Server."""
    return {"ok": True}


@router.get("/ready", responses={503: {"description": "The failing checks by name."}})
async def ready(service: ServiceDep) -> Response:
    """Requests are welcome: what the process cannot do without is there, and it is not shutting down."""
    is_ready, checks = await service.health.ready()
    document = {"status": "ok" if is_ready else "unavailable", "checks": checks}
    return Response(dumps(document), 200 if is_ready else 503, media_type="application/json")
