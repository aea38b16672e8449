"""Delivers webhooks until their receivers have them: each at least once, with the same `webhook-id` each time."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from langgraph_agents_service.observability import metrics
from langgraph_agents_service.persistence.database import TRANSIENT
from langgraph_agents_service.persistence.outbox.base import Ended, Outbox
from langgraph_agents_service.persistence.registry.base import Json
from langgraph_agents_service.projects.webhooks import Webhooks
from langgraph_agents_service.runs.documents import document
from langgraph_agents_service.runs.wire import dumps
from langgraph_agents_service.webhooks.sending import SEND_SECONDS, NotDeliveredError, Sender

LOOK_SECONDS = 0.5
AT_ONCE = 20
"""So many are being sent by one process at most."""

HOLD_SECONDS = 4 * SEND_SECONDS
"""A process that has not said by then what became of a webhook has died: another one sends it."""

PAUSES = (5, 20, 60, 300, 900, 3600, 7200, 14_400, 28_800)
"""Seconds between tries: ten tries within sixteen hours, close together at first."""

log = logging.getLogger(__name__)


class Deliveries:
    """The webhooks that one process delivers."""

    def __init__(self, outbox: Outbox, webhooks: Webhooks, secrets: Callable[[], tuple[str, ...]]) -> None:
        self._outbox = outbox
        self._webhooks = webhooks
        self._sender = Sender(webhooks.url, secrets)
        self._sending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Webhooks are delivered as long as this is open. What is on its way then is finished."""
        task = asyncio.create_task(self._keep_delivering())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            if self._sending:
                await asyncio.wait(self._sending, timeout=2)
            for unfinished in self._sending:
                unfinished.cancel()
            await self._sender.close()

    async def _keep_delivering(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                free = AT_ONCE - len(self._sending)
                taken = await self._outbox.take(free, hold_seconds=HOLD_SECONDS) if free else ()
                for ended in taken:
                    sending = asyncio.create_task(self._deliver(ended))
                    self._sending.add(sending)
                    sending.add_done_callback(self._sending.discard)
            except TRANSIENT as error:
                log.warning("webhooks wait for the database", extra={"error": type(error).__name__})
            except Exception:
                log.exception("webhooks were not looked for")

    async def _deliver(self, ended: Ended) -> None:
        extra = {"run_id": ended.run.run_id, "tries": ended.tries}
        try:
            await self._sender.send(ended.url, ended.identifier, self._body(ended), self._webhooks.filled())
        except NotDeliveredError as problem:
            extra |= {"reason": str(problem)}
            if problem.final or ended.tries > len(PAUSES):
                log.error("a webhook is given up", extra=extra)
                outcome, pause = "given_up", None
            else:
                log.warning("a webhook was not delivered", extra=extra)
                outcome, pause = "postponed", PAUSES[ended.tries - 1]
        except Exception:
            log.exception("a webhook could not be sent", extra=extra)
            outcome, pause = "postponed", PAUSES[-1]
        else:
            log.info("a webhook was delivered", extra=extra)
            outcome, pause = "delivered", None
        metrics.series(metrics.webhooks, outcome).inc()
        # Should this not be kept, it is sent again: at least once.
        with contextlib.suppress(*TRANSIENT):
            if pause is None:
                await self._outbox.done(ended.identifier)
            else:
                # Not all at once that failed at once.
                await self._outbox.later(ended.identifier, pause * random.uniform(0.8, 1.2))  # noqa: S311

    def _body(self, ended: Ended) -> bytes:
        told: Json = {
            **document(ended.run),
            "run_started_at": None,
            "run_ended_at": ended.run.updated_at,
            "values": None,
            **(ended.result or {}),
            "webhook_sent_at": datetime.now(UTC),
        }
        if ended.run.error:
            told["error"] = ended.run.error
        allowed = self._webhooks.allowed_fields
        return dumps(told if allowed is None else {name: told[name] for name in told if name in allowed})
