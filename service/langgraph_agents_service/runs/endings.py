"""What is left of a run that is undone, or whose thread was only its own."""

import asyncio
import logging

from langgraph_agents_service.persistence.checkpointers import threads
from langgraph_agents_service.persistence.registry.base import (
    NotFoundError,
    Owner,
    Registry,
    Run,
    ThreadBusyError,
)
from langgraph_agents_service.runs.driver import Driver

TEMPORARY_SECONDS = 60.0
"""How long a thread that only its run was for stays after the run, for who waits for it on another process."""

TEMPORARY_MINUTES = 60.0
"""When such a thread goes whose process has ended before."""

log = logging.getLogger(__name__)


class Endings:
    """Removes what runs of this process leave."""

    def __init__(self, registry: Registry, driver: Driver) -> None:
        self._registry = registry
        self._driver = driver
        self._tasks: set[asyncio.Task[None]] = set()

    async def undo(self, run: Run) -> None:
        """Delete a run of this process and all that it wrote, so that its thread is as it was before."""
        if self._driver.saver is not None:
            await threads.forget_run(self._driver.saver, run.thread_id, run.run_id)
        if not await self._registry.undo(run):
            log.warning("another process holds this run by now, and undoes it")

    def forget_later(self, run: Run) -> None:
        task = asyncio.create_task(self._forget(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _forget(self, run: Run) -> None:
        await asyncio.sleep(TEMPORARY_SECONDS)
        try:
            if self._driver.saver is not None:
                await self._driver.saver.adelete_thread(run.thread_id)
            await self._registry.delete_thread(run.thread_id, Owner(run.owner))
        except (NotFoundError, ThreadBusyError):
            return
        except Exception as error:
            log.warning("the thread of a run stays", extra={"error": type(error).__name__})
