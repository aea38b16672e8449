"""Runs: create, wait for, stream, join and cancel them."""

import contextlib
import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response

from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api import follow, states
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import (
    CallerDep,
    Deleter,
    Reader,
    RunId,
    Searcher,
    ServiceDep,
    ThreadId,
    ThreadsDep,
    Updater,
    find_graph,
)
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.schemas import (
    Checkpoint,
    Limit,
    Offset,
    Question,
    RunCreate,
    StatelessRunCreate,
)
from langgraph_agents_service.api.threads import json
from langgraph_agents_service.persistence.registry.base import NotFoundError, Owner, Run, RunStatus
from langgraph_agents_service.runs.execution import Execution
from langgraph_agents_service.service import Service

router = APIRouter(tags=["runs"], route_class=StrictRoute, responses=ANSWERS)


def new(service: Service, body: Question, assistant_id: str, thread_id: str, **more: Any) -> Run:
    """A run of what a request asks, with `more` of its payload. Raises ApiError for what it must not ask."""
    graph = find_graph(service, assistant_id)
    limit = service.settings.max_iterations
    if (body.config.recursion_limit or 0) > limit:
        raise ApiError(
            422, f"config.recursion_limit: {body.config.recursion_limit} is above MAX_ITERATIONS={limit}"
        )
    return Run(
        run_id=str(uuid.uuid4()),
        thread_id=thread_id,
        assistant_id=graph.assistant_id,
        graph_id=graph.graph_id,
        multitask_strategy=service.settings.multitask_strategy.value,
        payload={
            "input": body.input,
            "command": body.command.model_dump(mode="json") if body.command else None,
            "config": body.config.model_dump(mode="json"),
            **more,
        },
    )


def build(service: Service, body: RunCreate, thread_id: str) -> Run:
    """The run that a request describes. Raises ApiError for what it must not ask."""
    checkpoint = None
    if named := _checkpoint(body):
        checkpoint = {"checkpoint_ns": named.checkpoint_ns, "checkpoint_id": str(named.checkpoint_id)}
    run = new(
        service,
        body,
        body.assistant_id,
        thread_id,
        context=body.context,
        checkpoint=checkpoint,
        stream_mode=body.modes,
        stream_subgraphs=body.stream_subgraphs,
        interrupt_before=body.interrupt_before,
        interrupt_after=body.interrupt_after,
        durability=body.durability,
    )
    run.metadata = body.metadata
    run.record_events = body.stream_resumable
    if body.multitask_strategy:
        run.multitask_strategy = (
            "enqueue" if body.multitask_strategy == "interrupt" else body.multitask_strategy
        )
    return run


def _checkpoint(body: RunCreate) -> Checkpoint | None:
    if body.checkpoint_id is not None:
        return Checkpoint(checkpoint_id=body.checkpoint_id)
    return body.checkpoint if body.checkpoint and body.checkpoint.checkpoint_id else None


async def allow(caller: Caller, run: Run, *, thread_id: str | None, if_not_exists: str = "reject") -> Owner:
    """Ask whether the caller may create this run, and let it travel on the caller's behalf. The project's handlers may
    change the run's metadata and config. Raises RefusedError."""
    run.owner = caller.owner
    if user := caller.travels():
        run.payload["user"] = user
    if caller.configurable:
        config = run.payload["config"]
        config["configurable"] = {**(config.get("configurable") or {}), **caller.configurable}
    asked: dict[str, Any] = {
        "thread_id": uuid.UUID(thread_id) if thread_id else None,
        "assistant_id": uuid.UUID(run.assistant_id),
        "run_id": uuid.UUID(run.run_id),
        "status": "pending",
        "metadata": run.metadata,
        "prevent_insert_if_inflight": run.multitask_strategy == "reject",
        "multitask_strategy": run.multitask_strategy,
        "if_not_exists": if_not_exists,
        "after_seconds": 0,
        "kwargs": {name: value for name, value in run.payload.items() if name != "user"},
    }
    owner = await caller.may("threads", "create_run", asked)
    run.metadata = asked["metadata"]
    run.payload |= asked["kwargs"]
    return owner


