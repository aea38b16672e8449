"""Finding threads by what their states hold, and taking single values out of what was found."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import orjson

from langgraph_agents_service.api import states
from langgraph_agents_service.api.errors import ApiError
from langgraph_agents_service.api.schemas import ThreadCount, ThreadSearch
from langgraph_agents_service.persistence.assistants.base import contains
from langgraph_agents_service.persistence.registry.base import Json, Owner, Thread
from langgraph_agents_service.runs.runner import UNAVAILABLE
from langgraph_agents_service.runs.wire import dumps
from langgraph_agents_service.service import Service

AT_ONCE = 5
"""States that one search reads at the same time, so that it leaves connections to others."""

_BATCH = 100

log = logging.getLogger(__name__)


def document(thread: Thread) -> Json:
    return {
        "thread_id": thread.thread_id,
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
        "state_updated_at": thread.state_updated_at,
        "metadata": thread.metadata,
        "status": thread.status,
        "config": thread.config,
        "error": thread.error if thread.status == "error" else None,
        "values": None,
        "interrupts": {},
    }


async def with_state(service: Service, thread: Thread) -> Json:
    """The thread with its values; without them where its graph cannot be made or its state cannot be read, so that one
    broken thread is no reason for a listing to fail. Raises what is in UNAVAILABLE."""
    try:
        return await _with_state(service, thread)
    except (*UNAVAILABLE, ApiError):
        raise
    except Exception as error:
        log.warning(
            "the state of a thread cannot be shown",
            extra={"thread_id": thread.thread_id, "error": type(error).__name__},
        )
        return document(thread)


async def _with_state(service: Service, thread: Thread) -> Json:
    found = document(thread)
    if thread.metadata.get("graph_id") in service.graphs.names:
        graph = await states.graph_of(service, thread)
        if graph is not None:
            snapshot = await graph.aget_state(states.config_of(thread.thread_id))
            found["values"] = snapshot.values or None
            found["interrupts"] = {
                task.id: states.interrupts(task.interrupts) for task in snapshot.tasks if task.interrupts
            }
    return found


async def with_states(service: Service, threads: list[Thread]) -> list[Json]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(thread: Thread) -> Json:
        async with places:
            return await with_state(service, thread)

    return await asyncio.gather(*(one(thread) for thread in threads))


async def search(service: Service, owner: Owner, body: ThreadSearch, metadata: Json) -> list[Json]:
    """The page that was asked for, and one document more if there are more."""
    ids = [str(thread_id) for thread_id in body.ids] if body.ids is not None else None
    if body.values:
        found: list[Json] = []
        async for match in _by_values(service, owner, body, metadata, ids, body.values):
            found.append(match)
            if len(found) > body.offset + body.limit:
                break
        return found[body.offset :]
    threads = await service.registry.search_threads(
        owner,
        metadata=metadata,
        ids=ids,
        status=body.status,
        limit=body.limit + 1,
        offset=body.offset,
        sort_by=body.sort_by or "updated_at",
        descending=body.sort_order != "asc",
    )
    roots = {root(path) for path in (body.extract or {}).values()}
    if not body.select or {"values", "interrupts"} & {*body.select, *roots}:
        return await with_states(service, threads)
    return [document(thread) for thread in threads]


async def count(service: Service, owner: Owner, body: ThreadCount, metadata: Json) -> int:
    if not body.values:
        return await service.registry.count_threads(owner, metadata=metadata, status=body.status)
    total = 0
    async for _ in _by_values(service, owner, body, metadata, None, body.values):
        total += 1
    return total


async def _by_values(
    service: Service, owner: Owner, body: ThreadCount, metadata: Json, ids: list[str] | None, values: Json
) -> AsyncIterator[Json]:
    """Threads whose state holds these values. States are not indexed: each thread that fits otherwise is looked at."""
    sorting = {"sort_by": "thread_id", "descending": False}
    if isinstance(body, ThreadSearch):
        sorting = {"sort_by": body.sort_by or "updated_at", "descending": body.sort_order != "asc"}
    offset = 0
    while threads := await service.registry.search_threads(
        owner,
        metadata=metadata,
        ids=ids,
        status=body.status,
        limit=_BATCH,
        offset=offset,
        **sorting,  # type: ignore[arg-type]
    ):
        for found in await with_states(service, threads):
            if contains(orjson.loads(dumps(found["values"])), values):
                yield found
        offset += _BATCH


def root(path: str) -> str:
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def extracted(found: Json, paths: dict[str, str]) -> Json:
    """What stands at these paths, such as `values.messages[-1].content`; None where nothing does."""
    plain = orjson.loads(dumps({root(path): found.get(root(path)) for path in paths.values()}))
    return {name: _at(plain, path) for name, path in paths.items()}


def _at(value: Any, path: str) -> Any:
    for key, index in re.findall(r"([^.\[\]]+)|\[(-?\d+)\]", path):
        if key:
            value = value.get(key) if isinstance(value, dict) else None
        else:
            at = int(index)
            fits = isinstance(value, list) and -len(value) <= at < len(value)
            value = value[at] if fits else None
    return value
