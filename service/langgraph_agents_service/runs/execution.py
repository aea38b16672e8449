"""One run while it executes: its events for those who read along, and its outcome for those who wait."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from langgraph_agents_service.persistence.checkpointers.backlog import Backlog
from langgraph_agents_service.persistence.registry.base import ATTEMPT_STRIDE, Json, Run, RunStatus
from langgraph_agents_service.runs.events import Events

STOP_SECONDS = 10.0
"""How long a graph that is stopped may take to clean up behind itself."""


class Stop(Enum):
    """Why a run is stopped before its end."""

    CANCEL = auto()
    """Somebody asked for it."""
    ROLLBACK = auto()
    """Somebody asked for it, and for what it did to be undone."""
    DRAIN = auto()
    """The process ends; another one takes the run up."""
    LOST = auto()
    """Another process may have taken it up already."""
    TIMEOUT = auto()
    """It took longer than RUN_TIMEOUT_SECONDS."""


@dataclass(frozen=True, slots=True)
class Outcome:
    status: RunStatus | None
    """None: the run did not end here, and goes on elsewhere."""
    values: Any = None
    error: Json | None = None
    refused: bool = False
    """Whether the graph could not take the input, before any step."""
    unavailable: bool = False
    """Whether the checkpointer's server was away."""


class Execution:
    """A run in this process. A stateless one has no thread, no checkpoints and no entry in the registry."""

    def __init__(
        self,
        run: Run,
        *,
        buffer_bytes: int,
        stateless: bool = False,
        left: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self.run = run
        self.stateless = stateless
        self.left = left
        """Tells whether the client has left to whom alone the run is of use."""
        self.fed = False
        """Whether the graph has been given the input."""
        self.waits = False
        """Whether the graph stopped before its end, for an answer or at a breakpoint."""
        self.settling = False
        """Whether the run has ended, and only its entry in the registry is still to be written."""
        self.started = asyncio.Event()
        """Set when the graph has accepted the input, or the run has ended."""
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None
        self.stopped: Stop | None = None
        self.over = threading.Event()
        """Set when nothing that the graph still does may be kept."""
        self.backlog = Backlog()
        self.outlived = False
        """Whether the run has ended for everybody although its graph goes on."""
        self.overdue: Callable[[Execution], None] = lambda _: None
        """Called once then."""
        self.began = time.perf_counter()
        self.events = Events(run.attempt * ATTEMPT_STRIDE, buffer_bytes)

    def stop(self, why: Stop) -> None:
        """Stop the run; its task ends by itself soon after, unless the graph swallows it: see `insist`."""
        if self.stopped is None and self.task is not None and not self.settling:
            self.stopped = why
            self.task.cancel()
            asyncio.get_running_loop().call_later(STOP_SECONDS, self.insist)

    def insist(self) -> None:
        """End the run for everybody although its graph goes on, and cancel that again until it gives in."""
        if self.task is None or self.task.done() or (self.settling and not self.outlived):
            return
        if not self.outlived:
            self.outlived = True
            self.over.set()
            self.overdue(self)
        self.task.cancel()
        asyncio.get_running_loop().call_later(STOP_SECONDS, self.insist)

    def publish(self, event: str, data: bytes) -> None:
        if not self.outcome.done():
            self.events.add(event, data)

    def end(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)
        self.started.set()
        self.events.ended = True
        self.events.wake()
