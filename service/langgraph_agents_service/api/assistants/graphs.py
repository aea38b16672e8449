"""What the graph of an assistant looks like: its drawing, its schemas, its subgraphs."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel
from langgraph.warnings import LangGraphDeprecationWarning
from pydantic import TypeAdapter, create_model

from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api.assistants import finding
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import CallerDep, ServiceDep
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.wire import json
from langgraph_agents_service.persistence.registry.base import Json
from langgraph_agents_service.projects.graphs import AnyGraph
from langgraph_agents_service.service import Service

router = APIRouter(prefix="/assistants", tags=["assistants"], route_class=StrictRoute, responses=ANSWERS)

_NOT_CONFIGURED = ("__pregel_checkpointer", "__pregel_store", "checkpoint_id", "checkpoint_ns", "thread_id")
"""What a graph's `configurable` has for LangGraph itself."""


async def _compiled(service: Service, caller: Caller, assistant_id: str) -> tuple[str, AnyGraph]:
    assistant, _ = await finding.find(service, caller, assistant_id)
    graph = finding.graph_of(service, assistant.graph_id)
    config: RunnableConfig = {"configurable": dict(assistant.config.get("configurable") or {})}
    return assistant.graph_id, await service.runner.driver.compiled(graph, config, access="assistants.read")


@router.get("/{assistant_id}/graph")
async def get_graph(
    assistant_id: str,
    service: ServiceDep,
    caller: CallerDep,
    xray: Annotated[str, Query(description="Whether to draw subgraphs too, or how deep.")] = "false",
) -> Response:
    _, compiled = await _compiled(service, caller, assistant_id)
    depth: bool | int
    if xray.lower() in ("true", "false"):
        depth = xray.lower() == "true"
    elif xray.isascii() and xray.isdigit() and 0 < int(xray) <= 1000:
        depth = int(xray)
    else:
        raise ApiError(422, f"xray: {xray!r} is neither true nor false nor a number from 1 on")
    drawn = (await compiled.aget_graph(xray=depth)).to_json()
    for node in drawn.get("nodes", []):
        if isinstance(data := node.get("data"), dict):
            data.pop("id", None)
    return json(drawn)


@router.get("/{assistant_id}/schemas")
async def get_schemas(assistant_id: str, service: ServiceDep, caller: CallerDep) -> Response:
    graph_id, compiled = await _compiled(service, caller, assistant_id)
    return json({"graph_id": graph_id, **_schemas(compiled)})


@router.get("/{assistant_id}/subgraphs")
async def get_subgraphs(
    assistant_id: str, service: ServiceDep, caller: CallerDep, recurse: Annotated[bool, Query()] = False
) -> Response:
    return await get_subgraph(assistant_id, None, service, caller, recurse)


@router.get("/{assistant_id}/subgraphs/{namespace}")
async def get_subgraph(
    assistant_id: str,
    namespace: str | None,
    service: ServiceDep,
    caller: CallerDep,
    recurse: Annotated[bool, Query()] = False,
) -> Response:
    _, compiled = await _compiled(service, caller, assistant_id)
    found = compiled.aget_subgraphs(namespace=namespace, recurse=recurse)
    return json({name: _schemas(subgraph) async for name, subgraph in found if isinstance(subgraph, Pregel)})


def _schemas(graph: AnyGraph) -> Json:
    return {
        "input_schema": _schema(graph.get_input_jsonschema),
        "output_schema": _schema(graph.get_output_jsonschema),
        "state_schema": _schema(lambda: _state(graph)),
        "config_schema": _schema(lambda: _configurable(graph)),
        "context_schema": _schema(graph.get_context_jsonschema),
    }


def _schema(make: Callable[[], Json | None]) -> Json | None:
    """The schema, or None where it cannot be said in JSON, as the API has it."""
    try:
        return make()
    except Exception:  # types of a project's own raise whatever they like
        return None


def _state(graph: AnyGraph) -> Json:
    found: dict[str, Any] = {}
    for name in graph.stream_channels_list:
        kind = getattr(graph.channels[name], "UpdateType", Any)
        found[name] = (kind if _schema(partial(_of_type, kind)) else Any, None)
    model = create_model(graph.get_name("State"), **found)
    return dict(model.model_json_schema())


def _of_type(kind: Any) -> Json:
    return dict(TypeAdapter(kind).json_schema())


def _configurable(graph: AnyGraph) -> Json:
    """What may stand in `config.configurable`; {} where the graph does not say."""
    with warnings.catch_warnings():
        # Asked for all the same, as the API has it beside `context_schema`.
        warnings.simplefilter("ignore", LangGraphDeprecationWarning)
        config: Any = graph.config_schema()
    fields = getattr(config, "model_fields", {})
    if "configurable" not in fields:
        return {}
    schema = _of_type(fields["configurable"].annotation)
    for name in _NOT_CONFIGURED:
        schema.get("properties", {}).pop(name, None)
    return schema
