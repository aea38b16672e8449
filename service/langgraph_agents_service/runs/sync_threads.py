"""The threads that nodes and tools run in that are not async.

LangGraph hands them to the loop's default executor, which by itself has as many threads as processors and four more:
enough to compute, and far too few to wait.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from langgraph_agents_service.observability import metrics

T = TypeVar("T")


class SyncThreads(ThreadPoolExecutor):
    """Counts what executes and what waits for a thread. Threads are made when they are needed, and kept."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads, thread_name_prefix="sync")
        self._busy = metrics.series(metrics.sync_threads, "busy")
        self._waiting = metrics.series(metrics.sync_threads, "waiting")

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        begun = False

        def execute() -> T:
            nonlocal begun
            begun = True
            self._waiting.dec()
            self._busy.inc()
            try:
                return fn(*args, **kwargs)
            finally:
                self._busy.dec()

        def ended(_: Future[T]) -> None:
            if not begun:  # cancelled before there was a thread for it
                self._waiting.dec()

        self._waiting.inc()
        try:
            future = super().submit(execute)
        except BaseException:
            self._waiting.dec()
            raise
        future.add_done_callback(ended)
        return future
