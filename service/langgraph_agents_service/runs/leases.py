"""Renews what a process holds its runs by, from a thread of its own: a node that blocks the event loop for longer than
a lease would have its run executed a second time otherwise, and block another process as well."""

import asyncio
import logging
import time
from concurrent.futures import Future

from langgraph_agents_service.configuration.settings import Settings
from langgraph_agents_service.persistence.background import BackgroundLoop
from langgraph_agents_service.persistence.registry.base import Registry
from langgraph_agents_service.runs.lag import Lag

MOST_SECONDS = 10.0
"""Between two renewals at most, so that what is kept for a minute (in Valkey) is renewed in time as well."""

log = logging.getLogger(__name__)


class Leases:
    """The leases of one process."""

    def __init__(self, settings: Settings, registry: Registry, background: BackgroundLoop) -> None:
        self._registry = registry
        self._background = background
        self._lease = settings.lease_seconds
        self._hold = registry.hold_seconds
        self._longest = settings.run_timeout_seconds
        self._renewed = time.monotonic()
        self._going: list[Future[None]] = []

    def open(self) -> None:
        """Renew from now on. To be called on the loop that executes runs."""
        self.renewed()
        lag = Lag()
        self._going = [self._background.start(lag.watch()), self._background.start(self._renew(lag))]

    def close(self) -> None:
        for going in self._going:
            going.cancel()

    def renewed(self) -> None:
        """A lease begins now."""
        self._renewed = time.monotonic()

    @property
    def over(self) -> bool:
        """Whether others may have taken up the runs of this process."""
        return time.monotonic() - self._renewed > self._hold

    async def _renew(self, lag: Lag) -> None:
        while True:
            await asyncio.sleep(min(self._lease / 5, MOST_SECONDS))
            if lag.seconds > self._longest:
                continue  # every run here is over its time, and the loop may never come back: let others have them
            try:
                # A connection that is silent is given up in time for another one.
                async with asyncio.timeout(self._lease / 3):
                    await self._registry.renew()
                self.renewed()
            except Exception as error:
                log.warning("leases are not renewed", extra={"error": type(error).__name__})
