"""Assistants: one for each graph of langgraph.json, with the id that LangGraph Server would give it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic.errors import PydanticUserError

from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import CallerDep, ServiceDep, find_graph
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.schemas import AssistantCount, AssistantSearch
from langgraph_agents_service.projects.graphs import Graph
from langgraph_agents_service.service import Service

router = APIRouter(prefix="/assistants", tags=["assistants"], route_class=StrictRoute, responses=ANSWERS)

_STARTED = datetime.now(UTC)


def _document(graph: Graph) -> dict[str, Any]:
    return {
        "assistant_id": graph.assistant_id,
        "graph_id": graph.graph_id,
        "name": graph.graph_id,
        "description": graph.description,
        "config": {},
        "context": {},
        "metadata": {"created_by": "system"},
        "version": 1,
        "created_at": _STARTED.isoformat(),
        "updated_at": _STARTED.isoformat(),
    }


async def _matching(
    service: Service, caller: Caller, query: AssistantCount | AssistantSearch
) -> list[dict[str, Any]]:
    asked = query.model_dump(include={"graph_id", "metadata", "limit", "offset"})
    owner = await caller.may("assistants", "search", asked)
    found = [_document(graph) for graph in service.graphs.all()]
    return [
        document
        for document in found
        if query.graph_id in (None, document["graph_id"])
        and (query.name is None or query.name.lower() in document["name"].lower())
        and all(document["metadata"].get(key) == value for key, value in asked["metadata"].items())
        and (owner.only is None or owner.only.admits(document["metadata"]))
    ]


async def _readable(service: Service, caller: Caller, assistant_id: str) -> Graph:
    """Raises RefusedError, and ApiError 404 for what is not there or not for the caller."""
    graph = find_graph(service, assistant_id)
    owner = await caller.may("assistants", "read", {"assistant_id": UUID(graph.assistant_id)})
    if owner.only is not None and not owner.only.admits(_document(graph)["metadata"]):
        raise ApiError(404, f"there is no assistant {assistant_id!r}")
    return graph


@router.post("/search")
async def search(query: AssistantSearch, service: ServiceDep, caller: CallerDep) -> list[dict[str, Any]]:
    found = await _matching(service, caller, query)
    if query.sort_by:
        found.sort(key=lambda document: document[str(query.sort_by)], reverse=query.sort_order == "desc")
    return found[query.offset : query.offset + query.limit]


@router.post("/count")
async def count(query: AssistantCount, service: ServiceDep, caller: CallerDep) -> int:
    return len(await _matching(service, caller, query))


@router.get("/{assistant_id}")
async def get(assistant_id: str, service: ServiceDep, caller: CallerDep) -> dict[str, Any]:
    return _document(await _readable(service, caller, assistant_id))


@router.get("/{assistant_id}/graph")
async def get_graph(assistant_id: str, service: ServiceDep, caller: CallerDep) -> dict[str, Any]:
    graph = await _readable(service, caller, assistant_id)
    compiled = await graph.compiled({})
    return (await compiled.aget_graph()).to_json()


@router.get("/{assistant_id}/schemas")
async def get_schemas(assistant_id: str, service: ServiceDep, caller: CallerDep) -> dict[str, Any]:
    graph = await _readable(service, caller, assistant_id)
    compiled = await graph.compiled({})
    return {
        "graph_id": graph.graph_id,
        "input_schema": _schema(compiled.get_input_jsonschema),
        "output_schema": _schema(compiled.get_output_jsonschema),
        "state_schema": None,
        "config_schema": None,
        "context_schema": _schema(compiled.get_context_jsonschema),
    }


def _schema(make: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    """The schema, or None where a state has types that JSON Schema cannot say, as the API has it."""
    try:
        return make()
    except (PydanticUserError, TypeError):
        return None
