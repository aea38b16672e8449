"""The places of a process for runs, and how many of them one caller may have."""

import asyncio
from collections import Counter

from langgraph_agents_service.configuration.settings import Settings
from langgraph_agents_service.persistence.registry.base import Run


class OverloadedError(Exception):
    """No place became free in QUEUE_TIMEOUT_SECONDS, or the process is about to end."""


class CrowdedError(Exception):
    """The caller has, or waits for, as many places as MAX_CONCURRENT_RUNS_PER_CALLER says."""


class Places:
    """As many as MAX_CONCURRENT_RUNS. Whoever waits for one is counted as if they had it, so that nobody can be kept
    waiting behind one caller's queue."""

    def __init__(self, settings: Settings) -> None:
        self._free = asyncio.Semaphore(settings.max_concurrent_runs)
        self._most = settings.max_concurrent_runs_per_caller
        self._patience = settings.queue_timeout_seconds
        self._held: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        return self._free.locked()

    async def ask(self, run: Run) -> None:
        """Take a place for a run whose client waits. Raises CrowdedError and OverloadedError."""
        if self._most and self._held[_caller(run)] >= self._most:
            raise CrowdedError
        try:
            if self.full:
                async with asyncio.timeout(self._patience):
                    await self.take(run)
            else:
                await self.take(run)
        except TimeoutError:
            raise OverloadedError from None

    async def take(self, run: Run) -> None:
        """Take a place for a run that nobody waits for."""
        self._held[_caller(run)] += 1
        try:
            await self._free.acquire()
        except BaseException:
            self._forget(run)
            raise

    def give(self, run: Run) -> None:
        self._forget(run)
        self._free.release()

    def _forget(self, run: Run) -> None:
        caller = _caller(run)
        self._held[caller] -= 1
        if not self._held[caller]:
            del self._held[caller]


def _caller(run: Run) -> str:
    """A key, or a user of the project's own authentication."""
    user = run.payload.get("user") or {}
    return f"{run.owner} {user.get('identity', '')}"
