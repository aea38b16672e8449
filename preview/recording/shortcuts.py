"""What the SDK does for each registration, dependency and value, without what makes a thousand agents slow.

What is decided stays as the SDK decides it. The names are not promised; tests/preview/recording/test_shortcuts.py
fails when they go.
"""

import asyncio
from asyncio import tasks
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pulumi
from pulumi.runtime import known_types, rpc

_DEPENDENCY = "declare_dependency"
_UNKNOWNS = "contains_unknowns"
# More than a small stack has, so that it is recorded as the SDK would run it.
_PORTION = 500


@contextmanager
def shortcuts() -> Iterator[None]:
    """While it lasts, these functions of the SDK are replaced."""
    originals = {name: getattr(rpc, name) for name in (_DEPENDENCY, _UNKNOWNS)}
    setattr(rpc, _DEPENDENCY, _declaring(originals[_DEPENDENCY]))
    setattr(rpc, _UNKNOWNS, contains_unknowns)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(rpc, name, original)


def _declaring(original: Callable[..., bool]) -> Callable[..., bool]:
    """Whether a dependency closes no circle.

    The SDK walks all that the other resource depends on. Where every agent waits for the cache, and the cache for the
    logins of all agents, that takes the square of their number. But a resource that has its URN waits for nothing any
    more, so no way leads from it to one that is still being registered.
    """

    def declare(from_resource: pulumi.Resource, to_resource: pulumi.Resource) -> bool:
        return to_resource.urn._data.done() or original(from_resource, to_resource)

    return declare


def contains_unknowns(value: Any) -> bool:
    """Whether something within ``value`` is not known yet.

    The SDK's has an inner function that refers to itself. Each call leaves it to the garbage collector, which is most
    of what that has to do in a recording.
    """
    seen: set[int] = set()
    left = [value]
    while left:
        value = left.pop()
        if known_types.is_unknown(value):
            return True
        if isinstance(value, dict | list) and id(value) not in seen:
            seen.add(id(value))
            # Not `values()`: a provider's types are dicts, and may have a property of that name.
            left.extend([value[key] for key in value] if isinstance(value, dict) else value)
    return False


class Portions:
    """Works off what a program has begun whenever that is a portion, and not all of it at the program's end.

    Each registration is a dozen tasks. Those of a thousand agents at once are four times the memory, and every step of
    each finds its objects gone from the processor's caches.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._working = False

    def begun(self) -> None:
        """A registration has begun. Called in the program, which goes on when this returns."""
        self._begun += 1
        if self._begun < _PORTION or self._working:
            return
        loop: Any = asyncio.get_running_loop()
        task = asyncio.current_task()
        self._begun, self._working = 0, True
        # The program's task stands still meanwhile, and a loop runs one task at a time.
        if task is not None:
            tasks._leave_task(loop, task)
        try:
            while loop._ready:
                loop._run_once()
        finally:
            if task is not None:
                tasks._enter_task(loop, task)
            self._working = False
