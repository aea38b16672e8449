"""Keeps what a project's code raises from ending the process.

`sys.exit()` and KeyboardInterrupt leave a task and the event loop with it, whoever waits for them. In the tasks of a
run, LangGraph's and the project's own, they become an error like any other.
"""

import asyncio
from collections.abc import Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from langgraph_agents_service.access import callers
from langgraph_agents_service.persistence.registry.base import Run

T = TypeVar("T")

_executing: ContextVar[Run | None] = ContextVar("executing", default=None)
_tasks: WeakKeyDictionary["asyncio.Task[Any]", Run] = WeakKeyDictionary()
"""What each task that runs have started is a part of."""


class ProcessExitError(Exception):
    """Code of the project wanted to end the process."""


def install(loop: asyncio.AbstractEventLoop) -> None:
    """Guard the tasks that runs start on this loop from now on."""
    loop.set_task_factory(_task)


@contextmanager
def executing(run: Run) -> Iterator[None]:
    """Note that the current task, and those that it starts meanwhile, are the run's."""
    task = asyncio.current_task()
    token = _executing.set(run)
    if task is not None:
        _tasks[task] = run
    try:
        yield
    finally:
        _executing.reset(token)
        if task is not None:
            _tasks.pop(task, None)


def run_of(task: "asyncio.Task[Any] | None") -> Run | None:
    return _tasks.get(task) if task is not None else None


def translated(raised: BaseException) -> ProcessExitError:
    if isinstance(raised, SystemExit):
        return ProcessExitError(
            f"the graph called sys.exit({raised.code!r}); that ends its run and nothing else"
        )
    return ProcessExitError(f"the graph raised {type(raised).__name__}; that ends its run and nothing else")


def _task(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T],
    **options: Any,
) -> "asyncio.Task[T]":
    # Only what a run starts has a caller; the service's own tasks end the process if they want to.
    if callers.current.get() is not None and asyncio.iscoroutine(coroutine):
        coroutine = _guarded(coroutine)
    task = asyncio.Task(coroutine, loop=loop, **options)
    if (run := _executing.get()) is not None:
        _tasks[task] = run
    return task


async def _guarded(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt) as raised:
        raise translated(raised) from raised
