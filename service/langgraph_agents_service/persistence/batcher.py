"""Group commit: what arrives while one write is under way goes out together in the next one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from langgraph_agents_service.persistence.database import TRANSIENT

Item = TypeVar("Item")
Result = TypeVar("Result")

QUIET_TURNS = 5
"""A batch leaves when nothing has joined it for so many turns of the event loop: microseconds where nothing else runs,
and steps of other runs where something does. Those then share a statement, which costs as much as a step. With one
turn ten clients get a tenth less through; with twenty they all wait for one another."""

BATCH_BYTES = 16_777_216
"""What a batch weighs at most, unless it is one item: psycopg and libpq each have a copy of it."""


class Batcher(Generic[Item, Result]):
    """Collects concurrent items and hands them to `flush` in order, one batch at a time.

    `flush` takes the items of a batch and returns a result for each, or raises and has then done nothing.
    A batch that fails for a reason of its content is tried again item by item, so that one bad item fails
    alone; a batch that fails for lack of a database fails as a whole.
    """

    def __init__(
        self,
        flush: Callable[[list[Item]], Awaitable[list[Result]]],
        limit: int = 200,
        weigh: Callable[[Item], int] = lambda _: 0,
        *,
        away: tuple[type[Exception], ...] = TRANSIENT,
    ) -> None:
        """`limit`: items of a batch. `weigh`: the bytes of an item. `away`: errors that say that the server is away,
        and nothing about the items."""
        self._flush = flush
        self._limit = limit
        self._weigh = weigh
        self._away = away
        self._queue: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Wait until the item is written; returns its result or raises why it could not be."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append((item, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return await future

    async def settle(self) -> None:
        """Wait until all that was submitted by now is written, or has failed."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        while self._queue:
            await self._gather()
            count = self._fitting()
            batch, self._queue = self._queue[:count], self._queue[count:]
            try:
                _resolve(batch, await self._flush([item for item, _ in batch]))
            except Exception as error:
                if len(batch) == 1 or isinstance(error, self._away):
                    _fail(batch, error)
                else:
                    await self._one_by_one(batch)

    def _fitting(self) -> int:
        """How many of those that wait make a batch."""
        bytes_ = 0
        for count, (item, _) in enumerate(self._queue[: self._limit]):
            bytes_ += self._weigh(item)
            if count and bytes_ > BATCH_BYTES:
                return count
        return self._limit

    async def _gather(self) -> None:
        """Let whoever is about to submit come along."""
        quiet = 0
        while quiet < QUIET_TURNS and len(self._queue) < self._limit:
            known = len(self._queue)
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._queue) == known else 0

    async def _one_by_one(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        for entry in batch:
            try:
                _resolve([entry], await self._flush([entry[0]]))
            except Exception as error:
                _fail([entry], error)


def _resolve(batch: list[tuple[Item, asyncio.Future[Result]]], results: list[Result]) -> None:
    for (_, future), result in zip(batch, results, strict=True):
        if not future.done():
            future.set_result(result)


def _fail(batch: list[tuple[Item, asyncio.Future[Result]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
