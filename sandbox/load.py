"""Constant load on agents, as their callers make it: short questions, and runs that take some seconds.

What counts is what a caller sees. A run whose stream breaks is joined again, as the SDK's documentation has it; it is
lost only when it does not end well.
"""

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from types import TracebackType
from typing import Any, Self

import httpx
from langgraph_sdk.client import LangGraphClient

from sandbox.agents import Reached

_QUESTION = {"messages": [{"role": "user", "content": "What is 6 * 7?"}]}
_ANSWER = "42"
_STEPS = 4
_RUN: dict[str, Any] = {"messages": [{"role": "user", "content": f"count to {_STEPS}"}]}

SLOW_SECONDS = 1.0
"""An answer of the reference agent that takes longer counts as slowed."""
# A run of four steps takes eight seconds; one whose process died waits for its lease.
_RUN_PATIENCE = 120.0


@dataclass
class Told:
    """What the callers of an agent saw."""

    seconds: list[float] = field(default_factory=list)
    """How long each short question took that was answered."""
    failures: list[str] = field(default_factory=list)
    """Why the others were not."""
    runs: int = 0
    """Runs that ended well."""
    resumed: int = 0
    """Those of them that another process took over."""
    lost: list[str] = field(default_factory=list)
    """Why other runs did not end well."""

    @property
    def slowed(self) -> int:
        return sum(each > SLOW_SECONDS for each in self.seconds)

    def summary(self) -> dict[str, Any]:
        """As data: counts, and the median and longest answers in seconds."""
        return {
            "served": len(self.seconds),
            "failed": len(self.failures),
            "slowed": self.slowed,
            "median_seconds": round(median(self.seconds), 3) if self.seconds else None,
            "longest_seconds": round(max(self.seconds), 3) if self.seconds else None,
            "runs": self.runs,
            "runs_resumed": self.resumed,
            "runs_lost": len(self.lost),
            "first_failures": [*self.failures[:3], *self.lost[:3]],
        }


class Load:
    """Asks for as long as the context lasts; beside whatever the caller does meanwhile."""

    def __init__(self, agents: Sequence[Reached], *, rate: float = 4.0, run_every: float = 2.0) -> None:
        """
        Args:
            agents: whom to ask, each alike.
            rate: short questions a second.
            run_every: seconds between the starts of two runs; 0 starts none.
        """
        self._agents = agents
        self._rate = rate
        self._run_every = run_every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), name="load")
        self.told = [Told() for _ in agents]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let what is under way come to its end."""
        self._stopping.set()
        self._thread.join()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as agents:
            for agent, told in zip(self._agents, self.told, strict=True):
                agents.create_task(self._load(agent, told))

    async def _load(self, agent: Reached, told: Told) -> None:
        async with agent.client() as client, asyncio.TaskGroup() as asked:
            # Not one after the other: a slow answer must not thin the load.
            asked.create_task(self._repeat(1 / self._rate, lambda: asked.create_task(_ask(client, told))))
            if self._run_every:
                asked.create_task(self._repeat(self._run_every, lambda: asked.create_task(_run(agent, told))))

    async def _repeat(self, interval: float, do: Any) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            do()
            due += interval
            await asyncio.to_thread(self._stopping.wait, max(0.0, due - time.monotonic()))


async def _ask(client: httpx.AsyncClient, told: Told) -> None:
    began = time.monotonic()
    try:
        answer = await client.post("/invoke", json={"input": _QUESTION})
        answer.raise_for_status()
        if _ANSWER not in answer.text:
            told.failures.append(f"answered {answer.text[:200]}")
            return
    except httpx.HTTPError as error:
        told.failures.append(_words(error))
        return
    told.seconds.append(time.monotonic() - began)


async def _run(agent: Reached, told: Told) -> None:
    async with agent.client(timeout=_RUN_PATIENCE) as http:
        client = LangGraphClient(http)
        try:
            thread = (await client.threads.create())["thread_id"]
            run = (await client.runs.create(thread, "agent", input=_RUN, stream_resumable=True))["run_id"]
        except httpx.HTTPError as error:
            told.failures.append(_words(error))
            return
        try:
            async with asyncio.timeout(_RUN_PATIENCE):
                attempt = await _follow(client, thread, run)
        except (httpx.HTTPError, TimeoutError, RuntimeError) as error:
            told.lost.append(_words(error))
            return
    told.runs += 1
    told.resumed += attempt > 1


async def _follow(client: LangGraphClient, thread: str, run: str) -> int:
    """Stay with a run to its end; returns the number of the attempt that ended it."""
    attempt, seen, answer = 1, "", ""
    while not answer:
        try:
            async for part in client.runs.join_stream(thread, run, last_event_id=seen or None):
                seen = part.id or seen
                if part.event == "metadata":
                    attempt = max(attempt, part.data.get("attempt", 1))
                if part.event == "error":
                    raise RuntimeError(str(part.data))
            answer = await _answer(client, thread)
        except httpx.HTTPError as error:
            if isinstance(error, httpx.HTTPStatusError) and error.response.is_client_error:
                raise
            # The process that streamed has ended, and another one streams from there on; at once, or once it is ready.
            await asyncio.sleep(0.2)
    return attempt


async def _answer(client: LangGraphClient, thread: str) -> str:
    """The thread's last words, once its run has ended."""
    state: Any = await client.threads.get_state(thread)
    if state["next"]:
        await asyncio.sleep(0.2)
        return ""
    waits = sum(message["type"] == "tool" for message in state["values"]["messages"])
    if waits != _STEPS:
        raise RuntimeError(f"{waits} steps of {_STEPS} in {thread}")
    return str(state["values"]["messages"][-1]["content"])


def _words(error: Exception) -> str:
    detail = error.response.text[:200] if isinstance(error, httpx.HTTPStatusError) else ""
    return f"{type(error).__name__}: {error} {detail}".strip()
