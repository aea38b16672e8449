"""Threads: copied, pruned, made with a past, found by what they hold."""

import uuid
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import BadRequestError, NotFoundError, UnprocessableEntityError

from tests.service.serving import OTHER_KEY, Served
from tests.service.versions import SELECTING, STORE

STEPS = ["one", "two", "three", "four"]


def given(**values: Any) -> Any:
    return values


async def new_thread(client: LangGraphClient, **more: Any) -> str:
    return (await client.threads.create(**more))["thread_id"]


async def steps(client: LangGraphClient, thread_id: str) -> Any:
    values: Any = (await client.threads.get_state(thread_id))["values"]
    return values.get("done", [])


async def test_a_copy_has_the_past_of_its_thread_and_a_future_of_its_own(client: LangGraphClient) -> None:
    thread_id = await new_thread(client, metadata={"a": 1})
    await client.runs.wait(thread_id, "steps", input=given(tag="x"), interrupt_before=["three"])
    made: Any = await client.threads.copy(thread_id)  # type: ignore[func-returns-value]
    copy_id = made["thread_id"]
    assert copy_id != thread_id
    assert made["metadata"] == (await client.threads.get(thread_id))["metadata"]
    assert [s["values"] for s in await client.threads.get_history(copy_id)] == [
        s["values"] for s in await client.threads.get_history(thread_id)
    ]
    values: Any = await client.runs.wait(copy_id, "steps", input=None)
    assert values == {"done": STEPS, "tag": "x"}
    assert await steps(client, thread_id) == ["one", "two"]
    assert (await client.threads.get_state(thread_id))["next"] == ["three"]
    await client.threads.delete(thread_id)
    assert await steps(client, copy_id) == STEPS


