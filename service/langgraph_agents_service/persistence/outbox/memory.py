"""Webhooks in the memory of the process whose runs they tell of: they are lost with it, as its runs are."""

import json
import time
import uuid
from collections.abc import Sequence
from copy import copy
from dataclasses import replace

from langgraph_agents_service.persistence.outbox.base import Ended
from langgraph_agents_service.persistence.registry.base import Run


class MemoryOutbox:
    """See Outbox in base.py."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[float, Ended]] = {}

    def put(self, run: Run, result: bytes | None) -> None:
        """Enter a run that has ended, if somebody is to hear of it."""
        if run.webhook:
            identifier = str(uuid.uuid4())
            found = json.loads(result) if result else None
            self._waiting[identifier] = (0.0, Ended(identifier, run.webhook, copy(run), found, 0))

    async def take(self, limit: int, *, hold_seconds: float) -> Sequence[Ended]:
        now = time.monotonic()
        due = [ended for at, ended in self._waiting.values() if at <= now][:limit]
        taken = [replace(ended, tries=ended.tries + 1) for ended in due]
        for ended in taken:
            self._waiting[ended.identifier] = (now + hold_seconds, ended)
        return taken

    async def done(self, identifier: str) -> None:
        self._waiting.pop(identifier, None)

    async def later(self, identifier: str, seconds: float) -> None:
        if identifier in self._waiting:
            _, ended = self._waiting[identifier]
            self._waiting[identifier] = (time.monotonic() + seconds, ended)
