"""How late the event loop of the service is: a node that blocks it stops every run of the process, and its probes.

The loop is watched from another one, because it cannot see that it stands still.
"""

import asyncio
import logging
import sys
import threading
import time
from contextlib import suppress

from langgraph_agents_service.observability import metrics
from langgraph_agents_service.runs import guard

INTERVAL_SECONDS = 0.25
"""How often the loop is asked."""

BLOCKED_SECONDS = 1.0
"""How long it may take to answer before it counts as blocked: far above the turns of a busy loop."""

log = logging.getLogger(__name__)


class Lag:
    """Watches the loop that it is made on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self.seconds = 0.0
        """How long the loop has not answered by now, once that is longer than BLOCKED_SECONDS; 0 when it answers."""

    async def watch(self) -> None:
        """Measure until cancelled. To be run on another loop."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            metrics.loop_lag.observe(await self._measured())
            self.seconds = 0.0

    async def _measured(self) -> float:
        """Seconds until the loop answers."""
        asked = time.monotonic()
        answered = asyncio.Event()
        self._loop.call_soon_threadsafe(asyncio.get_running_loop().call_soon_threadsafe, answered.set)
        if not await _within(BLOCKED_SECONDS, answered):
            blocked = metrics.series(metrics.loop_blocked, self._told())
            counted = 0.0
            while not answered.is_set():
                await _within(INTERVAL_SECONDS, answered)
                self.seconds = time.monotonic() - asked
                blocked.inc(self.seconds - counted)  # so that it is seen while it lasts
                counted = self.seconds
        return time.monotonic() - asked

    def _told(self) -> str:
        """Log who blocks the loop; returns its graph, or an empty text if it is none."""
        run = guard.run_of(asyncio.current_task(self._loop))
        frame = sys._current_frames().get(self._thread)
        at = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}" if frame else ""
        if run is None:
            log.warning("the event loop is blocked", extra={"at": at})
            return ""
        log.warning(
            "a graph blocks the event loop", extra={"graph": run.graph_id, "run_id": run.run_id, "at": at}
        )
        return run.graph_id


async def _within(seconds: float, event: asyncio.Event) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
