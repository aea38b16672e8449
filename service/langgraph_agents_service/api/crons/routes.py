"""Crons: made, changed, found, deleted."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response

from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api.assistants import finding
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import CallerDep, ThreadId, ThreadsDep
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.runs.making import build
from langgraph_agents_service.api.schemas import (
    CronCount,
    CronCreate,
    CronRun,
    CronSearchQuery,
    CronUpdate,
    RunCreate,
    ThreadCronCreate,
)
from langgraph_agents_service.api.wire import json, page, selected
from langgraph_agents_service.persistence.crons.base import Cron, CronSearch
from langgraph_agents_service.persistence.crons.schedule import ScheduleError, following
from langgraph_agents_service.persistence.registry.base import Json, NotFoundError, Owner, now
from langgraph_agents_service.service import Service

router = APIRouter(tags=["crons"], route_class=StrictRoute, responses=ANSWERS)

_ASKED = frozenset(CronRun.model_fields)
"""Fields of a body that its runs are asked, rather than the cron."""


async def _cron_id(cron_id: Annotated[UUID, Path()]) -> str:
    return str(cron_id)


CronId = Annotated[str, Depends(_cron_id)]


@router.post("/runs/crons")
async def create(body: CronCreate, service: ThreadsDep, caller: CallerDep) -> Response:
    """A cron whose runs each have a thread of their own."""
    return json(_document(await _create(service, caller, body, None, body.on_run_completed)))


@router.post("/threads/{thread_id}/runs/crons")
async def create_for_thread(
    thread_id: ThreadId, body: ThreadCronCreate, service: ThreadsDep, caller: CallerDep
) -> Response:
    """A cron whose runs are all on this thread."""
    owner = await caller.may("threads", "read", {"thread_id": UUID(thread_id)})
    await service.registry.get_thread(thread_id, owner)
    return json(_document(await _create(service, caller, body, thread_id, None)))


async def _create(
    service: Service, caller: Caller, body: ThreadCronCreate, thread_id: str | None, completed: str | None
) -> Cron:
    payload = body.model_dump(mode="json", include=set(_ASKED), exclude_unset=True)
    assistant, _ = await finding.find(service, caller, body.assistant_id)
    payload["assistant_id"] = assistant.assistant_id
    await _would_run(service, caller, payload)
    cron_id = uuid.uuid4()
    asked: Json = {
        "payload": payload,
        "schedule": body.schedule,
        "cron_id": cron_id,
        "thread_id": UUID(thread_id) if thread_id else None,
        "user_id": caller.user.identity if caller.user else None,
        "end_time": body.end_time,
        "metadata": body.metadata,
    }
    owner = await caller.may("crons", "create", asked)
    return await service.crons.create(
        Cron(
            cron_id=str(cron_id),
            owner=owner.name,
            user=caller.travels(),
            configurable=caller.configurable,
            assistant_id=assistant.assistant_id,
            thread_id=thread_id,
            on_run_completed=completed,
            schedule=body.schedule,
            timezone=body.timezone,
            end_time=_aware(body.end_time),
            enabled=body.enabled,
            payload=asked["payload"],
            metadata=asked["metadata"],
            next_run_date=_next(body.schedule, body.timezone),
        ),
        owner,
    )


@router.post("/runs/crons/search")
async def search(body: CronSearchQuery, service: ThreadsDep, caller: CallerDep) -> Response:
    owner, wanted = await _searched(caller, body, enabled=body.enabled)
    found = await service.crons.search(
        owner,
        wanted,
        limit=body.limit + 1,
        offset=body.offset,
        sort_by=body.sort_by or "created_at",
        descending=body.sort_order != "asc",
    )
    documents = [selected(_document(cron), body.select) for cron in found]
    return page(documents, limit=body.limit, offset=body.offset)


@router.post("/runs/crons/count")
async def count(body: CronCount, service: ThreadsDep, caller: CallerDep) -> int:
    owner, wanted = await _searched(caller, body)
    return await service.crons.count(owner, wanted)


async def _searched(
    caller: Caller, body: CronCount, *, enabled: bool | None = None
) -> tuple[Owner, CronSearch]:
    asked: Json = {
        "assistant_id": body.assistant_id,
        "thread_id": body.thread_id,
        "metadata": body.metadata or {},
    }
    owner = await caller.may("crons", "search", asked)
    return owner, CronSearch(
        assistant_id=str(body.assistant_id) if body.assistant_id else None,
        thread_id=str(body.thread_id) if body.thread_id else None,
        enabled=enabled,
        metadata=asked["metadata"],
    )


@router.get("/runs/crons/{cron_id}")
async def get(cron_id: CronId, service: ThreadsDep, caller: CallerDep) -> Response:
    owner = await caller.may("crons", "read", {"cron_id": UUID(cron_id)})
    return json(_document(await _found(service, cron_id, owner)))


@router.patch("/runs/crons/{cron_id}")
async def update(cron_id: CronId, body: CronUpdate, service: ThreadsDep, caller: CallerDep) -> Response:
    asked = body.model_dump(mode="json", exclude_unset=True, include=set(_ASKED))
    value: Json = {
        "cron_id": UUID(cron_id),
        "schedule": body.schedule,
        "end_time": body.end_time,
        "enabled": body.enabled,
        "on_run_completed": body.on_run_completed,
        "payload": asked or None,
        "metadata": body.metadata,
    }
    owner = await caller.may("crons", "update", value)
    before = await _found(service, cron_id, owner)
    if body.on_run_completed and before.thread_id:
        raise ApiError(422, "on_run_completed: the runs of this cron are on a thread of their own")
    changes: Json = {
        name: getattr(body, name)
        for name in ("schedule", "timezone", "enabled", "on_run_completed")
        if getattr(body, name) is not None
    }
    if "end_time" in body.model_fields_set:
        changes["end_time"] = _aware(body.end_time)
    if value["metadata"]:
        changes["metadata"] = value["metadata"]
    if value["payload"]:
        await _would_run(service, caller, before.payload | value["payload"])
        changes["payload"] = value["payload"]
    if {"schedule", "timezone"} & changes.keys() or changes.get("enabled"):
        # What fell due while it was off is not made up for.
        schedule = changes.get("schedule", before.schedule)
        changes["next_run_date"] = _next(schedule, changes.get("timezone", before.timezone))
    if not changes:
        raise ApiError(422, "nothing to change; give at least one field")
    return json(_document(await service.crons.update(cron_id, owner, changes)))


@router.delete("/runs/crons/{cron_id}", status_code=204)
async def delete(cron_id: CronId, service: ThreadsDep, caller: CallerDep) -> None:
    owner = await caller.may("crons", "delete", {"cron_id": UUID(cron_id)})
    try:
        await service.crons.delete(cron_id, owner)
    except NotFoundError:
        raise _missing(cron_id) from None


async def _found(service: Service, cron_id: str, owner: Owner) -> Cron:
    try:
        return await service.crons.get(cron_id, owner)
    except NotFoundError:
        raise _missing(cron_id) from None


def _missing(cron_id: str) -> ApiError:
    return ApiError(404, f"there is no cron {cron_id}, or it belongs to another key")


async def _would_run(service: Service, caller: Caller, payload: Mapping[str, Any]) -> None:
    """What a run could not be asked is refused now, and not each time that the cron is due. Raises ApiError."""
    await build(service, caller, RunCreate.model_validate(payload), str(uuid.uuid4()))


def _next(schedule: str, timezone: str | None) -> datetime:
    """Raises ApiError."""
    try:
        found = following(schedule, timezone, now())
    except ScheduleError as error:
        raise ApiError(422, f"schedule, timezone: {error}") from None
    if found is None:
        raise ApiError(422, f"schedule: {schedule!r} is never due")
    return found


def _aware(moment: datetime | None) -> datetime | None:
    """A time without a zone is one of UTC."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _document(cron: Cron) -> Json:
    document = asdict(cron)
    for name in ("owner", "user", "configurable"):
        del document[name]
    return {**document, "user_id": cron.user.get("identity") if cron.user else None}
