"""Following a run to its end, wherever it executes: here, on another process, or not yet."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

from fastapi import Response
from fastapi.responses import StreamingResponse

from langgraph_agents_service.api import states
from langgraph_agents_service.api.errors import RETRY_AFTER, ApiError
from langgraph_agents_service.persistence.registry.base import Event, NotFoundError, Owner, Run, RunStatus
from langgraph_agents_service.runs.driver import with_interrupts
from langgraph_agents_service.runs.execution import Execution, Outcome, Stop
from langgraph_agents_service.runs.runner import UNAVAILABLE
from langgraph_agents_service.runs.wire import dumps, sse
from langgraph_agents_service.service import Service

REMOTE_POLL_SECONDS = 0.25
"""How often a process looks how far a run on another process has got."""

QUICK_SECONDS = 1.0
"""An answer within this time is a plain one. After it, headers go out and blanks keep the connection alive, so
that a client whose server dies meanwhile knows where to ask again: the Location header."""

KEEPALIVE_SECONDS = 10.0

Item = TypeVar("Item")

log = logging.getLogger(__name__)


async def outcome(service: Service, run: Run, owner: Owner, execution: Execution | None) -> Outcome:
    """Wait until the run has ended anywhere. Raises NotFoundError if it is deleted meanwhile."""
    waited = False
    while True:
        execution = execution or service.runner.find(run.run_id)
        if execution is not None:
            found = await asyncio.shield(execution.outcome)
            if found.status is not None:
                return found
            execution = None  # it goes on elsewhere
        run = await service.registry.get_run(run.thread_id, run.run_id, owner)
        if not run.status.active:
            # What is left of a run that failed is not asked for, and its graph may be what cannot be made. Who waits
            # for one that is stopped gets nothing; who comes later, how far it got.
            stopped = waited and run.status is RunStatus.INTERRUPTED
            values = None if run.error or stopped else await _last_values(service, run)
            refused = bool(run.error and run.error.get("refused"))
            return Outcome(run.status, values, run.error, refused=refused)
        waited = True
        if _leaving(service):
            return Outcome(None)
        await asyncio.sleep(REMOTE_POLL_SECONDS)


def _leaving(service: Service) -> bool:
    """Whether nobody should go on following runs here: the process drains, and has none of its own that could end. One
    that executes none has nothing but those of others, and follows them for as long as it drains."""
    if not service.settings.process_role.executes:
        return service.runner.closed
    return service.health.draining and not service.runner.running


async def _last_values(service: Service, run: Run) -> Any:
    graph = service.graphs.find(run.graph_id)
    if graph is None:
        return None
    config = states.config_of(run.thread_id)
    compiled = await service.runner.driver.compiled(graph, config)
    snapshot = await compiled.aget_state(config)
    if service.saver is not None and (snapshot.metadata or {}).get("run_id") not in (None, run.run_id):
        # Another run of the thread has gone on from there.
        own: Any = {"run_id": run.run_id}
        async for last in service.saver.alist(config, filter=own, limit=1):
            snapshot = await compiled.aget_state(last.config)
    return with_interrupts(snapshot.values, snapshot.interrupts)


async def events(
    service: Service,
    run: Run,
    owner: Owner,
    execution: Execution | None,
    after: int,
    *,
    find: Callable[[str], Execution | None] | None = None,
) -> AsyncIterator[Event]:
    """The run's events after number `after`, from this process or as another one recorded them. `find`: for who knows
    of more executions than those that are under way.

    Ends when the run has ended, or early when this process lets go of it; `end` comes only in the first case.
    """
    local = execution is not None
    find = find or service.runner.find
    while True:
        execution = execution or find(run.run_id)
        if execution is not None:
            local = True
            while execution.events.misses(after) and execution.run.record_events:
                recorded = await service.registry.read_events(run.run_id, after)
                for event in recorded:
                    after = event.seq
                    yield event
                if not recorded:
                    break
            async for event in execution.events.read(after):
                after = event.seq
                yield event
            found = await asyncio.shield(execution.outcome)
            if found.status is None and service.health.draining:
                return
            if found.status is not None:
                break
            execution = None
        run = await service.registry.get_run(run.thread_id, run.run_id, owner)
        if run.status.active:
            await service.registry.ask_for_events(run.run_id)
        recorded = await service.registry.read_events(run.run_id, after)
        for event in recorded:
            after = event.seq
            yield event
        if not run.status.active and not recorded:
            if not local and find(run.run_id):
                continue  # it began and ended here meanwhile
            if not local and after < 0:
                async for event in _epilogue(service, run):
                    yield event
            break
        if _leaving(service):
            return
        await asyncio.sleep(0 if recorded else REMOTE_POLL_SECONDS)
    yield Event(after + 1, "end", b"null")


async def _epilogue(service: Service, run: Run) -> AsyncIterator[Event]:
    """What is left to say of a run that has ended and whose events nobody recorded."""
    if run.error:
        yield Event(0, "error", dumps(run.error))
    else:
        yield Event(0, "values", dumps(await _last_values(service, run)))


def stream(
    service: Service,
    run: Run,
    owner: Owner,
    execution: Execution | None,
    *,
    after: int = -1,
    cancel_on_disconnect: bool = False,
    headers: dict[str, str],
) -> Response:
    """Server-sent events of the run."""

    async def frames() -> AsyncIterator[bytes]:
        async for event in events(service, run, owner, execution, after):
            number = None if execution and execution.stateless else event.seq
            yield sse(event.event, event.data, number)

    async def body() -> AsyncIterator[bytes]:
        ended = False
        try:
            async for frame in beating(frames()):
                yield frame
            ended = True
        except Exception as error:  # the status line is long gone: end the stream, and the client asks again
            log.warning("a stream broke off", extra={"error": type(error).__name__})
        finally:
            if not ended and cancel_on_disconnect:
                _cancel_soon(service, run, owner, execution)

    return sse_response(body(), headers)


def sse_response(body: AsyncIterator[bytes], headers: Mapping[str, str] | None = None) -> StreamingResponse:
    """Server-sent events, which nothing in between may keep or hold back."""
    return StreamingResponse(
        body,
        media_type="text/event-stream",
        headers={**(headers or {}), "Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def beating(frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Server-sent events, and a comment for each KEEPALIVE_SECONDS in which none comes."""
    async for frame in alive(frames):
        yield b": heartbeat\r\n\r\n" if frame is None else frame


