"""Runs without a thread: two are gone once they are answered, the third keeps a thread of its own."""

import uuid

from fastapi import APIRouter, Request, Response

from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api import follow
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import CallerDep, ServiceDep, ThreadsDep
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.runs.making import allow, build, document, headers_of, named_checkpoint
from langgraph_agents_service.api.schemas import StatelessRunCreate
from langgraph_agents_service.api.wire import json
from langgraph_agents_service.persistence.registry.base import Owner, Run
from langgraph_agents_service.service import Service

router = APIRouter(tags=["runs"], route_class=StrictRoute, responses=ANSWERS)


async def _stateless(service: Service, body: StatelessRunCreate, caller: Caller) -> tuple[Run, Owner]:
    if named_checkpoint(body) or body.command:
        raise ApiError(422, "a run without a thread has no checkpoint to go on from; name its thread")
    if body.on_completion == "keep":
        raise ApiError(422, "on_completion: nothing is kept of a run without a thread; name a thread")
    run = await build(service, caller, body, str(uuid.uuid4()))
    run.record_events = False
    owner = await allow(caller, run, thread_id=None)
    names = {"graph_id": run.graph_id, "assistant_id": run.assistant_id}
    run.metadata = {**run.assistant["metadata"], **run.metadata, **names}
    return run, owner


@router.post("/runs/wait")
async def wait_stateless(
    request: Request, body: StatelessRunCreate, service: ServiceDep, caller: CallerDep
) -> Response:
    run, _ = await _stateless(service, body, caller)
    found = await service.runner.run_stateless(run, left=request.is_disconnected)
    return follow.plain(found, headers_of(run, stateless=True))


@router.post("/runs/stream")
async def stream_stateless(body: StatelessRunCreate, service: ServiceDep, caller: CallerDep) -> Response:
    run, owner = await _stateless(service, body, caller)
    execution = await service.runner.start_stateless(run)
    await follow.settled_start(execution)
    return follow.stream(
        service,
        run,
        owner,
        execution,
        cancel_on_disconnect=True,
        headers=headers_of(run, stateless=True),
    )


@router.post("/runs")
async def create_stateless(body: StatelessRunCreate, service: ThreadsDep, caller: CallerDep) -> Response:
    if body.on_completion == "delete":
        raise ApiError(422, "on_completion: `delete` would delete the result; leave it out")
    run = await build(service, caller, body, str(uuid.uuid4()))
    owner = await allow(caller, run, thread_id=None)
    await service.runner.submit(run, owner, create_thread=True)
    return json(document(run), headers=headers_of(run))
