"""Assistants: made, changed, found, and taken back to an earlier version."""

import contextlib
import uuid
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from langgraph_agents_service.access.authorization import RefusedError
from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api.assistants import finding
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import CallerDep, ServiceDep
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.removal import remove
from langgraph_agents_service.api.schemas import (
    AssistantCount,
    AssistantCreate,
    AssistantLatest,
    AssistantSearch,
    AssistantUpdate,
    AssistantVersions,
)
from langgraph_agents_service.api.wire import json, page, selected
from langgraph_agents_service.persistence.assistants.base import Assistant, Change, Search, Version
from langgraph_agents_service.persistence.registry.base import Json, NotFoundError, Owner, ThreadBusyError
from langgraph_agents_service.service import Service

router = APIRouter(prefix="/assistants", tags=["assistants"], route_class=StrictRoute, responses=ANSWERS)


def _document(assistant: Assistant) -> Json:
    document = asdict(assistant)
    del document["owner"]
    return document


def _version(assistant_id: str, version: Version) -> Json:
    return {"assistant_id": assistant_id, **asdict(version)}


@router.post("")
async def create(body: AssistantCreate, service: ServiceDep, caller: CallerDep) -> Response:
    finding.graph_of(service, body.graph_id)
    config, context = finding.in_step(_config(body.config), body.context)
    asked: Json = {
        "assistant_id": body.assistant_id or uuid.uuid4(),
        "graph_id": body.graph_id,
        "config": config or {},
        "context": context or {},
        "metadata": body.metadata or {},
        "name": body.name or "Untitled",
    }
    owner = await caller.may("assistants", "create", asked)
    if service.graphs.find(str(asked["assistant_id"])) is not None:
        raise ApiError(409, f"assistant_id: {asked['assistant_id']} is a graph's own; choose another")
    made = await service.assistants.create(
        Assistant(
            **{**asked, "assistant_id": str(asked["assistant_id"])},
            description=body.description,
            owner=owner.name,
        ),
        owner,
        reuse=body.if_exists == "do_nothing",
    )
    return json(_document(made))


@router.post("/search")
async def search(body: AssistantSearch, service: ServiceDep, caller: CallerDep) -> Response:
    owner, wanted = await _searched(service, caller, body, {"limit": body.limit, "offset": body.offset})
    found = await service.assistants.search(
        owner,
        wanted,
        [finding.own(graph) for graph in service.graphs.all()],
        limit=body.limit + 1,
        offset=body.offset,
        sort_by=body.sort_by or "created_at",
        descending=body.sort_order != "asc",
    )
    documents = [selected(_document(assistant), body.select) for assistant in found]
    return page(documents, limit=body.limit, offset=body.offset)


@router.post("/count")
async def count(body: AssistantCount, service: ServiceDep, caller: CallerDep) -> int:
    owner, wanted = await _searched(service, caller, body, {"limit": 0, "offset": 0})
    return await service.assistants.count(
        owner, wanted, [finding.own(graph) for graph in service.graphs.all()]
    )


async def _searched(
    service: Service, caller: Caller, body: AssistantCount, pages: Json
) -> tuple[Owner, Search]:
    asked = {"graph_id": body.graph_id, "metadata": body.metadata or {}, **pages}
    owner = await caller.may("assistants", "search", asked)
    if body.graph_id is not None:
        finding.graph_of(service, body.graph_id)
    return owner, Search(graph_id=body.graph_id, name=body.name, metadata=asked["metadata"])


@router.get("/{assistant_id}")
async def get(assistant_id: str, service: ServiceDep, caller: CallerDep) -> Response:
    assistant, _ = await finding.find(service, caller, assistant_id)
    return json(_document(assistant))


