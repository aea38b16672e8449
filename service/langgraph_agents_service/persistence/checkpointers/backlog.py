"""Bounds what a run has left to be written. With durability `async` a graph does not wait for its checkpoints by
itself, and one that is quicker than the database would have all of them in memory."""

import asyncio

BACKLOG_BYTES = 2_097_152
"""What one run may have left before it waits. Of a hundred runs at once that is 200 MB, as much as of their events."""


class Backlog:
    """The writes of one run whose checkpoint is still to be written. Checkpoints of a namespace have ids in the order
    of time, and are written in this order."""

    def __init__(self, limit: int = BACKLOG_BYTES) -> None:
        self._limit = limit
        self._left: dict[tuple[str, str], int] = {}
        """Bytes of the writes, by the namespace and id of their checkpoint."""
        self._kept: dict[str, str] = {}
        """The newest checkpoint that is there, by namespace."""
        self._broken = False
        self._changed = asyncio.Event()

    @property
    def size(self) -> int:
        """Bytes that are left."""
        return sum(self._left.values())

    def add(self, namespace: str, checkpoint_id: str, size: int) -> None:
        """Writes of a step that began with this checkpoint."""
        if checkpoint_id > self._kept.get(namespace, ""):
            key = namespace, checkpoint_id
            self._left[key] = self._left.get(key, 0) + size

    def keep(self, namespace: str, checkpoint_id: str) -> None:
        """This checkpoint, and all before it, are there."""
        self._kept[namespace] = max(checkpoint_id, self._kept.get(namespace, ""))
        for key in [(n, c) for n, c in self._left if n == namespace and c <= checkpoint_id]:
            del self._left[key]
        self._changed.set()

    def give_up(self) -> None:
        """A checkpoint could not be written: the run fails, and waits for nothing."""
        self._broken = True
        self._changed.set()

    async def room(self) -> None:
        """Wait until what is left fits."""
        while not self._broken and self.size > self._limit:
            self._changed.clear()
            await self._changed.wait()
