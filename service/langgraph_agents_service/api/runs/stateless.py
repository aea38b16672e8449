"""Runs without a thread: gone once they are answered, or on a thread that is made for them."""

import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Query, Request, Response

from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api import follow
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import CallerDep, ServiceDep, ThreadsDep
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.runs.making import allow, bound_thread, build, headers_of, named_checkpoint
from langgraph_agents_service.api.schemas import RunsCancel, StatelessRunCreate
from langgraph_agents_service.api.wire import json
from langgraph_agents_service.persistence.registry.base import Json, Owner, Run, RunStatus
from langgraph_agents_service.runs.documents import document
from langgraph_agents_service.runs.execution import Execution, Stop
from langgraph_agents_service.service import Service

router = APIRouter(tags=["runs"], route_class=StrictRoute, responses=ANSWERS)


async def _stateless(service: Service, body: StatelessRunCreate, caller: Caller) -> tuple[Run, Owner]:
    if named_checkpoint(body) or body.command:
        raise ApiError(422, "a run without a thread has no checkpoint to go on from; name its thread")
    run = await build(service, caller, body, str(uuid.uuid4()))
    run.record_events = False
    owner = await allow(caller, run, thread_id=None)
    names = {"graph_id": run.graph_id, "assistant_id": run.assistant_id}
    run.metadata = {**run.assistant["metadata"], **run.metadata, **names}
    return run, owner


async def _on_its_own_thread(service: Service, body: StatelessRunCreate, caller: Caller) -> tuple[Run, Owner]:
    """A run on a thread that is made for it, and goes after it unless it is to be kept."""
    if named_checkpoint(body) or body.command:
        raise ApiError(422, "a run without a thread has no checkpoint to go on from; name its thread")
    run = await build(service, caller, body, str(uuid.uuid4()))
    owner = await allow(caller, run, thread_id=None)
    if body.on_completion == "delete":
        run.payload["temporary"] = True
    return run, owner


async def _start(service: Service, run: Run, owner: Owner) -> Execution | None:
    execution = await service.runner.start(run, owner, create_thread=True)
    if execution is None:
        await bound_thread(service, run)
    return execution


async def _submit(service: Service, run: Run, owner: Owner) -> Json:
    await service.runner.submit(run, owner, create_thread=True)
    await bound_thread(service, run)
    return document(run)


@router.post("/runs/wait")
async def wait_stateless(
    request: Request, body: StatelessRunCreate, service: ServiceDep, caller: CallerDep
) -> Response:
    if _has_thread(service, body):
        run, owner = await _on_its_own_thread(service, body, caller)
        execution = await _start(service, run, owner)
        return await follow.wait(
            service,
            run,
            owner,
            execution,
            cancel_on_disconnect=not _outlives(body) or body.on_disconnect == "cancel",
            headers={**headers_of(run), "Location": f"/threads/{run.thread_id}/runs/{run.run_id}/join"},
        )
    run, _ = await _stateless(service, body, caller)
    found = await service.runner.run_stateless(run, left=request.is_disconnected)
    return follow.plain(found, headers_of(run, stateless=True))


@router.post("/runs/stream")
async def stream_stateless(body: StatelessRunCreate, service: ServiceDep, caller: CallerDep) -> Response:
    kept = _has_thread(service, body)
    if kept:
        run, owner = await _on_its_own_thread(service, body, caller)
        service.runner.read_along(run)
        execution = await _start(service, run, owner)
    else:
        run, owner = await _stateless(service, body, caller)
        execution = await service.runner.start_stateless(run)
    await follow.settled_start(execution)
    return follow.stream(
        service,
        run,
        owner,
        execution,
        cancel_on_disconnect=not _outlives(body) or body.on_disconnect == "cancel",
        headers=headers_of(run, stateless=not kept),
    )


def _outlives(body: StatelessRunCreate) -> bool:
    """Whether the run is more than its request: it is kept, or waits."""
    return body.on_completion == "keep" or body.after_seconds > 0 or body.webhook is not None


def _has_thread(service: Service, body: StatelessRunCreate) -> bool:
    """Whether a thread is made for the run: it is more than its request, or executes on another process. Raises
    ApiError where nothing is kept."""
    wanted = _outlives(body)
    if wanted and not service.keeps_threads:
        raise ApiError(
            422, "on_completion, after_seconds, webhook: CHECKPOINTER=none keeps nothing; leave them out"
        )
    return wanted or not service.settings.process_role.executes


@router.post("/runs")
async def create_stateless(body: StatelessRunCreate, service: ThreadsDep, caller: CallerDep) -> Response:
    run, owner = await _on_its_own_thread(service, body, caller)
    return json(await _submit(service, run, owner), headers=headers_of(run))


@router.post("/runs/batch")
async def create_batch(
    bodies: Annotated[list[StatelessRunCreate], Body(min_length=1, max_length=1000)],
    service: ThreadsDep,
    caller: CallerDep,
) -> Response:
    """As many runs in the background, or none if one of them may not be."""
    runs = [await _on_its_own_thread(service, body, caller) for body in bodies]
    return json([await _submit(service, run, owner) for run, owner in runs])


@router.post("/runs/cancel", status_code=204)
async def cancel_many(
    body: RunsCancel,
    service: ThreadsDep,
    caller: CallerDep,
    action: Annotated[Literal["interrupt", "rollback"], Query()] = "interrupt",
) -> None:
    ids = [str(run_id) for run_id in body.run_ids] if body.run_ids else None
    asked = {
        "thread_id": body.thread_id,
        "action": action,
        "metadata": {"run_ids": body.run_ids, "status": body.status},
    }
    owner = await caller.may("threads", "update", asked)
    statuses = (
        (RunStatus(body.status),)
        if body.status in ("pending", "running")
        else (RunStatus.PENDING, RunStatus.RUNNING)
    )
    found = await service.registry.cancel_runs(
        owner,
        thread_id=str(body.thread_id) if body.thread_id else None,
        run_ids=ids,
        statuses=statuses,
        rollback=action == "rollback",
    )
    if not found:
        raise ApiError(404, "there is no active run of these to cancel")
    for run_id in found:
        if execution := service.runner.find(run_id):
            execution.stop(Stop.ROLLBACK if action == "rollback" else Stop.CANCEL)
