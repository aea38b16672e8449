"""The events of a run that are in memory, for who reads along: as many as fit into STREAM_BUFFER_BYTES."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from langgraph_agents_service.persistence.registry.base import Event, Registry

SLOW_SECONDS = 10.0
"""How long a run waits for a reader that is further behind than fits into memory."""

_OBJECT_BYTES = 200
"""What an event takes beside its data."""


class BehindError(Exception):
    """A reader was too slow: what it would read next is not in memory any more."""


@dataclass(slots=True, eq=False)
class _Reader:
    position: int
    """Of the event that it reads next."""
    lost: bool = False


class Events:
    """Numbered from `base` on. The newest one is always there; of the others, the oldest go when there is no room, but
    none before those who read along, and `record`, have had them."""

    def __init__(self, base: int, limit: int) -> None:
        self._base = base
        self._limit = limit
        self._kept: deque[Event] = deque()
        self._first = 0
        """Position of the oldest that is kept."""
        self._bytes = 0
        self._readers: set[_Reader] = set()
        self._expected: _Reader | None = None
        self._saved: int | None = None
        """Position up to which they are recorded; None: they are not."""
        self._changed = asyncio.Event()
        self._advanced = asyncio.Event()
        self.ended = False

    @property
    def size(self) -> int:
        """Bytes that they take."""
        return self._bytes

    def add(self, event: str, data: bytes) -> None:
        self._kept.append(Event(self._base + self._first + len(self._kept), event, data))
        self._bytes += len(data) + _OBJECT_BYTES
        self._trim()
        self.wake()

    def expect(self) -> None:
        """Keep all for a reader that is about to come."""
        self._expected = _Reader(self._first)
        self._readers.add(self._expected)

    def wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def misses(self, after: int) -> bool:
        """Whether events behind number `after` have gone from memory."""
        return self._first > 0 and after < self._base + self._first - 1

    async def read(self, after: int) -> AsyncIterator[Event]:
        """Those behind `after` that are there, and all that come, until the end. Raises BehindError."""
        reader = _Reader(max(self._first, after + 1 - self._base))
        self._readers.add(reader)
        if self._expected is not None:
            self._readers.discard(self._expected)
            self._expected = None
        try:
            while True:
                changed, ended = self._changed, self.ended
                while reader.position < self._first + len(self._kept):
                    if reader.lost:
                        raise BehindError("the reader is too slow")
                    event = self._kept[reader.position - self._first]
                    reader.position += 1
                    self._trim()
                    self._advanced.set()
                    yield event
                if ended:
                    return
                if changed is self._changed:
                    await changed.wait()
        finally:
            self._readers.discard(reader)
            self._trim()
            self._advanced.set()

    async def room(self) -> None:
        """Wait until what readers have still to read fits into memory. Whoever takes no event for SLOW_SECONDS is left
        behind."""
        patience = time.monotonic() + SLOW_SECONDS
        while self._bytes > self._limit and (behind := self._behind()):
            self._advanced.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._advanced.wait(), max(0.0, patience - time.monotonic()))
            if self._advanced.is_set():
                patience = time.monotonic() + SLOW_SECONDS
            else:
                for reader in behind:
                    reader.lost = True
                self._trim()

    async def record(self, registry: Registry, run_id: str) -> None:
        """Keep what has been published so far for readers on other processes, and for later ones."""
        start = max(self._saved or 0, self._first)
        end = self._first + len(self._kept)
        fresh = [self._kept[position - self._first] for position in range(start, end)]
        self._saved = start
        if fresh:
            await registry.add_events(run_id, fresh)
        self._saved = end
        self._trim()

    def _behind(self) -> list[_Reader]:
        """Who holds up the oldest event."""
        return [reader for reader in self._readers if not reader.lost and reader.position <= self._first]

    def _trim(self) -> None:
        needed = [reader.position for reader in self._readers if not reader.lost]
        if self._saved is not None:
            needed.append(self._saved)
        oldest = min(needed, default=self._first + len(self._kept))
        while self._bytes > self._limit and len(self._kept) > 1 and self._first < oldest:
            self._bytes -= len(self._kept.popleft().data) + _OBJECT_BYTES
            self._first += 1
