"""Threads: conversations, their states and their past."""

import asyncio
import uuid
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from langchain_core.runnables import RunnableConfig

from langgraph_agents_service.api import states
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import (
    CallerDep,
    Deleter,
    Reader,
    ThreadId,
    ThreadsDep,
    Updater,
)
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.removal import remove
from langgraph_agents_service.api.schemas import (
    Checkpoint,
    HistoryQuery,
    StateQuery,
    StateUpdate,
    ThreadCount,
    ThreadCreate,
    ThreadSearch,
    ThreadUpdate,
    Ttl,
)
from langgraph_agents_service.api.wire import json, selected
from langgraph_agents_service.persistence.registry.base import Owner, Thread, ThreadBusyError, ThreadStatus
from langgraph_agents_service.service import Service

router = APIRouter(prefix="/threads", tags=["threads"], route_class=StrictRoute, responses=ANSWERS)


def _document(thread: Thread) -> dict[str, Any]:
    return {
        "thread_id": thread.thread_id,
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
        "state_updated_at": thread.state_updated_at,
        "metadata": thread.metadata,
        "status": thread.status,
        "config": thread.config,
        "error": thread.error if thread.status is ThreadStatus.ERROR else None,
        "values": None,
        "interrupts": {},
    }


def _ttl(service: Service, ttl: Ttl | None) -> tuple[float, str] | None:
    """Raises ApiError 422 where nothing would remove the thread."""
    if ttl is not None and not service.registry.durable:
        raise ApiError(
            422, "ttl: threads have a lifetime of their own with CHECKPOINTER=postgres only; leave it out"
        )
    return (ttl.ttl, ttl.strategy) if ttl else None


async def _with_state(service: Service, thread: Thread) -> dict[str, Any]:
    document = _document(thread)
    if thread.metadata.get("graph_id") in service.graphs.names:
        graph = await states.graph_of(service, thread)
        if graph is not None:
            snapshot = await graph.aget_state(states.config_of(thread.thread_id))
            document["values"] = snapshot.values or None
            document["interrupts"] = {
                task.id: states.interrupts(task.interrupts) for task in snapshot.tasks if task.interrupts
            }
    return document


@router.post("")
async def create(body: ThreadCreate, service: ThreadsDep, caller: CallerDep) -> Response:
    asked: dict[str, Any] = {
        "thread_id": body.thread_id or uuid.uuid4(),
        "metadata": body.metadata or {},
        "if_exists": body.if_exists,
    }
    minutes, strategy = _ttl(service, body.ttl) or (None, None)
    owner = await caller.may("threads", "create", asked)
    thread = Thread(str(asked["thread_id"]), owner.name, asked["metadata"])
    thread.ttl_minutes, thread.ttl_strategy = minutes, strategy
    made = await service.registry.create_thread(thread, owner, reuse=body.if_exists == "do_nothing")
    return json(_document(made))


@router.post("/search")
async def search(body: ThreadSearch, service: ThreadsDep, caller: CallerDep) -> Response:
    asked = body.model_dump(include={"metadata", "status", "limit", "offset"})
    owner = await caller.may("threads", "search", asked)
    threads = await service.registry.search_threads(
        owner,
        metadata=asked["metadata"],
        ids=[str(thread_id) for thread_id in body.ids] if body.ids is not None else None,
        status=body.status,
        limit=body.limit,
        offset=body.offset,
        sort_by=body.sort_by,
        descending=body.sort_order == "desc",
    )
    wanted = set(body.select) if body.select else None
    if wanted is None or wanted & {"values", "interrupts"}:
        documents = await asyncio.gather(*(_with_state(service, thread) for thread in threads))
    else:
        documents = [_document(thread) for thread in threads]
    return json([selected(document, body.select) for document in documents])


@router.post("/count")
async def count(body: ThreadCount, service: ThreadsDep, caller: CallerDep) -> int:
    asked: dict[str, Any] = {"metadata": body.metadata, "status": body.status}
    owner = await caller.may("threads", "search", asked)
    return await service.registry.count_threads(owner, metadata=asked["metadata"], status=body.status)


@router.get("/{thread_id}")
async def get(
    thread_id: ThreadId,
    service: ThreadsDep,
    owner: Reader,
    include: Annotated[str, Query(description="`ttl`, to be told of its lifetime.")] = "",
) -> Response:
    thread = await service.registry.get_thread(thread_id, owner)
    document = await _with_state(service, thread)
    if "ttl" in [name.strip() for name in include.split(",")] and thread.ttl_minutes is not None:
        document["ttl"] = {
            "strategy": thread.ttl_strategy,
            "ttl_minutes": thread.ttl_minutes,
            "expires_at": thread.updated_at + timedelta(minutes=thread.ttl_minutes),
        }
    return json(document)


