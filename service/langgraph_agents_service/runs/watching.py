"""Who reads along on a thread hears of every run that begins on it here, however short it is."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from langgraph_agents_service.runs.execution import Execution


@dataclass(slots=True, eq=False)
class Watch:
    executions: dict[str, Execution] = field(default_factory=dict)
    """Of the thread, by the ids of their runs: those that ran when the watch began, and those since."""
    news: asyncio.Event = field(default_factory=asyncio.Event)


REMEMBERED = 10_000
"""Runs whose ends this process knows to have been told, of the latest ones."""


class Watchers:
    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}
        self._told: dict[str, None] = {}

    def tell(self, run_id: str) -> None:
        """Somebody who asks for states alone has been told that this run has ended."""
        self._told[run_id] = None
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]

    def has_told(self, run_id: str) -> bool:
        return run_id in self._told

    def watched(self, thread_id: str) -> bool:
        """Whether somebody reads along on the thread here."""
        return thread_id in self._watches

    def enter(self, execution: Execution) -> None:
        for watch in self._watches.get(execution.run.thread_id, ()):
            watch.executions[execution.run.run_id] = execution
            watch.news.set()

    @contextmanager
    def watching(self, thread_id: str, running: list[Execution]) -> Iterator[Watch]:
        watch = Watch({e.run.run_id: e for e in running if e.run.thread_id == thread_id and not e.stateless})
        self._watches.setdefault(thread_id, set()).add(watch)
        try:
            yield watch
        finally:
            self._watches[thread_id].discard(watch)
            if not self._watches[thread_id]:
                del self._watches[thread_id]
