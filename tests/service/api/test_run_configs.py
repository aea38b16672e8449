"""What of a RunnableConfig a run takes, and what its thread and its entry say of it."""

import asyncio
import uuid
from contextlib import suppress
from typing import Any

import httpx
import pytest
from langgraph.graph import START, StateGraph
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import APIError, UnprocessableEntityError
from typing_extensions import TypedDict

from tests.service.serving import GRAPHS, KEY, Served, serving

SLOW = GRAPHS.with_name("slow.json")


class State(TypedDict, total=False):
    done: list[str]
    tag: str


async def test_a_remote_graph_is_a_node_of_another_graph(served: Served) -> None:
    remote = RemoteGraph("steps", url=served.url, api_key=KEY.partition(":")[2])
    builder = StateGraph(State)
    builder.add_node("remote", remote)
    builder.add_edge(START, "remote")
    values = await builder.compile().ainvoke(
        {"tag": "x"}, {"metadata": {"a": 1}, "run_name": "outer", "max_concurrency": 2, "tags": ["t"]}
    )
    assert values["done"] == ["one", "two", "three", "four"]


async def test_a_run_keeps_its_whole_config_and_input(client: LangGraphClient) -> None:
    thread_id = (await client.threads.create(metadata={"of": "thread"}))["thread_id"]
    config: Any = {
        "metadata": {"m": 1},
        "run_name": "name",
        "max_concurrency": 3,
        "recursion_limit": 50,
        "tags": ["t"],
        "configurable": {"c": 1},
    }
    await client.runs.wait(thread_id, "steps", input={"tag": "x"}, config=config, metadata={"r": 2})
    (listed,) = await client.runs.list(thread_id)
    run: Any = await client.runs.get(thread_id, listed["run_id"])
    assert run == listed
    assistant_id = run["assistant_id"]
    metadata = {
        "created_by": "system",
        "of": "thread",
        "graph_id": "steps",
        "assistant_id": assistant_id,
        "m": 1,
        "r": 2,
    }
    assert run["metadata"] == metadata
    assert run["kwargs"]["input"] == {"tag": "x"}
    kept = run["kwargs"]["config"]
    assert {name: kept[name] for name in config if name != "configurable"} == {
        **{name: config[name] for name in config if name != "configurable"},
        "metadata": metadata,
    }
    assert kept["configurable"]["c"] == 1
    assert kept["configurable"]["run_id"] == run["run_id"]
    state = await client.threads.get_state(thread_id)
    assert metadata.items() <= (state["metadata"] or {}).items()


async def test_a_thread_tells_its_assistant_config_and_when_its_state_changed(
    client: LangGraphClient,
) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    config: Any = {"recursion_limit": 50, "configurable": {"c": 1}}
    await client.runs.wait(thread_id, "steps", input={}, config=config)
    thread: Any = await client.threads.get(thread_id)
    (assistant,) = await client.assistants.search(graph_id="steps", metadata={"created_by": "system"})
    assert thread["metadata"] == {"graph_id": "steps", "assistant_id": assistant["assistant_id"]}
    assert thread["config"] == {"recursion_limit": 50, "configurable": {}}
    assert thread["error"] is None
    assert thread["created_at"] < thread["state_updated_at"] <= thread["updated_at"]
    changed: Any = await client.threads.update(thread_id, metadata={"mark": thread_id})
    assert changed["state_updated_at"] == thread["state_updated_at"]
    of_both = {"assistant_id": assistant["assistant_id"], "mark": thread_id}
    (found,) = await client.threads.search(metadata=of_both)
    assert found["thread_id"] == thread_id


async def test_a_thread_made_by_its_run_tells_the_same(client: LangGraphClient) -> None:
    thread_id = str(uuid.uuid4())
    config: Any = {"metadata": {"m": 1}, "tags": ["t"]}
    await client.runs.wait(
        thread_id, "steps", input={}, config=config, metadata={"r": 2}, if_not_exists="create"
    )
    thread: Any = await client.threads.get(thread_id)
    assert {"m": 1, "r": 2, "graph_id": "steps"}.items() <= thread["metadata"].items()
    assert "created_by" not in thread["metadata"]
    assert thread["config"] == {**config, "configurable": {}}
    await client.threads.delete(thread_id)


async def test_a_thread_tells_how_its_run_failed_until_the_next_one(client: LangGraphClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, "steps", input={"fail_at": "two"}, raise_error=False)
    failed: Any = await client.threads.get(thread_id)
    assert failed["error"] == {"error": "RuntimeError", "message": "two failed"}
    await client.runs.wait(thread_id, "steps", input={"fail_at": ""})
    ended: Any = await client.threads.get(thread_id)
    assert (ended["status"], ended["error"]) == ("idle", None)