async def alive(source: AsyncIterator[Item]) -> AsyncIterator[Item | None]:
    """What comes from a source, and None for each KEEPALIVE_SECONDS in which nothing does."""
    pending: asyncio.Future[Item] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(_next(source))
            done, _ = await asyncio.wait([pending], timeout=KEEPALIVE_SECONDS)
            if not done:
                yield None
                continue
            try:
                item = pending.result()
            except StopAsyncIteration:
                return
            pending = None
            yield item
    finally:
        if pending is not None:
            pending.cancel()


async def _next(source: AsyncIterator[Item]) -> Item:
    return await anext(source)


async def wait(
    service: Service,
    run: Run,
    owner: Owner,
    execution: Execution | None,
    *,
    cancel_on_disconnect: bool = False,
    headers: dict[str, str],
) -> Response:
    """The last values of the run, once it has ended."""
    waiting = asyncio.ensure_future(outcome(service, run, owner, execution))
    await asyncio.wait([waiting], timeout=QUICK_SECONDS)
    if waiting.done():
        return plain(waiting.result(), headers)

    async def body() -> AsyncIterator[bytes]:
        try:
            while not waiting.done():
                yield b"\n"  # blanks may stand before JSON
                await asyncio.wait([waiting], timeout=KEEPALIVE_SECONDS)
            found = waiting.result()
            if found.status is None:
                raise ConnectionAbortedError("the run goes on elsewhere; its client asks at the Location")
            yield _answer(found)
        finally:
            if not waiting.done():
                waiting.cancel()
                if cancel_on_disconnect:
                    _cancel_soon(service, run, owner, execution)

    return StreamingResponse(body(), media_type="application/json", headers=headers)


def plain(found: Outcome, headers: dict[str, str]) -> Response:
    """An answer that has not begun yet, and so may still choose its status. Raises ApiError."""
    check(found)
    return Response(_answer(found), media_type="application/json", headers=headers)


def check(found: Outcome) -> None:
    """Raises ApiError for an outcome that is not the graph's own."""
    if found.refused:
        raise ApiError(422, f"the graph refuses this input: {(found.error or {}).get('message')}")
    if found.unavailable:
        raise ApiError(503, "the storage of threads does not answer; try again", RETRY_AFTER)
    if found.status is None:
        raise ApiError(503, "this process is shutting down; try again", RETRY_AFTER)


def _answer(found: Outcome) -> bytes:
    if found.error is not None:
        return dumps({"__error__": found.error})
    return dumps(found.values)


_cancelling: set[asyncio.Task[None]] = set()


def _cancel_soon(service: Service, run: Run, owner: Owner, execution: Execution | None) -> None:
    """Cancel in a task of its own: the one of the request is being cancelled itself, and may not wait any more."""

    async def cancel_it() -> None:
        try:
            await stop(service, run, owner, Stop.CANCEL, execution)
        except (NotFoundError, *UNAVAILABLE) as error:
            log.warning("a run whose client left goes on", extra={"error": type(error).__name__})

    task = asyncio.create_task(cancel_it())
    _cancelling.add(task)
    task.add_done_callback(_cancelling.discard)


async def gone(service: Service, run: Run, owner: Owner) -> None:
    """Wait until the run is not there any more."""
    with contextlib.suppress(NotFoundError):
        while True:
            await service.registry.get_run(run.thread_id, run.run_id, owner)
            await asyncio.sleep(REMOTE_POLL_SECONDS)


async def stop(
    service: Service, run: Run, owner: Owner, why: Stop, execution: Execution | None = None
) -> bool:
    """Have a run cancelled or undone. That is recorded first, and so holds although the process dies that executes the
    run. False: it has ended already."""
    execution = execution or service.runner.find(run.run_id)
    if execution is None or not execution.stateless:
        undo = why is Stop.ROLLBACK
        if not await service.registry.cancel_runs(
            owner, thread_id=run.thread_id, run_ids=[run.run_id], rollback=undo
        ):
            return False
    if execution is not None:
        execution.stop(why)
    return True


async def settled_start(execution: Execution | None) -> None:
    """Wait until the graph has taken the input, so that a refusal still has its own status."""
    if execution is None:
        return
    execution.events.expect()
    await execution.started.wait()
    if execution.outcome.done():
        found = execution.outcome.result()
        if found.refused:
            raise ApiError(422, f"the graph refuses this input: {(found.error or {}).get('message')}")
