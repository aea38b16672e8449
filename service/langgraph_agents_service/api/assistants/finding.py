"""Which assistant a request names: one that somebody made, or a graph's own."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api.errors import ApiError
from langgraph_agents_service.persistence.assistants.base import Assistant
from langgraph_agents_service.persistence.registry.base import Json, NotFoundError, Owner
from langgraph_agents_service.projects.graphs import Graph
from langgraph_agents_service.service import Service

_STARTED = datetime.now(UTC)


def own(graph: Graph) -> Assistant:
    """The assistant that a graph has of its own, with the id that LangGraph's server gives it."""
    return Assistant(
        assistant_id=graph.assistant_id,
        graph_id=graph.graph_id,
        name=graph.graph_id,
        description=graph.description,
        metadata={"created_by": "system"},
        created_at=_STARTED,
        updated_at=_STARTED,
    )


async def find(
    service: Service, caller: Caller, assistant_id: str, *, action: str = "read", ask_own: bool = True
) -> tuple[Assistant, Owner]:
    """The assistant, and what the caller may touch by the action. `ask_own`: the project's handlers decide on graphs'
    own assistants too. Raises RefusedError, and ApiError 404 for what is not there or not for the caller."""
    graph = service.graphs.find(assistant_id)
    if graph is not None and not ask_own:
        return own(graph), Owner(caller.owner)
    try:
        wanted = UUID(graph.assistant_id if graph else assistant_id)
    except ValueError:
        raise missing(service, assistant_id) from None
    owner = await caller.may("assistants", action, {"assistant_id": wanted})
    if graph is not None:
        found = own(graph)
        if not owner.admits(found.metadata):
            raise missing(service, assistant_id)
        return found, owner
    try:
        return await service.assistants.get(str(wanted), owner), owner
    except NotFoundError:
        raise missing(service, assistant_id) from None


def missing(service: Service, assistant_id: str) -> ApiError:
    names = ", ".join(service.graphs.names)
    return ApiError(404, f"there is no assistant {assistant_id!r}; of their own there is: {names}")


def graph_of(service: Service, graph_id: str) -> Graph:
    """Raises ApiError 404, with what there is."""
    graph = service.graphs.find(graph_id)
    if graph is None or graph.graph_id != graph_id:
        raise ApiError(404, f"there is no graph {graph_id!r}; there is: {', '.join(service.graphs.names)}")
    return graph


def in_step(config: Json | None, context: Json | None) -> tuple[Json | None, Json | None]:
    """Config and context, where each says what the other does: `configurable` is what `context` was before LangGraph
    0.6. Raises ApiError 400 if both are given."""
    configurable: Any = (config or {}).get("configurable")
    if configurable and context:
        raise ApiError(
            400, "config.configurable and context cannot both be given; leave configurable out, give context"
        )
    if configurable:
        return config, dict(configurable)
    if context:
        return {**(config or {}), "configurable": dict(context)}, context
    return config, context
