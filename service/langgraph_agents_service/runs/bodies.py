"""How many bytes of large request bodies are in memory at once, and for how long.

What a body costs is not over when it has been read: its run holds what it says, in the request and in the state. So a
body has its part of the room until its request is answered and the runs that began with it here have ended.
"""

import asyncio
from collections import deque
from contextvars import ContextVar

SMALL = 65_536
"""Bytes that count for nothing: the server takes in as many from any connection before it stops reading."""


class NoRoomError(Exception):
    """There was no room for the body in QUEUE_TIMEOUT_SECONDS."""


class Held:
    """The part of one body. Whoever uses it keeps it, and lets it go once."""

    def __init__(self, room: "Room", size: int) -> None:
        self._room = room
        self._size = size
        self._users = 1

    def keep(self) -> None:
        self._users += 1

    def let_go(self) -> None:
        self._users -= 1
        if not self._users:
            self._room.give(self._size)

    def shrink(self, size: int) -> None:
        """The body is no larger than this."""
        self._room.give(self._size - size)
        self._size = size


class Room:
    """For so many bytes. Bodies get in one after the other, so that large ones are not passed by for ever."""

    def __init__(self, size: int, *, patience: float) -> None:
        self._free = size
        self._patience = patience
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> Held:
        """Raises NoRoomError."""
        if self._waiting or size > self._free:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            try:
                async with asyncio.timeout(self._patience):
                    await turn
            except BaseException as error:
                if turn.cancelled():
                    self._admit()  # whoever is next may need less
                else:
                    self.give(size)  # its turn came in the same moment
                if isinstance(error, TimeoutError):
                    raise NoRoomError from None
                raise
        else:
            self._free -= size
        return Held(self, size)

    def give(self, size: int) -> None:
        self._free += size
        self._admit()

    def _admit(self) -> None:
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self._free):
            size, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= size
                turn.set_result(None)


held: ContextVar[Held | None] = ContextVar("held", default=None)
"""Of the request that is being answered."""