@router.patch("/{assistant_id}")
async def update(
    assistant_id: str, body: AssistantUpdate, service: ServiceDep, caller: CallerDep
) -> Response:
    wanted = _changeable(service, assistant_id)
    if body.graph_id is not None:
        finding.graph_of(service, body.graph_id)
    config, context = finding.in_step(_config(body.config), body.context)
    asked: Json = {
        "assistant_id": wanted,
        "graph_id": body.graph_id,
        "config": config,
        "context": context,
        "metadata": body.metadata or {},
        "name": body.name,
    }
    owner = await caller.may("assistants", "update", asked)
    fields = ("graph_id", "name", "context", "metadata")
    # An empty config leaves what there is, an empty context does not: as LangGraph's server has it.
    change = Change(
        **{name: asked[name] for name in fields},
        config=asked["config"] or None,
        description=body.description,
    )
    try:
        return json(_document(await service.assistants.update(str(wanted), owner, change)))
    except NotFoundError:
        raise finding.missing(service, assistant_id) from None


@router.delete("/{assistant_id}", status_code=204)
async def delete(
    assistant_id: str,
    service: ServiceDep,
    caller: CallerDep,
    delete_threads: Annotated[bool, Query(description="Its threads too, but for those with a run.")] = False,
) -> None:
    wanted = _changeable(service, assistant_id)
    owner = await caller.may("assistants", "delete", {"assistant_id": wanted})
    try:
        assistant = await service.assistants.get(str(wanted), owner)
    except NotFoundError:
        raise finding.missing(service, assistant_id) from None
    await service.registry.cancel_runs(Owner(owner.name), assistant_id=assistant.assistant_id)
    if delete_threads:
        await _delete_threads(service, caller, assistant)
    await service.crons.delete_of_assistant(assistant.assistant_id)
    with contextlib.suppress(NotFoundError):  # somebody else deletes it too
        await service.assistants.delete(assistant.assistant_id, owner)


async def _delete_threads(service: Service, caller: Caller, assistant: Assistant) -> None:
    """The threads that the assistant ran on last, of those that the caller may delete and that are free by now."""
    offset = 0
    while True:
        owner = await caller.may("threads", "search", {})
        found = await service.registry.search_threads(
            owner,
            metadata={"assistant_id": assistant.assistant_id},
            sort_by="thread_id",
            limit=100,
            offset=offset,
        )
        for thread in found:
            try:
                deleter = await caller.may("threads", "delete", {"thread_id": UUID(thread.thread_id)})
                await remove(service, thread.thread_id, deleter)
            except (RefusedError, NotFoundError, ThreadBusyError):
                offset += 1
        if not found:
            return


@router.post("/{assistant_id}/versions")
async def versions(
    assistant_id: str, body: AssistantVersions, service: ServiceDep, caller: CallerDep
) -> Response:
    assistant, owner = await finding.find(service, caller, assistant_id)
    metadata = body.metadata or {}
    found: list[Version]
    if service.graphs.find(assistant_id) is not None:
        first = Version(**{name: getattr(assistant, name) for name in _CONTENT})
        found = [first] if metadata.items() <= first.metadata.items() and not body.offset else []
    else:
        found = await service.assistants.versions(
            assistant.assistant_id, owner, metadata, limit=body.limit, offset=body.offset
        )
    return json([_version(assistant.assistant_id, version) for version in found])


@router.post("/{assistant_id}/latest")
async def set_latest(
    assistant_id: str, body: AssistantLatest, service: ServiceDep, caller: CallerDep
) -> Response:
    wanted = _changeable(service, assistant_id)
    owner = await caller.may("assistants", "update", {"assistant_id": wanted, "version": body.version})
    try:
        return json(_document(await service.assistants.set_latest(str(wanted), owner, body.version)))
    except NotFoundError:
        raise ApiError(404, f"there is no version {body.version} of an assistant {assistant_id!r}") from None


_CONTENT = ("graph_id", "name", "description", "config", "context", "metadata", "version", "created_at")


def _config(config: Any) -> Json | None:
    return None if config is None else dict(config.model_dump(mode="json", exclude_unset=True))


def _changeable(service: Service, assistant_id: str) -> UUID:
    """Raises ApiError for a graph's own assistant, which all callers share, and for what is no id."""
    if service.graphs.find(assistant_id) is not None:
        raise ApiError(
            403, f"{assistant_id} is the graph's own assistant, which everybody shares; create one of yours"
        )
    try:
        return UUID(assistant_id)
    except ValueError:
        raise finding.missing(service, assistant_id) from None
