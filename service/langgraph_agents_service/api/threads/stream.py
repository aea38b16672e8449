"""The stream of a thread: what its runs say, one after the other, for as long as somebody reads along."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, get_args

import orjson
from fastapi import APIRouter, Header, Query, Response

from langgraph_agents_service.api import follow, states
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import Reader, ThreadId, ThreadsDep
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.persistence.registry.base import NotFoundError, Owner, Run, Thread, now
from langgraph_agents_service.runs.execution import Execution
from langgraph_agents_service.runs.wire import dumps, sse
from langgraph_agents_service.service import Service

router = APIRouter(prefix="/threads", tags=["threads"], route_class=StrictRoute, responses=ANSWERS)

Mode = Literal["run_modes", "lifecycle", "state_update"]

POLL_SECONDS = 0.5
"""How soon a run is heard of that begins on another process. One here is heard of at once."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a thread."""

    event: str
    data: bytes
    """JSON."""
    number: int
    """Rises with the runs that events are of."""
    seq: int
    """Rises within a run."""
    run: Run | None = None
    """None: it is of the thread itself."""
    last: bool = False
    """Whether the run is done."""

    @property
    def id(self) -> str:
        """To go on behind."""
        return f"{self.number}-{self.seq}"


@router.get("/{thread_id}/stream")
async def join_stream(
    thread_id: ThreadId,
    service: ThreadsDep,
    owner: Reader,
    stream_mode: Annotated[list[Mode] | None, Query()] = None,
    stream_modes: Annotated[str | None, Query(description="The same, between commas.")] = None,
    last_event_id: Annotated[str | None, Header(description="Go on behind this event.")] = None,
) -> Response:
    modes = {*(stream_mode or ()), *(stream_modes.split(",") if stream_modes else ())} or {"run_modes"}
    if unknown := sorted(modes - set(get_args(Mode))):
        raise ApiError(422, f"stream_modes: {', '.join(unknown)}: it is one of {', '.join(get_args(Mode))}")
    after = None
    if last_event_id:
        found = re.fullmatch(r"([0-9]{1,18})-([0-9]{1,18})", last_event_id)
        if not found:
            raise ApiError(422, "Last-Event-ID: it is not the id of an event of a thread")
        after = (int(found[1]), int(found[2]))
    thread = await service.registry.get_thread(thread_id, owner)
    events = told(service, owner, thread, after, state_updates="state_update" in modes)
    frames = (
        sse(event.event, event.data, event.id)
        async for event in events
        if _wanted(modes, event.event, event.data)
    )
    return follow.sse_response(follow.beating(frames))


def _wanted(modes: set[str], event: str, data: bytes) -> bool:
    if event == "state_update":
        return "state_update" in modes
    if "run_modes" in modes:
        return True
    if "lifecycle" not in modes or event != "metadata":
        return False
    told = orjson.loads(data)
    return bool(told.get("status") == "run_done" or {"attempt", "run_id"} <= told.keys())


async def told(
    service: Service,
    owner: Owner,
    thread: Thread,
    after: tuple[int, int] | None = None,
    *,
    past: Iterable[str] | None = None,
    state_updates: bool = False,
) -> AsyncIterator[Told]:
    """From the runs that are active on, or from the event that was seen last, or of all runs but those of the `past`.
    Ends when the thread goes, or the process does: the SDK comes again."""
    since = 0 if past is not None else after[0] if after else number_of(now())
    known = set(past or ())
    asked = set(known)
    changed = thread.state_updated_at
    with service.runner.watchers.watching(thread.thread_id, service.runner.running) as watch:
        while not service.health.draining:
            watch.news.clear()
            try:
                runs = await service.registry.list_runs(
                    thread.thread_id, owner, limit=50, offset=0, status=None
                )
                if not service.settings.process_role.executes:
                    await _ask_for_events(service, [run for run in runs if run.run_id not in asked])
                    asked.update(run.run_id for run in runs)
                due = [
                    run for run in reversed(runs) if run.run_id not in known and _is_due(run, since, after)
                ]
                for run in due:
                    known.add(run.run_id)
                    begin = after[1] if after and number_of(run.created_at) == after[0] else -1
                    async for event in _of_run(service, owner, run, watch.executions, begin):
                        yield event
                    watch.executions.pop(run.run_id, None)
                if state_updates:
                    thread = await service.registry.get_thread(thread.thread_id, owner)
                    if thread.state_updated_at != changed and not due and thread.status != "busy":
                        yield await _state_update(service, thread)
                    if thread.status != "busy":
                        changed = thread.state_updated_at
            except NotFoundError:
                return
            if not due:
                try:
                    await asyncio.wait_for(watch.news.wait(), POLL_SECONDS)
                except TimeoutError:
                    continue


async def _ask_for_events(service: Service, runs: Iterable[Run]) -> None:
    """Of runs that still wait: once one has begun on another process, its first events are gone."""
    for run in runs:
        if run.status == "pending":
            await service.registry.ask_for_events(run.run_id)


def _is_due(run: Run, since: int, after: tuple[int, int] | None) -> bool:
    if run.status == "pending":
        return False
    return number_of(run.created_at) >= since or (after is None and run.status.active)


async def _of_run(
    service: Service, owner: Owner, run: Run, executions: dict[str, Execution], begin: int
) -> AsyncIterator[Told]:
    number, seq = number_of(run.created_at), begin
    try:
        async for event in follow.events(service, run, owner, None, begin, find=executions.get):
            if event.event != "end":
                seq = event.seq
                yield Told(event.event, event.data, number, seq, run)
    except NotFoundError:
        await service.registry.get_thread(run.thread_id, owner)  # the run was undone, or all is gone
    done = dumps({"status": "run_done", "run_id": run.run_id})
    yield Told("metadata", done, number, seq + 1, run, last=True)


async def _state_update(service: Service, thread: Thread) -> Told:
    graph = await states.graph_of(service, thread)
    config = states.config_of(thread.thread_id)
    state = states.document(await graph.aget_state(config)) if graph else states.empty(thread.thread_id)
    data = dumps({"state": state, "thread_id": thread.thread_id})
    return Told("state_update", data, number_of(thread.state_updated_at), 0)


def number_of(moment: datetime) -> int:
    """Microseconds since 1970. The ids of events rise with the runs that they are of."""
    return int(moment.timestamp() * 1_000_000)
