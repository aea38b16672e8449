"""Keeps what a graph does after the end of its run out of its thread, which others may be using by then."""

import threading
from contextvars import ContextVar

over: ContextVar[threading.Event | None] = ContextVar("over", default=None)
"""Set when the run is over to which the current task or thread belongs."""


class RunOverError(Exception):
    """The run has ended for everybody, and its graph went on."""


def check() -> None:
    """Raises RunOverError."""
    event = over.get()
    if event is not None and event.is_set():
        raise RunOverError("the run was stopped and has ended; what its graph does now is not kept")
