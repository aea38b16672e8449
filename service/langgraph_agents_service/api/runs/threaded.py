"""Runs of a thread."""

import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Response

from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api import follow, states
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import (
    CallerDep,
    Deleter,
    Reader,
    RunId,
    Searcher,
    ThreadId,
    ThreadsDep,
    Updater,
)
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.runs.making import allow, build, headers_of, named_checkpoint
from langgraph_agents_service.api.schemas import Limit, Offset, RunCreate, RunField
from langgraph_agents_service.api.wire import json, selected
from langgraph_agents_service.persistence.checkpointers.threads import forget_run
from langgraph_agents_service.persistence.registry.base import Owner, Run, RunStatus, ThreadBusyError
from langgraph_agents_service.runs.documents import document
from langgraph_agents_service.runs.execution import Stop
from langgraph_agents_service.service import Service

router = APIRouter(tags=["runs"], route_class=StrictRoute, responses=ANSWERS)


async def prepare(service: Service, caller: Caller, body: RunCreate, thread_id: str) -> tuple[Run, Owner]:
    """The run that a request describes, and who may have it. Raises ApiError, RefusedError and NotFoundError."""
    run = await build(service, caller, body, thread_id)
    owner = await allow(caller, run, thread_id=thread_id, if_not_exists=body.if_not_exists)
    if named := named_checkpoint(body):
        await service.registry.get_thread(thread_id, owner)
        await states.require_checkpoint(service, thread_id, named)
    return run, owner


@router.post("/threads/{thread_id}/runs")
async def create(thread_id: ThreadId, body: RunCreate, service: ThreadsDep, caller: CallerDep) -> Response:
    run, owner = await prepare(service, caller, body, thread_id)
    await service.runner.submit(run, owner, create_thread=body.if_not_exists == "create")
    return json(document(run), headers=headers_of(run))


@router.post("/threads/{thread_id}/runs/wait")
async def wait(thread_id: ThreadId, body: RunCreate, service: ThreadsDep, caller: CallerDep) -> Response:
    run, owner = await prepare(service, caller, body, thread_id)
    execution = await service.runner.start(run, owner, create_thread=body.if_not_exists == "create")
    return await follow.wait(
        service,
        run,
        owner,
        execution,
        cancel_on_disconnect=body.on_disconnect == "cancel",
        headers={**headers_of(run), "Location": f"/threads/{run.thread_id}/runs/{run.run_id}/join"},
    )


@router.post("/threads/{thread_id}/runs/stream")
async def stream(thread_id: ThreadId, body: RunCreate, service: ThreadsDep, caller: CallerDep) -> Response:
    run, owner = await prepare(service, caller, body, thread_id)
    service.runner.read_along(run)
    execution = await service.runner.start(run, owner, create_thread=body.if_not_exists == "create")
    await follow.settled_start(execution)
    return follow.stream(
        service,
        run,
        owner,
        execution,
        cancel_on_disconnect=body.on_disconnect == "cancel",
        headers={**headers_of(run), "Location": f"/threads/{run.thread_id}/runs/{run.run_id}/stream"},
    )


@router.get("/threads/{thread_id}/runs")
async def list_runs(
    thread_id: ThreadId,
    service: ThreadsDep,
    owner: Searcher,
    limit: Annotated[Limit, Query()] = 10,
    offset: Annotated[Offset, Query()] = 0,
    status: Annotated[RunStatus | None, Query()] = None,
    select: Annotated[list[RunField] | None, Query()] = None,
) -> Response:
    runs = await service.registry.list_runs(thread_id, owner, limit=limit, offset=offset, status=status)
    return json([selected(document(run), select) for run in runs])


@router.get("/threads/{thread_id}/runs/{run_id}")
async def get(thread_id: ThreadId, run_id: RunId, service: ThreadsDep, owner: Reader) -> Response:
    return json(document(await service.registry.get_run(thread_id, run_id, owner)))


@router.delete("/threads/{thread_id}/runs/{run_id}", status_code=204)
async def delete(thread_id: ThreadId, run_id: RunId, service: ThreadsDep, owner: Deleter) -> None:
    if (await service.registry.get_run(thread_id, run_id, owner)).status.active:
        raise ThreadBusyError
    if service.saver is not None:
        await forget_run(service.saver, thread_id, run_id)
    await service.registry.delete_run(thread_id, run_id, owner)


@router.get("/threads/{thread_id}/runs/{run_id}/join")
async def join(thread_id: ThreadId, run_id: RunId, service: ThreadsDep, owner: Reader) -> Response:
    run = await service.registry.get_run(thread_id, run_id, owner)
    location = f"/threads/{thread_id}/runs/{run_id}/join"
    return await follow.wait(service, run, owner, None, headers={"Location": location})


@router.get("/threads/{thread_id}/runs/{run_id}/stream")
async def join_stream(
    thread_id: ThreadId,
    run_id: RunId,
    service: ThreadsDep,
    caller: CallerDep,
    owner: Reader,
    cancel_on_disconnect: Annotated[bool, Query()] = False,
    stream_mode: Annotated[list[str] | None, Query(description="Ignored: the run's own modes.")] = None,
    last_event_id: Annotated[str | None, Header(description="Resume behind this event.")] = None,
) -> Response:
    if cancel_on_disconnect:
        owner = await caller.may("threads", "update", {"thread_id": uuid.UUID(thread_id), "run_id": run_id})
    run = await service.registry.get_run(thread_id, run_id, owner)
    after = (
        int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else -1
    )
    return follow.stream(
        service,
        run,
        owner,
        None,
        after=min(after, 2**62),
        cancel_on_disconnect=cancel_on_disconnect,
        headers={**headers_of(run), "Location": f"/threads/{thread_id}/runs/{run_id}/stream"},
    )


@router.post("/threads/{thread_id}/runs/{run_id}/cancel")
async def cancel(
    thread_id: ThreadId,
    run_id: RunId,
    service: ThreadsDep,
    owner: Updater,
    wait: Annotated[bool, Query()] = False,
    action: Annotated[
        Literal["interrupt", "rollback"],
        Query(description="`rollback` deletes what the run did, and the run."),
    ] = "interrupt",
) -> Response:
    run = await service.registry.get_run(thread_id, run_id, owner)
    undo = action == "rollback"
    if not run.status.active or not await follow.stop(
        service, run, owner, Stop.ROLLBACK if undo else Stop.CANCEL
    ):
        run = await service.registry.get_run(thread_id, run_id, owner)
        raise ApiError(409, f"the run has ended with status {run.status}; there is nothing to cancel")
    if not wait:
        return Response(status_code=202)
    if undo:
        await follow.gone(service, run, owner)
        return json(None)
    return await follow.wait(service, run, owner, None, headers={})
