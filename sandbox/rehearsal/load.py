"""Constant load on agents, as their callers make it: short questions, some that take seconds, and runs on threads.

What counts is what a caller sees. A run whose stream breaks is joined again, as the SDK's documentation has it; it is
lost only when it does not end well.
"""

import asyncio
import functools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from types import TracebackType
from typing import Any, Self

import httpx
from langgraph_sdk.client import LangGraphClient

from sandbox.cluster.agents import Reached


@dataclass(frozen=True)
class Question:
    """What the reference agent is asked, and how it answers by itself."""

    text: str
    answer: str
    seconds: float = 0.0
    """How long it takes on purpose."""

    @property
    def input(self) -> dict[str, Any]:
        """As the graph takes it."""
        return {"messages": [{"role": "user", "content": self.text}]}


SHORT = Question("What is 6 * 7?", "42")
# Asked every second, so that some are under way on whichever process ends, and that long that it would have to wait for
# them: a kubelet gives two seconds at least, and the other pod of a roll gets half of what is asked meanwhile.
LONG = Question("count to 5", "2 seconds have passed", seconds=10.0)
_STEPS = 4
_RUN = Question(f"count to {_STEPS}", "2 seconds have passed", seconds=2.0 * _STEPS)

SLOW_SECONDS = 1.0
"""An answer of the reference agent that takes longer counts as slowed."""
# A run of four steps takes eight seconds; one whose process died waits for its lease.
_RUN_PATIENCE = 120.0


@dataclass
class Observed:
    """What the callers of an agent saw."""

    seconds: list[float] = field(default_factory=list)
    """How long each question took that was answered, less what it takes on purpose."""
    failures: list[str] = field(default_factory=list)
    """Why the others were not."""
    runs: int = 0
    """Runs that ended well."""
    resumed: int = 0
    """Those of them that another process took over."""
    lost: list[str] = field(default_factory=list)
    """Why other runs did not end well."""
    harmed: list[float] = field(default_factory=list)
    """When callers met one of these, Unix time."""

    def fail(self, why: str) -> None:
        """A request was not answered, or wrongly."""
        self.failures.append(why)
        self.harmed.append(time.time())

    def lose(self, why: str) -> None:
        """A run did not end well."""
        self.lost.append(why)
        self.harmed.append(time.time())

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

    def __init__(self, agents: Sequence[Reached], *, rate: float = 5.0, run_every: float = 2.0) -> None:
        """
        Args:
            agents: whom to ask, each alike.
            rate: short questions a second; with the rest below the 600 requests a minute that an agent takes of a key.
            run_every: seconds between the starts of two runs; 0 starts none, and asks short questions alone.
        """
        self._agents = agents
        self._rate = rate
        self._run_every = run_every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), name="load")
        self.observed = [Observed() for _ in agents]

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
            for agent, observed in zip(self._agents, self.observed, strict=True):
                agents.create_task(self._load(agent, observed))

    async def _load(self, agent: Reached, observed: Observed) -> None:
        async with agent.client() as client, asyncio.TaskGroup() as asked:
            # Not one after the other: a slow answer must not thin the load.
            ask = functools.partial(_ask, question=SHORT) if agent.speaks else _probe
            asked.create_task(self._repeat(1 / self._rate, lambda: asked.create_task(ask(client, observed))))
            if self._run_every and agent.speaks:
                asked.create_task(
                    self._repeat(1.0, lambda: asked.create_task(_ask(client, observed, question=LONG)))
                )
                asked.create_task(
                    self._repeat(self._run_every, lambda: asked.create_task(_run(agent, observed)))
                )

    async def _repeat(self, interval: float, do: Any) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            do()
            due += interval
            await asyncio.to_thread(self._stopping.wait, max(0.0, due - time.monotonic()))


async def _ask(client: httpx.AsyncClient, observed: Observed, *, question: Question) -> None:
    began = time.monotonic()
    try:
        answer = await client.post("/invoke", json={"input": question.input})
        answer.raise_for_status()
        if question.answer not in answer.text:
            observed.fail(f"answered {answer.text[:200]}")
            return
    except httpx.HTTPError as error:
        observed.fail(_words(error))
        return
    observed.seconds.append(time.monotonic() - began - question.seconds)


async def _probe(client: httpx.AsyncClient, observed: Observed) -> None:
    """Ask for what needs no model: it takes the same path, and the same processes answer."""
    began = time.monotonic()
    try:
        (await client.get("/ready")).raise_for_status()
    except httpx.HTTPError as error:
        observed.fail(_words(error))
        return
    observed.seconds.append(time.monotonic() - began)


async def _run(agent: Reached, observed: Observed) -> None:
    async with agent.client(timeout=_RUN_PATIENCE) as http:
        client = LangGraphClient(http)
        try:
            thread = (await client.threads.create())["thread_id"]
            run = (await client.runs.create(thread, "agent", input=_RUN.input, stream_resumable=True))[
                "run_id"
            ]
        except httpx.HTTPError as error:
            observed.fail(_words(error))
            return
        try:
            async with asyncio.timeout(_RUN_PATIENCE):
                attempt = await _follow(client, thread, run)
        except (httpx.HTTPError, TimeoutError, RuntimeError) as error:
            observed.lose(_words(error))
            return
    observed.runs += 1
    observed.resumed += attempt > 1


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
