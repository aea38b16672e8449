"""Keeps what a project's code raises from ending the process.

`sys.exit()` and KeyboardInterrupt leave a task and the event loop with it, whoever waits for them. In the tasks of a
run, LangGraph's and the project's own, they become an error like any other.
"""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

from langgraph_agents_service.access import callers

T = TypeVar("T")


class ProcessExitError(Exception):
    """Code of the project wanted to end the process."""


def install(loop: asyncio.AbstractEventLoop) -> None:
    """Guard the tasks that runs start on this loop from now on."""
    loop.set_task_factory(_task)


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
    return asyncio.Task(coroutine, loop=loop, **options)


async def _guarded(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt) as raised:
        raise translated(raised) from raised
