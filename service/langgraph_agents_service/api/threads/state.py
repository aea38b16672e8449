"""The states of threads: the latest, those before, and changes to them."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StateUpdate

from langgraph_agents_service.api import states
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import Reader, ThreadId, ThreadsDep, Updater
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.schemas import (
    Checkpoint,
    HistoryQuery,
    StateQuery,
    Superstep,
)
from langgraph_agents_service.api.schemas import (
    StateUpdate as AskedUpdate,
)
from langgraph_agents_service.api.wire import json
from langgraph_agents_service.persistence.registry.base import (
    Json,
    Owner,
    Thread,
    ThreadBusyError,
    ThreadStatus,
)
from langgraph_agents_service.projects.graphs import AnyGraph
from langgraph_agents_service.runs.driver import command
from langgraph_agents_service.service import Service

router = APIRouter(prefix="/threads", tags=["threads"], route_class=StrictRoute, responses=ANSWERS)

Select = Annotated[
    list[str] | None, Query(description="Parts of the state; `values.<key>` for one of its values.")
]

_REFUSALS = (ValueError, TypeError, KeyError, AttributeError, NotImplementedError)
"""What LangGraph and the project's own reducers raise at values that do not fit."""


@router.get("/{thread_id}/state")
async def get_state(
    thread_id: ThreadId,
    service: ThreadsDep,
    owner: Reader,
    subgraphs: Annotated[bool, Query()] = False,
    select: Select = None,
) -> Response:
    return await _state(service, owner, thread_id, None, subgraphs, select)


@router.get("/{thread_id}/state/{checkpoint_id}")
async def get_state_at(
    thread_id: ThreadId,
    checkpoint_id: UUID,
    service: ThreadsDep,
    owner: Reader,
    subgraphs: Annotated[bool, Query()] = False,
    select: Select = None,
) -> Response:
    return await _state(service, owner, thread_id, Checkpoint(checkpoint_id=checkpoint_id), subgraphs, select)


@router.post("/{thread_id}/state/checkpoint")
async def get_state_of_checkpoint(
    thread_id: ThreadId, body: StateQuery, service: ThreadsDep, owner: Reader
) -> Response:
    return await _state(service, owner, thread_id, body.checkpoint, body.subgraphs, body.select)


async def _state(
    service: Service,
    owner: Owner,
    thread_id: str,
    checkpoint: Checkpoint | None,
    subgraphs: bool,
    select: list[str] | None,
) -> Response:
    thread = await service.registry.get_thread(thread_id, owner)
    await states.require_checkpoint(service, thread_id, checkpoint)
    graph = await states.graph_of(service, thread)
    if graph is None:
        return json(states.part(states.empty(thread_id), select))
    config = states.config_of(thread_id, checkpoint)
    return json(states.part(states.document(await graph.aget_state(config, subgraphs=subgraphs)), select))


@router.post("/{thread_id}/state")
async def update_state(
    thread_id: ThreadId, body: AskedUpdate, service: ThreadsDep, reader: Reader, owner: Updater
) -> Response:
    if reader != owner:  # who may change a thread but not see it may not do this, which shows it
        await service.registry.get_thread(thread_id, reader)
    await service.registry.get_thread(
        thread_id, owner
    )  # nobody waits for the lock of a thread that is not theirs
    async with service.registry.alone(thread_id):
        return await _update(thread_id, body, service, owner)


async def _update(thread_id: str, body: AskedUpdate, service: Service, owner: Owner) -> Response:
    thread = await service.registry.get_thread(thread_id, owner)
    if thread.status is ThreadStatus.BUSY:
        raise ThreadBusyError
    graph = await _changeable(service, thread)
    if body.as_node is not None and body.as_node not in graph.nodes:
        raise ApiError(422, f"as_node: the graph has no node {body.as_node!r}")
    checkpoint = body.checkpoint or (
        Checkpoint(checkpoint_id=body.checkpoint_id) if body.checkpoint_id else None
    )
    await states.require_checkpoint(service, thread_id, checkpoint)
    config = states.config_of(thread_id, checkpoint)
    try:
        made = await graph.aupdate_state(config, body.values, as_node=body.as_node)
    except _REFUSALS as error:
        raise ApiError(422, f"the graph refuses these values: {error}") from None
    await _changed(service, thread_id, graph, made)
    where: Json = made["configurable"]
    checkpoint_document = {
        "thread_id": thread_id,
        "checkpoint_ns": where.get("checkpoint_ns", ""),
        "checkpoint_id": where.get("checkpoint_id"),
        "checkpoint_map": None,
    }
    return json(
        {
            "checkpoint": checkpoint_document,
            "configurable": checkpoint_document,
            "checkpoint_id": where.get("checkpoint_id"),
        }
    )


async def take_steps(service: Service, thread: Thread, supersteps: list[Superstep]) -> None:
    """Give a thread the states that steps of its graph would have made. Raises ApiError."""
    if thread.status is ThreadStatus.BUSY:
        raise ThreadBusyError
    graph = await _changeable(service, thread)
    steps = []
    for number, superstep in enumerate(supersteps):
        updates = []
        for update in superstep.updates:
            node = update.as_node
            # LangGraph's own begin with two underscores: `__input__`, `__copy__`.
            if node is not None and not node.startswith("__") and node not in graph.nodes:
                raise ApiError(422, f"supersteps.{number}: the graph has no node {node!r}")
            values: dict[str, Any] | Command[Any] | None = update.values  # type: ignore[assignment]
            if update.command is not None:
                values = command(update.command.model_dump(mode="json"), graph)
            updates.append(StateUpdate(values, update.as_node))  # type: ignore[arg-type]
        steps.append(updates)
    try:
        made = await graph.abulk_update_state(states.config_of(thread.thread_id), steps)
    except _REFUSALS as error:
        raise ApiError(422, f"supersteps: the graph refuses these values: {error}") from None
    await _changed(service, thread.thread_id, graph, made)


async def _changeable(service: Service, thread: Thread) -> AnyGraph:
    """Raises ApiError 400 for a thread that has not run, and whose metadata do not name its graph."""
    graph = await states.graph_of(service, thread)
    if graph is None:
        raise ApiError(
            400,
            "the graph of this thread is not known; run it first, or set metadata.graph_id when making it",
        )
    return graph


async def _changed(service: Service, thread_id: str, graph: AnyGraph, made: RunnableConfig) -> None:
    status = ThreadStatus.INTERRUPTED if await _waits(graph, made) else ThreadStatus.IDLE
    await service.registry.set_thread_status(thread_id, status)


async def _waits(graph: Any, config: RunnableConfig) -> bool:
    return bool((await graph.aget_state(config)).next)


@router.post("/{thread_id}/history")
async def history(thread_id: ThreadId, body: HistoryQuery, service: ThreadsDep, owner: Reader) -> Response:
    thread = await service.registry.get_thread(thread_id, owner)
    graph = await states.graph_of(service, thread)
    if graph is None:
        return json([])
    before = Checkpoint(checkpoint_id=body.before) if isinstance(body.before, UUID) else body.before
    config = states.config_of(thread_id, body.checkpoint)
    snapshots = graph.aget_state_history(
        config,
        filter=body.metadata,
        before=states.config_of(thread_id, before) if before else None,
        limit=body.limit,
    )
    return json([states.part(states.document(snapshot), body.select) async for snapshot in snapshots])


@router.get("/{thread_id}/history")
async def history_of(
    thread_id: ThreadId, service: ThreadsDep, owner: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 10
) -> Response:
    return await history(thread_id, HistoryQuery(limit=limit), service, owner)
