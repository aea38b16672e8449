"""The events of a thread in LangGraph's event streaming protocol, as `client.threads.stream` subscribes to them."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from fastapi import APIRouter, Response

from langgraph_agents_service.api import follow
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import Reader, ThreadId, ThreadsDep
from langgraph_agents_service.api.errors import ANSWERS
from langgraph_agents_service.api.threads.stream import told
from langgraph_agents_service.api.threads.telling import Event, Subscription, Telling, first_seq
from langgraph_agents_service.persistence.registry.base import (
    NotFoundError,
    Owner,
    Run,
    RunStatus,
    Thread,
    ThreadStatus,
    now,
)
from langgraph_agents_service.runs.protocol import PROTOCOL
from langgraph_agents_service.runs.wire import dumps, sse
from langgraph_agents_service.service import Service

router = APIRouter(prefix="/threads", tags=["threads"], route_class=StrictRoute, responses=ANSWERS)


JUST_NOW = timedelta(seconds=5)
"""How long after the end of a run its client may come for it, if no stream of states alone was told of it here."""


@router.post("/{thread_id}/stream/events")
async def stream(thread_id: ThreadId, body: Subscription, service: ThreadsDep, owner: Reader) -> Response:
    thread = await service.registry.get_thread(thread_id, owner)
    return follow.sse_response(_body(events(service, owner, thread, body)))


async def _body(wanted: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    yield b": open\r\n\r\n"  # so that clients have the headers at once, whatever stands between
    async for frame in follow.beating(
        sse(event["method"], dumps(event), event["seq"]) async for event in wanted
    ):
        yield frame


async def events(
    service: Service, owner: Owner, thread: Thread, wanted: Subscription
) -> AsyncIterator[Event]:
    """What is wanted of the thread's runs, each from its beginning; they say in which order by `seq`."""
    runs = await service.registry.list_runs(thread.thread_id, owner, limit=50, offset=0, status=None)
    # After its runs: one that ends in between is among them, and one that ended before is known to wait for an answer.
    thread = await service.registry.get_thread(thread.thread_id, owner)
    begin = _begin(service, thread, runs, wanted)
    # By their ids: the clocks of processes differ.
    past = [run.run_id for run in runs if begin is None or run.created_at < begin.created_at]
    tellings: dict[str, Telling] = {}
    last = wanted.since or 0
    async for said in told(service, owner, thread, past=past):
        if said.run is None:
            continue
        telling = tellings.setdefault(said.run.run_id, Telling(said.run))
        if said.last:
            del tellings[said.run.run_id]
            if wanted.states_alone:
                service.runner.watchers.tell(said.run.run_id)
            found = telling.end(await _status(service, owner, said.run))
        else:
            found = telling.of(said.event, said.data)
        for event in found:
            if event["seq"] > last and wanted.wants(event):
                yield event


def _begin(service: Service, thread: Thread, runs: Sequence[Run], wanted: Subscription) -> Run | None:
    """The run whose events come first, of the newest `runs`; None: one that is still to come.

    Who was here goes on in the run of what was seen last. Who is new begins with the runs that are active, or with the
    last one. If that has ended, who asks for nothing but states of runs hears of it only if it waits for an answer, or
    if it is theirs: clients take the end of a run for the end of the one that they start next, and those that have just
    started one come for its end after it, if it is short. A client has a stream of states beside others: that the end
    was told on one of those says nothing of it.
    """
    if wanted.since is not None:
        seen = [run for run in runs if first_seq(run) < wanted.since]
        return seen[0] if seen else (runs[-1] if runs else None)
    active = [run for run in runs if run.status.active]
    if active:
        return active[-1]
    if not runs:
        return None
    last = runs[0]
    is_theirs = (
        PROTOCOL in last.payload["stream_mode"]
        and now() - last.updated_at < JUST_NOW
        and not service.runner.watchers.has_told(last.run_id)
    )
    return last if not wanted.states_alone or is_theirs or thread.status is ThreadStatus.INTERRUPTED else None


async def _status(service: Service, owner: Owner, run: Run) -> RunStatus:
    """A run that was undone is one that was stopped."""
    try:
        return (await service.registry.get_run(run.thread_id, run.run_id, owner)).status
    except NotFoundError:
        return RunStatus.INTERRUPTED