async def test_a_copy_waits_for_the_same_answer(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    await client.runs.wait(thread_id, "ask", input={})
    made: Any = await client.threads.copy(thread_id)  # type: ignore[func-returns-value]
    values: Any = await client.runs.wait(made["thread_id"], "ask", command={"resume": "yes"})
    assert values["done"] == ["yes"]
    values = await client.runs.wait(thread_id, "ask", command={"resume": "no"})
    assert values["done"] == ["no"]


async def test_pruned_threads_are_gone_but_for_busy_ones_and_those_of_others(served: Served) -> None:
    async with served.client() as client, served.client(OTHER_KEY) as other:
        mine, theirs, busy = await new_thread(client), await new_thread(other), await new_thread(client)
        run = await client.runs.create(busy, "steps", input=given(seconds=30))
        answer = await client.threads.prune([mine, theirs, busy, mine, str(uuid.uuid4())])
        assert answer == {"pruned_count": 1}
        with pytest.raises(NotFoundError):
            await client.threads.get(mine)
        await other.threads.get(theirs)
        await client.runs.cancel(busy, run["run_id"], wait=True)


@STORE
async def test_a_pruned_thread_can_keep_its_latest_state(on_postgres: Served, in_memory: Served) -> None:
    async with on_postgres.client() as client:
        thread_id = await new_thread(client)
        await client.runs.wait(thread_id, "steps", input={})
        assert await client.threads.prune([thread_id], strategy="keep_latest") == {"pruned_count": 1}
        assert len(await client.threads.get_history(thread_id)) == 1
        values: Any = await client.runs.wait(thread_id, "steps", input={})
        assert values["done"] == STEPS * 2
    async with in_memory.client() as client:
        with pytest.raises(UnprocessableEntityError, match="keep_latest"):
            await client.threads.prune([thread_id], strategy="keep_latest")


async def test_a_thread_is_made_with_the_states_of_steps(client: LangGraphClient) -> None:
    supersteps: Any = [
        {"updates": [{"values": {"tag": "x"}, "as_node": "__input__"}]},
        {"updates": [{"values": {"tag": "x"}, "as_node": "__start__"}]},
        {"updates": [{"values": {"done": ["told"]}, "as_node": "one"}]},
    ]
    thread_id = await new_thread(client, graph_id="steps", supersteps=supersteps)
    state: Any = await client.threads.get_state(thread_id)
    assert (state["values"], state["next"]) == ({"done": ["told"], "tag": "x"}, ["two"])
    assert (await client.threads.get(thread_id))["status"] == "interrupted"
    assert len(await client.threads.get_history(thread_id)) == 3
    values: Any = await client.runs.wait(thread_id, "steps", input=None)
    assert values["done"] == ["told", "two", "three", "four"]
    with pytest.raises(BadRequestError, match=r"metadata\.graph_id"):
        await new_thread(client, supersteps=supersteps)
    wrong: Any = [{"updates": [{"values": {}, "as_node": "nowhere"}]}]
    with pytest.raises(UnprocessableEntityError, match=r"supersteps\.0: the graph has no node 'nowhere'"):
        await new_thread(client, graph_id="steps", supersteps=wrong)


async def test_threads_are_found_by_their_values(client: LangGraphClient) -> None:
    mark = uuid.uuid4().hex
    threads = []
    for n in range(4):
        thread_id = await new_thread(client, metadata={"mark": mark})
        await client.runs.wait(thread_id, "steps", input=given(tag=f"{mark}{n % 2}"))
        threads.append(thread_id)
    await new_thread(client, metadata={"mark": mark})
    wanted: Any = {"tag": f"{mark}1", "done": ["two"]}
    found = await client.threads.search(values=wanted, sort_by="created_at", sort_order="asc")
    assert [t["thread_id"] for t in found] == [threads[1], threads[3]]
    second = await client.threads.search(
        values=wanted, metadata={"mark": mark}, sort_by="created_at", sort_order="asc", limit=1, offset=1
    )
    assert [t["thread_id"] for t in second] == [threads[3]]
    assert await client.threads.count(values=wanted) == 2
    assert await client.threads.count(values=wanted, metadata={"mark": "other"}) == 0


async def test_single_values_are_taken_out_of_threads(client: LangGraphClient) -> None:
    thread_id = await new_thread(client, metadata={"deep": {"list": [1, {"x": 2}]}})
    await client.runs.wait(thread_id, "steps", input=given(tag="x"))
    paths = {"last": "values.done[-1]", "x": "metadata.deep.list[1].x", "none": "values.done[9].y"}
    (found,) = await client.threads.search(ids=[thread_id], select=["thread_id"], extract=paths)
    assert found == {"thread_id": thread_id, "extracted": {"last": "four", "x": 2, "none": None}}  # type: ignore[comparison-overlap]
    for wrong in ({"a": "owner.x"}, {"1a": "values.x"}, {"values": "values.x"}, {"a": "values..x"}):
        with pytest.raises(UnprocessableEntityError, match="extract"):
            await client.threads.search(extract=wrong)


@SELECTING
async def test_only_what_is_selected_of_a_state_is_told(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    await client.runs.wait(thread_id, "steps", input=given(tag="x"))
    state: Any = await client.threads.get_state(thread_id, select=["next", "values.tag"])
    assert state == {"next": [], "values": {"tag": "x"}}
    history: Any = await client.threads.get_history(thread_id, select=["checkpoint"], limit=2)
    assert [list(found) for found in history] == [["checkpoint"]] * 2
    same: Any = await client.threads.get_state(
        thread_id, checkpoint=history[0]["checkpoint"], select=["values"]
    )
    assert same == {"values": {"done": STEPS, "tag": "x"}}


async def test_a_page_of_threads_tells_where_the_next_one_begins(served: Served) -> None:
    async with served.client() as client:
        mark = uuid.uuid4().hex
        for _ in range(3):
            await new_thread(client, metadata={"mark": mark})
        body = {"metadata": {"mark": mark}, "limit": 2}
        headers: list[Any] = []
        for offset in (0, 2):
            found = await client.http.post(
                "/threads/search",
                json={**body, "offset": offset},
                on_response=lambda response: headers.append(response.headers),
            )
            assert len(found) == 2 - offset // 2
        assert [h.get("x-pagination-next") for h in headers] == ["2", None]


async def test_a_thread_knows_its_graph_before_it_runs(client: LangGraphClient) -> None:
    thread_id = await new_thread(client, graph_id="steps")
    made = await client.threads.update_state(thread_id, given(done=["told"]), as_node="one")
    assert made["checkpoint_id"] == made["checkpoint"]["checkpoint_id"]  # type: ignore[typeddict-item]
    values: Any = await client.runs.wait(thread_id, "steps", input=None)
    assert values["done"] == ["told", "two", "three", "four"]
    with pytest.raises(BadRequestError, match=r"metadata\.graph_id"):
        await client.threads.update_state(await new_thread(client), given(done=["told"]))
