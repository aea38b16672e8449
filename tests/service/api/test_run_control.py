"""Runs that wait, take the place of others, are undone, come in batches, or have no thread."""

import asyncio
import time
import uuid
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

from langgraph_agents_service.runs import endings
from tests.service.serving import OTHER_KEY, Served

STEPS = ["one", "two", "three", "four"]


def given(**values: Any) -> Any:
    return values


async def new_thread(client: LangGraphClient) -> str:
    return (await client.threads.create())["thread_id"]


async def begun(client: LangGraphClient, thread_id: str, seconds: float = 30) -> str:
    """A run that has taken its first step and is in the second."""
    run = await client.runs.create(thread_id, "begin", input=given(seconds=seconds, done=["first"]))
    for _ in range(200):
        state: Any = await client.threads.get_state(thread_id)
        if "one" in (state["values"].get("done") or [])[-1:]:
            break
        await asyncio.sleep(0.02)
    return run["run_id"]


async def steps(client: LangGraphClient, thread_id: str) -> Any:
    values: Any = (await client.threads.get_state(thread_id))["values"]
    return values.get("done", [])


async def test_a_run_undoes_the_one_whose_place_it_takes(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    await client.runs.wait(thread_id, "steps", input=given(done=["before"]))
    first = await begun(client, thread_id)
    waiting = await client.runs.create(thread_id, "steps", input=given(done=["never"]))
    values: Any = await client.runs.wait(
        thread_id, "begin", input=given(seconds=0, done=["new"]), multitask_strategy="rollback"
    )
    assert values["done"] == ["before", *STEPS, "new", "one", "two"]
    for run_id in (first, waiting["run_id"]):
        with pytest.raises(NotFoundError):
            await client.runs.get(thread_id, run_id)
    history = await client.threads.get_history(thread_id, limit=100)
    assert first not in {(state["metadata"] or {}).get("run_id") for state in history}


async def test_a_run_that_takes_a_place_leaves_what_was_done(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    first = await begun(client, thread_id)
    values: Any = await client.runs.wait(
        thread_id, "begin", input=given(seconds=0, done=["new"]), multitask_strategy="interrupt"
    )
    assert values["done"] == ["first", "one", "new", "one", "two"]
    assert (await client.runs.get(thread_id, first))["status"] == "interrupted"


async def test_a_run_is_cancelled_and_undone(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    run_id = await begun(client, thread_id)
    await client.runs.cancel(thread_id, run_id, action="rollback", wait=True)
    with pytest.raises(NotFoundError):
        await client.runs.get(thread_id, run_id)
    assert await steps(client, thread_id) == []
    assert await client.threads.get_history(thread_id) == []
    assert (await client.threads.get(thread_id))["status"] == "idle"


async def test_a_run_that_waits_is_undone_at_once(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    first = await client.runs.create(thread_id, "steps", input=given(seconds=30))
    second = await client.runs.create(thread_id, "steps", input={})
    await client.runs.cancel(thread_id, second["run_id"], action="rollback")
    assert [run["run_id"] for run in await client.runs.list(thread_id)] == [first["run_id"]]
    await client.runs.cancel(thread_id, first["run_id"], action="rollback", wait=True)
    assert await client.runs.list(thread_id) == []


async def test_a_deleted_run_takes_its_checkpoints_along(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    await client.runs.wait(thread_id, "steps", input={})
    await client.runs.wait(thread_id, "steps", input={})
    (second, _) = await client.runs.list(thread_id)
    await client.runs.delete(thread_id, second["run_id"])
    assert await steps(client, thread_id) == STEPS
    running = await client.runs.create(thread_id, "steps", input=given(seconds=30))
    with pytest.raises(ConflictError):
        await client.runs.delete(thread_id, running["run_id"])
    await client.runs.cancel(thread_id, running["run_id"], wait=True)


async def test_a_run_begins_only_after_its_time(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    asked = time.monotonic()
    later = await client.runs.create(thread_id, "steps", input={}, after_seconds=1)
    assert later["status"] == "pending"
    other: Any = await client.runs.wait(thread_id, "steps", input=given(done=["sooner"]))
    assert other["done"] == ["sooner", *STEPS]
    assert time.monotonic() - asked < 1
    values: Any = await client.runs.join(thread_id, later["run_id"])
    assert values["done"] == ["sooner", *STEPS, *STEPS]
    assert time.monotonic() - asked >= 1


async def is_taken_up(client: LangGraphClient, thread_id: str, run_id: str) -> None:
    async with asyncio.timeout(10):
        while True:
            if (await client.runs.get(thread_id, run_id))["status"] != "pending":
                return
            await asyncio.sleep(0.05)


async def test_many_runs_are_cancelled_by_their_ids_or_their_status(served: Served) -> None:
    async with served.client() as client, served.client(OTHER_KEY) as other:
        threads = [await new_thread(client) for _ in range(2)]
        runs = [(await client.runs.create(t, "steps", input=given(seconds=30)))["run_id"] for t in threads]
        waits = (await client.runs.create(threads[0], "steps", input={}))["run_id"]
        theirs = await new_thread(other)
        kept = (await other.runs.create(theirs, "steps", input=given(seconds=30)))["run_id"]
        for thread_id, run_id in zip(threads, runs, strict=True):
            await is_taken_up(client, thread_id, run_id)
        await client.runs.cancel_many(status="pending")
        assert (await client.runs.get(threads[0], waits))["status"] == "interrupted"
        assert (await client.runs.get(threads[0], runs[0]))["status"] == "running"
        await client.runs.cancel_many(thread_id=threads[0], run_ids=[runs[0], str(uuid.uuid4())])
        await client.runs.join(threads[0], runs[0])
        assert (await client.runs.get(threads[0], runs[0]))["status"] == "interrupted"
        await client.runs.cancel_many(status="all", action="rollback")
        for _ in range(100):
            if not await client.runs.list(threads[1]):
                break
            await asyncio.sleep(0.05)
        assert await client.runs.list(threads[1]) == []
        with pytest.raises(NotFoundError, match="no active run"):
            await client.runs.cancel_many(status="all")
        with pytest.raises(UnprocessableEntityError, match="leave thread_id and run_ids out"):
            await client.runs.cancel_many(status="all", thread_id=threads[0])
        assert (await other.runs.get(theirs, kept))["status"] == "running"
        await other.runs.cancel(theirs, kept, wait=True)


async def test_runs_come_in_a_batch_or_not_at_all(client: LangGraphClient) -> None:
    payloads: Any = [{"assistant_id": "steps", "input": {"done": [str(n)]}} for n in range(3)]
    runs = await client.runs.create_batch(payloads)
    for n, run in enumerate(runs):
        values: Any = await client.runs.join(run["thread_id"], run["run_id"])
        assert values["done"] == [str(n), *STEPS]
    before = await client.threads.count()
    wrong: Any = {"assistant_id": "nobody"}
    with pytest.raises(NotFoundError, match="nobody"):
        await client.runs.create_batch([*payloads, wrong])
    assert await client.threads.count() == before


async def test_the_thread_of_a_run_without_one_goes_after_it_unless_kept(
    client: LangGraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "TEMPORARY_SECONDS", 0.2)
    gone = await client.runs.create(None, "steps", input={})
    assert (await client.runs.join(gone["thread_id"], gone["run_id"]))["done"] == STEPS
    kept: list[Any] = []
    values: Any = await client.runs.wait(
        None, "steps", input={}, on_completion="keep", on_run_created=kept.append
    )
    assert values["done"] == STEPS
    for _ in range(100):
        try:
            await client.threads.get(gone["thread_id"])
        except NotFoundError:
            break
        await asyncio.sleep(0.05)
    with pytest.raises(NotFoundError):
        await client.threads.get(gone["thread_id"])
    assert await steps(client, kept[0]["thread_id"]) == STEPS


async def test_events_of_all_that_runs_are_streamed(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    parts = [
        part
        async for part in client.runs.stream(
            thread_id, "steps", input=given(done=["x"]), stream_mode=["events", "updates"]
        )
    ]
    assert [next(iter(p.data)) for p in parts if p.event == "updates"] == STEPS
    seen = [p.data for p in parts if p.event == "events"]
    assert [e["name"] for e in seen if e["event"] == "on_chain_start" and e["name"] in STEPS] == STEPS
    assert not [e for e in seen if e["event"] == "on_chain_stream" and not e["parent_ids"]]
    assert (await client.threads.get_state(thread_id))["next"] == []
    assert await steps(client, thread_id) == ["x", *STEPS]


async def test_feedback_is_refused_where_nobody_takes_it(
    client: LangGraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LANGSMITH_API_KEY", raising=False)
    with pytest.raises(UnprocessableEntityError, match="LANGSMITH_API_KEY"):
        async for _ in client.runs.stream(None, "steps", input={}, feedback_keys=["good"]):
            pass


async def test_a_run_without_checkpoints_on_its_way_keeps_its_end(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    with pytest.warns(DeprecationWarning, match="durability"):
        await client.runs.wait(thread_id, "steps", input={}, checkpoint_during=False)
    assert len(await client.threads.get_history(thread_id)) == 1
    (run,) = await client.runs.list(thread_id)
    assert run["kwargs"]["durability"] == "exit"  # type: ignore[typeddict-item]
