"""Runs that are made by a schedule."""

import asyncio
import uuid
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError, UnprocessableEntityError

from langgraph_agents_service.api.crons.firing import fire
from langgraph_agents_service.persistence.registry.base import Owner
from tests.service.serving import OTHER_KEY, Served

NEVER = "0 0 29 2 *"
STEPS = ["one", "two", "three", "four"]


async def inside(served: Served, call: Awaitable[Any]) -> Any:
    """Await it where the service runs."""
    serving = served.service.serving
    assert serving is not None

    async def run() -> Any:
        return await call

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), serving.loop))


async def make_due(served: Served, cron: Any, *, ago: float = 1) -> None:
    changes = {"next_run_date": datetime.now(UTC) - timedelta(seconds=ago)}
    owner = served.service.access.owner("alices-key-0123456789")
    assert owner is not None
    await inside(served, served.service.crons.update(cron["cron_id"], Owner(owner), changes))


async def runs_of(client: LangGraphClient, thread_id: str, count: int) -> list[Any]:
    """The runs of a thread, once there are so many that have ended."""
    for _ in range(200):
        found: list[Any] = list(await client.runs.list(thread_id))
        if len(found) >= count and all(run["status"] not in ("pending", "running") for run in found):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"there are {len(found)} runs")


async def threads_of(client: LangGraphClient, mark: str) -> list[Any]:
    for _ in range(200):
        found: list[Any] = list(await client.threads.search(metadata={"mark": mark}, status="idle"))
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("no thread was made")


async def test_a_cron_that_is_due_runs_once_and_waits_for_its_next_time(
    served: Served, client: LangGraphClient
) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    cron: Any = await client.crons.create_for_thread(
        thread_id,
        "steps",
        schedule=NEVER,
        input={"tag": "by the clock"},
        metadata={"a": 1},
        config={"configurable": {"colour": "blue"}},
    )
    await make_due(served, cron, ago=86_400)  # a whole day was missed: it is made up for by one run
    (run,) = await runs_of(client, thread_id, 1)
    await asyncio.sleep(1.5)
    assert len(await client.runs.list(thread_id)) == 1
    assert (run["status"], run["metadata"]["a"]) == ("success", 1)
    assert run["kwargs"]["config"]["configurable"]["cron_id"] == cron["cron_id"]
    assert run["kwargs"]["config"]["configurable"]["colour"] == "blue"
    state: Any = await client.threads.get_state(thread_id)
    assert (state["values"]["done"], state["values"]["tag"]) == (STEPS, "by the clock")
    (found,) = await client.crons.search(thread_id=thread_id)
    assert found["next_run_date"] == cron["next_run_date"]


async def test_each_run_of_a_cron_without_a_thread_has_its_own(
    served: Served, client: LangGraphClient
) -> None:
    mark = uuid.uuid4().hex
    cron: Any = await client.crons.create(
        "steps", schedule=NEVER, input={"tag": "x"}, metadata={"mark": mark}, on_run_completed="keep"
    )
    await make_due(served, cron)
    (first,) = await threads_of(client, mark)
    await make_due(served, cron)
    for _ in range(100):
        if await client.threads.count(metadata={"mark": mark}) == 2:
            break
        await asyncio.sleep(0.05)
    assert await client.threads.count(metadata={"mark": mark}) == 2
    state: Any = await client.threads.get_state(first["thread_id"])
    assert state["values"]["done"] == STEPS


@pytest.mark.parametrize("how", ["enabled", "end_time"])
async def test_a_cron_that_is_off_or_over_makes_no_run(
    served: Served, client: LangGraphClient, how: str
) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    given: Any = (
        {"enabled": False} if how == "enabled" else {"end_time": datetime.now(UTC) - timedelta(days=1)}
    )
    cron: Any = await client.crons.create_for_thread(thread_id, "steps", schedule=NEVER, **given)
    await make_due(served, cron)
    await asyncio.sleep(2.5)
    assert await client.runs.list(thread_id) == []