async def _prepare(service: Service, caller: Caller, body: RunCreate, thread_id: str) -> tuple[Run, Owner]:
    run = build(service, body, thread_id)
    owner = await allow(caller, run, thread_id=thread_id, if_not_exists=body.if_not_exists)
    if named := _checkpoint(body):
        await service.registry.get_thread(thread_id, owner)
        await states.require_checkpoint(service, thread_id, named)
    if body.multitask_strategy == "interrupt":
        with contextlib.suppress(NotFoundError):
            await service.registry.cancel(thread_id, None, owner)
    return run, owner


def headers_of(run: Run, *, stateless: bool = False) -> dict[str, str]:
    """Where a client that was cut off asks again."""
    if stateless:
        return {"Content-Location": f"/runs/{run.run_id}"}
    return {"Content-Location": f"/threads/{run.thread_id}/runs/{run.run_id}"}


async def _settled_start(execution: Execution | None) -> None:
    """Wait until the graph has taken the input, so that a refusal still has its own status."""
    if execution is None:
        return
    await execution.started.wait()
    if execution.outcome.done():
        found = execution.outcome.result()
        if found.refused:
            raise ApiError(422, f"the graph refuses this input: {(found.error or {}).get('message')}")


@router.post("/threads/{thread_id}/runs")
async def create(thread_id: ThreadId, body: RunCreate, service: ThreadsDep, caller: CallerDep) -> Response:
    run, owner = await _prepare(service, caller, body, thread_id)
    await service.runner.submit(run, owner, create_thread=body.if_not_exists == "create")
    return Response(json(follow.document(run)).body, media_type="application/json", headers=headers_of(run))


@router.post("/threads/{thread_id}/runs/wait")
async def wait(thread_id: ThreadId, body: RunCreate, service: ThreadsDep, caller: CallerDep) -> Response:
    run, owner = await _prepare(service, caller, body, thread_id)
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
    run, owner = await _prepare(service, caller, body, thread_id)
    execution = await service.runner.start(run, owner, create_thread=body.if_not_exists == "create")
    await _settled_start(execution)
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
) -> Response:
    runs = await service.registry.list_runs(thread_id, owner, limit=limit, offset=offset, status=status)
    return json([follow.document(run) for run in runs])


@router.get("/threads/{thread_id}/runs/{run_id}")
async def get(thread_id: ThreadId, run_id: RunId, service: ThreadsDep, owner: Reader) -> Response:
    return json(follow.document(await service.registry.get_run(thread_id, run_id, owner)))


@router.delete("/threads/{thread_id}/runs/{run_id}", status_code=204)
async def delete(thread_id: ThreadId, run_id: RunId, service: ThreadsDep, owner: Deleter) -> None:
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
    action: Annotated[Literal["interrupt"], Query(description="`rollback` is not supported.")] = "interrupt",
) -> Response:
    run = await service.registry.get_run(thread_id, run_id, owner)
    if not run.status.active:
        raise ApiError(409, f"the run has ended with status {run.status}; there is nothing to cancel")
    await follow.cancel(service, run, owner, service.runner.find(run_id))
    if wait:
        return await follow.wait(service, run, owner, None, headers={})
    return Response(status_code=202)


# Runs without a thread: the first two are gone once they are answered, the third keeps a thread of its own.


async def _stateless(service: Service, body: StatelessRunCreate, caller: Caller) -> tuple[Run, Owner]:
    if _checkpoint(body) or body.command:
        raise ApiError(422, "a run without a thread has no checkpoint to go on from; name its thread")
    if body.on_completion == "keep":
        raise ApiError(422, "on_completion: nothing is kept of a run without a thread; name a thread")
    run = build(service, body, str(uuid.uuid4()))
    run.record_events = False
    return run, await allow(caller, run, thread_id=None)


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
    await _settled_start(execution)
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
    run = build(service, body, str(uuid.uuid4()))
    owner = await allow(caller, run, thread_id=None)
    await service.runner.submit(run, owner, create_thread=True)
    return Response(json(follow.document(run)).body, media_type="application/json", headers=headers_of(run))
