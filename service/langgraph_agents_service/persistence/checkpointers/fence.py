"""Keeps out of a thread what a graph does when its run is over, or has been taken up by another process."""

import threading
from contextvars import ContextVar
from dataclasses import dataclass, field

from langgraph_agents_service.persistence.checkpointers.backlog import Backlog


@dataclass(frozen=True, slots=True)
class Fence:
    """Around what one attempt of a run may keep."""

    thread_id: str
    run_id: str
    worker_id: str | None
    """The process, where runs can be taken up by another one: what is kept has to find the run in its hands."""
    attempt: int
    over: threading.Event = field(compare=False, hash=False)
    """Set when the run has ended for everybody although its graph goes on."""
    backlog: Backlog = field(default_factory=Backlog, compare=False, hash=False)


current: ContextVar[Fence | None] = ContextVar("fence", default=None)
"""Of the run to which the current task or thread belongs."""


class RunOverError(Exception):
    """The run has ended for everybody, or goes on elsewhere, and its graph went on here."""

    def __init__(self) -> None:
        super().__init__(
            "the run has ended, or goes on in another process; what its graph does here is not kept"
        )


def check() -> None:
    """Raises RunOverError."""
    fence = current.get()
    if fence is not None and fence.over.is_set():
        raise RunOverError


def held(thread_id: str) -> Fence | None:
    """What has to hold when something is kept in a thread: None for what no attempt of a run of it does."""
    fence = current.get()
    return fence if fence and fence.worker_id and fence.thread_id == thread_id else None