async def test_interrupts_are_an_id_and_a_value(client: LangGraphClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, "ask", input={})
    thread: Any = await client.threads.get(thread_id)
    ((interrupt,),) = thread["interrupts"].values()
    assert interrupt == {"id": interrupt["id"], "value": {"question": "go on?"}}
    state: Any = await client.threads.get_state(thread_id)
    assert state["interrupts"] == [interrupt] == state["tasks"][0]["interrupts"]


async def test_only_what_is_selected_of_runs_is_listed(client: LangGraphClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, "steps", input={})
    (run,) = await client.runs.list(thread_id, select=["run_id", "status"])
    assert sorted(run) == ["run_id", "status"]
    with pytest.raises(UnprocessableEntityError, match="select"):
        await client.runs.list(thread_id, select=["nonsense"])  # type: ignore[list-item]


async def test_a_recursion_limit_is_bounded_by_a_setting_of_its_own(client: LangGraphClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, "steps", input={}, config={"recursion_limit": 1000})
    with pytest.raises(UnprocessableEntityError, match="10008 is above MAX_RECURSION_LIMIT=10007"):
        await client.runs.create(thread_id, "steps", input={}, config={"recursion_limit": 10008})


async def test_a_second_run_on_a_busy_thread_waits_by_default(client: LangGraphClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.create(thread_id, "steps", input={"seconds": 0.1})
    second = await client.runs.create(thread_id, "steps", input={})
    assert second["status"] == "pending"
    values: Any = await client.runs.join(thread_id, second["run_id"])
    assert values["done"] == ["one", "two", "three", "four"] * 2


@pytest.mark.parametrize("by", ["stream", "join_stream"])
async def test_a_run_that_waits_is_cancelled_when_its_client_leaves(served: Served, by: str) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        first = await client.runs.create(thread_id, "steps", input={"seconds": 30})
        headers = {"X-API-Key": KEY.partition(":")[2]}
        async with httpx.AsyncClient(base_url=served.url, headers=headers) as http:
            runs = f"/threads/{thread_id}/runs"
            if by == "stream":
                body = {"assistant_id": "steps", "input": {}, "on_disconnect": "cancel"}
                request = http.stream("POST", f"{runs}/stream", json=body)
            else:
                waits = await client.runs.create(thread_id, "steps", input={})
                url = f"{runs}/{waits['run_id']}/stream?cancel_on_disconnect=true"
                request = http.stream("GET", url)
            async with request as answer:
                run_id = answer.headers["content-location"].rpartition("/")[2]
                assert (await client.runs.get(thread_id, run_id))["status"] == "pending"
        for _ in range(100):
            if (await client.runs.get(thread_id, run_id))["status"] != "pending":
                break
            await asyncio.sleep(0.05)
        assert (await client.runs.get(thread_id, run_id))["status"] == "interrupted"
        await client.runs.cancel(thread_id, first["run_id"], wait=True)


@pytest.mark.parametrize("by", ["stream", "wait"])
async def test_a_run_that_executes_is_cancelled_when_its_client_leaves(served: Served, by: str) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        headers = {"X-API-Key": KEY.partition(":")[2]}
        async with httpx.AsyncClient(base_url=served.url, headers=headers) as http:
            body = {"assistant_id": "steps", "input": {"seconds": 30}, "on_disconnect": "cancel"}
            with pytest.raises(httpx.ReadTimeout):
                await http.post(f"/threads/{thread_id}/runs/{by}", json=body, timeout=1.5)
        async with asyncio.timeout(10):
            while (await client.runs.list(thread_id))[0]["status"] == "running":  # noqa: ASYNC110 (elsewhere)
                await asyncio.sleep(0.05)
        (run,) = await client.runs.list(thread_id)
        assert run["status"] == "interrupted"


async def test_a_recursion_limit_that_a_graph_sets_itself_holds_unless_a_run_asks_for_another() -> None:
    with serving(checkpointer="memory", langgraph_config=SLOW, max_iterations=5) as served:
        async with served.client() as client:
            given: Any = {"size": 1, "steps": 20}
            for limit, ended in ((None, "success"), (10, "error")):
                thread_id = (await client.threads.create())["thread_id"]
                config: Any = {"recursion_limit": limit} if limit else None
                run = await client.runs.create(thread_id, "growing", input=given, config=config)
                with suppress(APIError):
                    await client.runs.join(thread_id, run["run_id"])
                assert (await client.runs.get(thread_id, run["run_id"]))["status"] == ended
