"""Commands of all runs of a process, sent to Valkey together: most of what one costs the client is its round trip."""

from typing import Any

from valkey.asyncio import Valkey

from langgraph_agents_service.persistence.batcher import Batcher
from langgraph_agents_service.persistence.valkey_client import AWAY

Command = tuple[Any, ...]


class Commands:
    """To be used on one event loop. Raises valkey.exceptions.ValkeyError."""

    def __init__(self, client: Valkey) -> None:
        self._client = client
        self._batcher: Batcher[tuple[Command, ...], list[Any]] = Batcher(self._flush, weigh=_weigh, away=AWAY)

    async def run(self, *commands: Command) -> list[Any]:
        """The answers to commands that are carried out in this order; those of others may come in between."""
        answers = await self._batcher.submit(commands)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def settle(self) -> None:
        """Wait until nothing is being sent, by whoever does not wait for it any more."""
        await self._batcher.settle()

    async def _flush(self, items: list[tuple[Command, ...]]) -> list[list[Any]]:
        async with self._client.pipeline(transaction=False) as pipe:
            for commands in items:
                for command in commands:
                    pipe.execute_command(*command)
            answers = iter(await pipe.execute(raise_on_error=False))
        return [[next(answers) for _ in commands] for commands in items]


def _weigh(commands: tuple[Command, ...]) -> int:
    return sum(len(part) for command in commands for part in command if isinstance(part, bytes))