async def test_a_cron_that_is_put_on_again_does_not_make_up_for_what_it_missed(
    served: Served, client: LangGraphClient
) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    cron: Any = await client.crons.create_for_thread(thread_id, "steps", schedule=NEVER, enabled=False)
    await make_due(served, cron)
    changed: Any = await client.crons.update(cron["cron_id"], enabled=True)
    assert changed["next_run_date"] == cron["next_run_date"]


async def test_a_cron_whose_run_is_still_in_progress_does_as_its_strategy_says(
    served: Served, client: LangGraphClient
) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.create(thread_id, "steps", input={"seconds": 0.8})
    crons: list[Any] = [
        await client.crons.create_for_thread(
            thread_id, "steps", schedule=NEVER, multitask_strategy=strategy, metadata={"strategy": strategy}
        )
        for strategy in ("reject", "enqueue")
    ]
    for cron in crons:
        await make_due(served, cron)
    found = await runs_of(client, thread_id, 2)
    assert [run["metadata"].get("strategy") for run in found] == ["enqueue", None]


async def test_crons_are_their_owners_and_go_with_their_thread_and_assistant(
    served: Served, client: LangGraphClient
) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    cron = (await client.crons.create_for_thread(thread_id, "steps", schedule=NEVER))["cron_id"]  # type: ignore[typeddict-item]
    async with served.client(OTHER_KEY) as other:
        assert await other.crons.search(thread_id=thread_id) == []
        assert await other.crons.count(thread_id=thread_id) == 0
        for call in (
            other.crons.update(cron, enabled=False),
            other.crons.delete(cron),
            other.crons.create_for_thread(thread_id, "steps", schedule=NEVER),
        ):
            with pytest.raises(NotFoundError):
                await call
    await client.threads.delete(thread_id)
    if served.service.registry.durable:
        assert await client.crons.count(thread_id=thread_id) == 0
    assistant = (await client.assistants.create("steps"))["assistant_id"]
    await client.crons.create(assistant, schedule=NEVER)
    assert await client.crons.count(assistant_id=assistant) == 1
    await client.assistants.delete(assistant)
    assert await client.crons.count(assistant_id=assistant) == 0


async def test_what_its_runs_could_not_be_asked_is_refused_when_a_cron_is_made(
    client: LangGraphClient,
) -> None:
    for given in (
        {"schedule": "0 0 31 2 *"},
        {"schedule": "every day"},
        {"schedule": NEVER, "timezone": "Mars/Olympus"},
        {"schedule": NEVER, "config": {"recursion_limit": 10**9}},
        {"schedule": NEVER, "config": {"configurable": {"__pregel_x": 1}}},
    ):
        with pytest.raises(UnprocessableEntityError):
            await client.crons.create("steps", **given)
    with pytest.raises(NotFoundError):
        await client.crons.create("nobody", schedule=NEVER)


async def test_several_processes_make_one_run(served: Served, client: LangGraphClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    cron: Any = await client.crons.create_for_thread(thread_id, "steps", schedule=NEVER, enabled=False)
    await make_due(served, cron)
    owner = served.service.access.owner("alices-key-0123456789") or ""
    await inside(served, served.service.crons.update(cron["cron_id"], Owner(owner), {"enabled": True}))

    async def at_once() -> list[bool]:
        return list(await asyncio.gather(*(fire(served.service) for _ in range(8))))

    await inside(served, at_once())
    assert len(await runs_of(client, thread_id, 1)) == 1


async def test_a_cron_of_a_key_that_is_out_of_use_makes_no_run(
    served: Served, client: LangGraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    cron: Any = await client.crons.create_for_thread(thread_id, "steps", schedule=NEVER)
    monkeypatch.setattr(served.service.access, "knows", lambda owner: False)
    await make_due(served, cron)
    await asyncio.sleep(2.5)
    assert await client.runs.list(thread_id) == []
