"""Threads: made, found, changed, copied, removed."""

import uuid
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import CallerDep, Deleter, Reader, ThreadId, ThreadsDep
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.removal import remove
from langgraph_agents_service.api.schemas import (
    ThreadCount,
    ThreadCreate,
    ThreadPrune,
    ThreadSearch,
    ThreadUpdate,
    Ttl,
)
from langgraph_agents_service.api.threads import searching
from langgraph_agents_service.api.threads.state import take_steps
from langgraph_agents_service.api.wire import json, page, selected
from langgraph_agents_service.persistence.checkpointers.threads import copy_thread
from langgraph_agents_service.persistence.registry.base import NotFoundError, Thread, ThreadBusyError
from langgraph_agents_service.persistence.shortening import shorten_one
from langgraph_agents_service.service import Service

router = APIRouter(prefix="/threads", tags=["threads"], route_class=StrictRoute, responses=ANSWERS)


def _ttl(service: Service, ttl: Ttl | None) -> tuple[float, str] | None:
    """Raises ApiError 422 where nothing would remove the thread."""
    if ttl is not None and not service.registry.durable:
        raise ApiError(
            422, "ttl: threads have a lifetime of their own with CHECKPOINTER=postgres only; leave it out"
        )
    return (ttl.ttl, ttl.strategy) if ttl else None


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
    if body.supersteps:
        updater = await caller.may("threads", "update", {"thread_id": asked["thread_id"]})
        made = await service.registry.get_thread(made.thread_id, updater)
        async with service.registry.alone(made.thread_id):
            await take_steps(service, made, body.supersteps)
        return json(await searching.with_state(service, made))
    return json(searching.document(made))


@router.post("/search")
async def search(body: ThreadSearch, service: ThreadsDep, caller: CallerDep) -> Response:
    asked = body.model_dump(include={"status", "limit", "offset"})
    asked |= {"metadata": body.metadata or {}, "values": body.values or {}}
    owner = await caller.may("threads", "search", asked)
    found = await searching.search(service, owner, body, asked["metadata"])
    documents = []
    for thread in found:
        more = {"extracted": searching.extracted(thread, body.extract)} if body.extract else {}
        documents.append(selected(thread, body.select) | more)
    return page(documents, limit=body.limit, offset=body.offset)


@router.post("/count")
async def count(body: ThreadCount, service: ThreadsDep, caller: CallerDep) -> int:
    asked: dict[str, Any] = {
        "metadata": body.metadata or {},
        "values": body.values or {},
        "status": body.status,
    }
    owner = await caller.may("threads", "search", asked)
    return await searching.count(service, owner, body, asked["metadata"])


@router.post("/prune")
async def prune(body: ThreadPrune, service: ThreadsDep, caller: CallerDep) -> Response:
    if body.strategy == "keep_latest" and not service.registry.durable:
        raise ApiError(422, "strategy: keep_latest is to be had with CHECKPOINTER=postgres only; use delete")
    pruned = 0
    for thread_id in dict.fromkeys(str(thread_id) for thread_id in body.thread_ids):
        pruned += await _pruned(service, caller, thread_id, body.strategy)
    return json({"pruned_count": pruned})


async def _pruned(service: Service, caller: Caller, thread_id: str, strategy: str) -> bool:
    """False for a thread that is not there, not the caller's, or busy."""
    try:
        owner = await caller.may("threads", "delete", {"thread_id": UUID(thread_id)})
        if strategy == "delete":
            await remove(service, thread_id, owner)
        else:
            thread = await service.registry.get_thread(thread_id, owner)
            if thread.status == "busy":
                raise ThreadBusyError
            if service.database is not None:
                return await shorten_one(service.database, thread_id, thread.updated_at)
    except (NotFoundError, ThreadBusyError):
        return False
    except NotImplementedError as error:
        raise ApiError(
            422, f"strategy: thread {thread_id} cannot be shortened: {error}; use delete"
        ) from error
    return True


@router.get("/{thread_id}")
async def get(
    thread_id: ThreadId,
    service: ThreadsDep,
    owner: Reader,
    include: Annotated[str, Query(description="`ttl`, to be told of its lifetime.")] = "",
) -> Response:
    thread = await service.registry.get_thread(thread_id, owner)
    document = await searching.with_state(service, thread)
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
    return json(await searching.with_state(service, thread))


@router.post("/{thread_id}/copy")
async def copy(thread_id: ThreadId, service: ThreadsDep, owner: Reader, caller: CallerDep) -> Response:
    thread = await service.registry.get_thread(thread_id, owner)
    asked: dict[str, Any] = {"thread_id": uuid.uuid4(), "metadata": dict(thread.metadata)}
    maker = await caller.may("threads", "create", asked)
    made = Thread(str(asked["thread_id"]), maker.name, asked["metadata"])
    # The checkpoints first: should the process die here, there is no thread that has lost its past.
    if service.saver is not None:
        await copy_thread(service.saver, thread_id, made.thread_id)
    made = await service.registry.create_thread(made, maker, reuse=False)
    return json(await searching.with_state(service, made))


@router.delete("/{thread_id}", status_code=204)
async def delete(thread_id: ThreadId, service: ThreadsDep, owner: Deleter) -> None:
    await remove(service, thread_id, owner)
