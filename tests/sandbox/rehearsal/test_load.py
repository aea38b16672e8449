"""Constant load: what the callers of an agent saw, counted right."""

import asyncio
import json
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from sandbox.cluster.agents import Reached
from sandbox.rehearsal import load
from sandbox.rehearsal.load import Load, Observed, Question

Handler = Callable[[httpx.Request], httpx.Response]


class Played(Reached):
    """An agent that a function plays."""

    handler: Handler

    def client(self, timeout: float = 30.0) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, transport=httpx.MockTransport(self.handler))


def played(handler: Handler) -> Played:
    agent = Played("http://agent", "key")
    object.__setattr__(agent, "handler", handler)
    return agent


def observed(handler: Handler, seconds: float = 0.3, **settings: float) -> Observed:
    with Load([played(handler)], **settings) as under_load:
        time.sleep(seconds)
    return under_load.observed[0]


def test_answers_and_failures_are_counted_apart() -> None:
    answers = iter([httpx.Response(200, text="42"), httpx.Response(503, text="later")])

    def handler(request: httpx.Request) -> httpx.Response:
        return next(answers, httpx.Response(200, text="41"))

    seen = observed(handler, rate=20, run_every=0)
    assert len(seen.seconds) == 1
    assert "503" in seen.failures[0]
    assert "later" in seen.failures[0]
    assert seen.failures[1] == "answered 41"
    assert len(seen.harmed) == len(seen.failures)
    assert 0 <= time.time() - seen.harmed[0] < 60


def test_the_rate_does_not_wait_for_slow_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Semaphore(0)

    async def slow(client: httpx.AsyncClient, observed: Observed, *, question: Question) -> None:
        asked.release()
        await asyncio.sleep(0.5)

    monkeypatch.setattr(load, "_ask", slow)
    observed(lambda _: httpx.Response(200), rate=50, run_every=0)
    assert sum(asked.acquire(blocking=False) for _ in range(100)) > 5


class Runs:
    """Threads and runs of an agent that loses the connection once, and ends a run by its second attempt."""

    def __init__(self, *, steps: int = 4, refuses: bool = False) -> None:
        self.joins: list[str | None] = []
        self._steps = steps
        self._refuses = refuses

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/threads":
            return httpx.Response(503 if self._refuses else 200, json={"thread_id": "t"})
        if path.endswith("/state"):
            messages = [{"type": "tool", "content": ""}] * self._steps + [{"type": "ai", "content": "done"}]
            return httpx.Response(200, json={"next": [], "values": {"messages": messages}})
        if path.endswith("/runs"):
            return httpx.Response(200, json={"run_id": "r"})
        if path.endswith("/stream"):
            self.joins.append(request.headers.get("Last-Event-ID"))
            if len(self.joins) == 1:
                raise httpx.ReadError("gone", request=request)
            data = json.dumps({"run_id": "r", "attempt": 2})
            return httpx.Response(
                200,
                text=f"id: 9\nevent: metadata\ndata: {data}\n\n",
                headers={"Content-Type": "text/event-stream"},
            )
        return httpx.Response(200, text="42")


def test_a_run_whose_process_ended_is_joined_again_and_counts_as_resumed() -> None:
    seen = observed(Runs(), rate=1, run_every=10)
    assert (seen.runs, seen.resumed, seen.lost) == (1, 1, [])


def test_a_run_that_skipped_or_repeated_a_step_is_lost() -> None:
    seen = observed(Runs(steps=5), rate=1, run_every=10)
    assert seen.runs == 0
    assert seen.lost == ["RuntimeError: 5 steps of 4 in t"]
    assert len(seen.harmed) == len(seen.lost) + len(seen.failures)


def test_a_run_that_was_never_taken_is_a_failed_request_and_not_a_lost_run() -> None:
    seen = observed(Runs(refuses=True), rate=1, run_every=10)
    assert seen.lost == []
    assert any("503" in failure for failure in seen.failures)


def test_the_summary_counts_what_was_slow() -> None:
    summary = Observed(seconds=[0.1, 0.2, 3.0], failures=["no"], runs=2, resumed=1).summary()
    assert summary["served"] == 3
    assert summary["slowed"] == 1
    assert summary["failed"] == 1
    assert summary["median_seconds"] == 0.2
    assert summary["longest_seconds"] == 3.0


def test_an_agent_that_has_a_providers_model_is_asked_for_its_readiness_alone() -> None:
    asked: set[str] = set()

    def handler(request: httpx.Request) -> httpx.Response:
        asked.add(request.url.path)
        return httpx.Response(200)

    agent = played(handler)
    object.__setattr__(agent, "speaks", False)
    with Load([agent], rate=20, run_every=0.1) as under_load:
        time.sleep(0.3)
    assert asked == {"/ready"}
    assert len(under_load.observed[0].seconds) > 1