@router.patch("/{thread_id}")
async def update(
    thread_id: ThreadId,
    body: ThreadUpdate,
    service: ThreadsDep,
    caller: CallerDep,
    prefer: Annotated[str | None, Header()] = None,
) -> Response:
    asked: dict[str, Any] = {"thread_id": UUID(thread_id), "metadata": body.metadata or {}}
    owner = await caller.may("threads", "update", asked)
    ttl = _ttl(service, body.ttl)
    thread = await service.registry.update_thread(thread_id, owner, asked["metadata"], ttl=ttl)
    if prefer == "return=minimal":
        return Response(status_code=204)
    return json(await _with_state(service, thread))


@router.delete("/{thread_id}", status_code=204)
async def delete(thread_id: ThreadId, service: ThreadsDep, owner: Deleter) -> None:
    await remove(service, thread_id, owner)


@router.get("/{thread_id}/state")
async def get_state(
    thread_id: ThreadId, service: ThreadsDep, owner: Reader, subgraphs: Annotated[bool, Query()] = False
) -> Response:
    return await _state(service, owner, thread_id, None, subgraphs)


@router.get("/{thread_id}/state/{checkpoint_id}")
async def get_state_at(
    thread_id: ThreadId,
    checkpoint_id: UUID,
    service: ThreadsDep,
    owner: Reader,
    subgraphs: Annotated[bool, Query()] = False,
) -> Response:
    return await _state(service, owner, thread_id, Checkpoint(checkpoint_id=checkpoint_id), subgraphs)


@router.post("/{thread_id}/state/checkpoint")
async def get_state_of_checkpoint(
    thread_id: ThreadId, body: StateQuery, service: ThreadsDep, owner: Reader
) -> Response:
    return await _state(service, owner, thread_id, body.checkpoint, body.subgraphs)


async def _state(
    service: Service, owner: Owner, thread_id: str, checkpoint: Checkpoint | None, subgraphs: bool
) -> Response:
    thread = await service.registry.get_thread(thread_id, owner)
    await states.require_checkpoint(service, thread_id, checkpoint)
    graph = await states.graph_of(service, thread)
    if graph is None:
        return json(states.empty(thread_id))
    config = states.config_of(thread_id, checkpoint)
    return json(states.document(await graph.aget_state(config, subgraphs=subgraphs)))


@router.post("/{thread_id}/state")
async def update_state(
    thread_id: ThreadId, body: StateUpdate, service: ThreadsDep, reader: Reader, owner: Updater
) -> Response:
    if reader != owner:  # who may change a thread but not see it may not do this, which shows it
        await service.registry.get_thread(thread_id, reader)
    thread = await service.registry.get_thread(thread_id, owner)
    if thread.status is ThreadStatus.BUSY:
        raise ThreadBusyError
    graph = await states.graph_of(service, thread)
    if graph is None:
        raise ApiError(409, "the thread has not run yet, so its graph is not known; run it first")
    if body.as_node is not None and body.as_node not in graph.nodes:
        raise ApiError(422, f"as_node: the graph has no node {body.as_node!r}")
    checkpoint = body.checkpoint or (
        Checkpoint(checkpoint_id=body.checkpoint_id) if body.checkpoint_id else None
    )
    await states.require_checkpoint(service, thread_id, checkpoint)
    config = states.config_of(thread_id, checkpoint)
    try:
        made = await graph.aupdate_state(config, body.values, as_node=body.as_node)
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError) as error:
        raise ApiError(422, f"the graph refuses these values: {error}") from None
    status = ThreadStatus.INTERRUPTED if await _waits(graph, made) else ThreadStatus.IDLE
    await service.registry.set_thread_status(thread_id, status)
    where = made["configurable"]
    return json(
        {
            "checkpoint": {
                "thread_id": thread_id,
                "checkpoint_ns": where.get("checkpoint_ns", ""),
                "checkpoint_id": where.get("checkpoint_id"),
                "checkpoint_map": None,
            }
        }
    )


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
    return json([states.document(snapshot) async for snapshot in snapshots])


@router.get("/{thread_id}/history")
async def history_of(
    thread_id: ThreadId, service: ThreadsDep, owner: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 10
) -> Response:
    return await history(thread_id, HistoryQuery(limit=limit), service, owner)
