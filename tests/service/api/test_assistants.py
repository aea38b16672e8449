"""Assistants that callers make, by the official client."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    UnprocessableEntityError,
)

from tests.service.serving import OTHER_KEY, Served


@pytest.fixture
async def mine(client: LangGraphClient) -> AsyncIterator[dict[str, Any]]:
    config: Any = {"configurable": {"tone": "dry"}, "tags": ["q"], "recursion_limit": 30}
    made: Any = await client.assistants.create(
        "nested", config, metadata={"m": uuid.uuid4().hex}, name="Mine", description="D"
    )
    yield made
    with contextlib.suppress(NotFoundError):
        await client.assistants.delete(made["assistant_id"])


async def test_an_assistant_is_made_changed_and_taken_back(
    client: LangGraphClient, mine: dict[str, Any]
) -> None:
    assistant_id = mine["assistant_id"]
    assert mine["config"] == {"configurable": {"tone": "dry"}, "tags": ["q"], "recursion_limit": 30}
    assert mine["context"] == {"tone": "dry"}
    assert (mine["version"], mine["name"], mine["description"]) == (1, "Mine", "D")
    assert await client.assistants.get(assistant_id) == mine
    second: Any = await client.assistants.update(assistant_id, context={"model": "big"}, metadata={"n": 2})
    assert second["version"] == 2
    assert second["context"] == {"model": "big"}
    assert second["config"] == {"configurable": {"model": "big"}}
    before: Any = mine["metadata"]
    assert second["metadata"] == {**before, "n": 2}
    third: Any = await client.assistants.update(assistant_id, name="Other")
    assert (third["version"], third["name"], third["context"]) == (3, "Other", {"model": "big"})
    versions: Any = await client.assistants.get_versions(assistant_id)
    assert [v["version"] for v in versions] == [3, 2, 1]
    assert versions[0]["created_at"] > versions[1]["created_at"] > versions[2]["created_at"]
    assert [v["name"] for v in versions] == ["Other", "Mine", "Mine"]
    found = await client.assistants.get_versions(assistant_id, metadata={"n": 2}, limit=1, offset=1)
    assert [v["version"] for v in found] == [2]
    back: Any = await client.assistants.set_latest(assistant_id, 1)
    assert {**back, "updated_at": mine["updated_at"]} == mine
    assert (await client.assistants.update(assistant_id, name="Next"))["version"] == 4
    with pytest.raises(NotFoundError, match="no version 17"):
        await client.assistants.set_latest(assistant_id, 17)


async def test_updates_at_once_make_a_version_each(client: LangGraphClient, mine: dict[str, Any]) -> None:
    await asyncio.gather(
        *(client.assistants.update(mine["assistant_id"], metadata={f"k{n}": n}) for n in range(5))
    )
    versions = await client.assistants.get_versions(mine["assistant_id"])
    assert [v["version"] for v in versions] == [6, 5, 4, 3, 2, 1]


async def test_an_assistants_id_is_taken_once(client: LangGraphClient, mine: dict[str, Any]) -> None:
    assistant_id = mine["assistant_id"]
    with pytest.raises(ConflictError, match="taken"):
        await client.assistants.create("steps", assistant_id=assistant_id)
    same = await client.assistants.create("steps", assistant_id=assistant_id, if_exists="do_nothing")
    assert same == mine


async def test_what_an_assistant_cannot_be_is_refused(client: LangGraphClient) -> None:
    with pytest.raises(NotFoundError, match="no graph 'nosuch'; there is: agent"):
        await client.assistants.create("nosuch")
    with pytest.raises(BadRequestError, match="cannot both be given"):
        await client.assistants.create("steps", {"configurable": {"x": 1}}, context={"y": 1})
    (own,) = await client.assistants.search(graph_id="steps", metadata={"created_by": "system"})
    with pytest.raises(PermissionDeniedError, match="the graph's own assistant"):
        await client.assistants.update(own["assistant_id"], name="x")
    with pytest.raises(PermissionDeniedError, match="the graph's own assistant"):
        await client.assistants.delete(own["assistant_id"])
    assert [v["version"] for v in await client.assistants.get_versions(own["assistant_id"])] == [1]


async def test_an_assistant_belongs_to_its_key(served: Served, mine: dict[str, Any]) -> None:
    assistant_id = mine["assistant_id"]
    async with served.client(OTHER_KEY) as other:
        for attempt in (
            other.assistants.get(assistant_id),
            other.assistants.update(assistant_id, name="x"),
            other.assistants.delete(assistant_id),
            other.assistants.get_versions(assistant_id),
            other.assistants.set_latest(assistant_id, 1),
            other.assistants.get_graph(assistant_id),
            other.runs.create(None, assistant_id, input={}),
        ):
            with pytest.raises(NotFoundError):
                await attempt
        assert await other.assistants.count(metadata=mine["metadata"]) == 0
        with pytest.raises(ConflictError):
            await other.assistants.create("steps", assistant_id=assistant_id, if_exists="do_nothing")


async def test_assistants_are_found_sorted_and_paged(client: LangGraphClient, mine: dict[str, Any]) -> None:
    mark: Any = mine["metadata"]
    alpha = await client.assistants.create("steps", metadata=mark, name="alpha")
    beta = await client.assistants.create("steps", metadata=mark, name="Beta")
    names = await client.assistants.search(metadata=mark, sort_by="name", sort_order="asc")
    assert [a["name"] for a in names] == ["alpha", "Beta", "Mine"]
    assert [a["name"] for a in await client.assistants.search(metadata=mark)] == ["Beta", "alpha", "Mine"]
    page: Any = await client.assistants.search(
        metadata=mark, limit=2, select=["name", "assistant_id"], response_format="object"
    )
    assert [sorted(a) for a in page["assistants"]] == [["assistant_id", "name"]] * 2
    assert page["next"] == "2"
    rest: Any = await client.assistants.search(metadata=mark, limit=2, offset=2, response_format="object")
    assert (len(rest["assistants"]), rest["next"]) == (1, None)
    assert [a["name"] for a in await client.assistants.search(metadata=mark, name="ET")] == ["Beta"]
    assert await client.assistants.count(metadata=mark) == 3
    assert await client.assistants.count(metadata=mark, graph_id="nested") == 1
    everything = await client.assistants.search(limit=1000)
    assert {a["graph_id"] for a in everything if (a["metadata"] or {}).get("created_by")} == {
        "agent",
        "steps",
        "ask",
        "nested",
        "begin",
    }
    with pytest.raises(NotFoundError, match="no graph"):
        await client.assistants.search(graph_id="nosuch")
    with pytest.raises(UnprocessableEntityError, match="select"):
        await client.assistants.search(select=["nonsense"])  # type: ignore[list-item]
    for assistant in (alpha, beta):
        await client.assistants.delete(assistant["assistant_id"])


async def test_a_run_gets_its_assistants_config_and_context_below_its_own(
    client: LangGraphClient, mine: dict[str, Any]
) -> None:
    await client.assistants.update(mine["assistant_id"], context={"model": "big", "tone": "dry"})
    assistant_id = mine["assistant_id"]
    thread_id = (await client.threads.create())["thread_id"]
    values: Any = await client.runs.wait(thread_id, assistant_id, input={})
    assert values == {"model": "big", "configured": {"model": "big", "tone": "dry"}}
    values = await client.runs.wait(thread_id, assistant_id, input={}, context={"model": "small"})
    assert values == {"model": "small", "configured": {"model": "small", "tone": "dry"}}
    values = await client.runs.wait(None, assistant_id, input={}, config={"configurable": {"tone": "warm"}})
    assert values == {"model": "big", "configured": {"model": "big", "tone": "warm"}}
    (run, *_) = await client.runs.list(thread_id)
    assert run["assistant_id"] == assistant_id
    assert mine["metadata"].items() <= (run["metadata"] or {}).items()
    thread: Any = await client.threads.get(thread_id)
    assert thread["metadata"] == {"graph_id": "nested", "assistant_id": assistant_id}
    assert thread["config"]["configurable"] == {"model": "big", "tone": "dry"}
    with pytest.raises(BadRequestError, match="cannot both be given"):
        await client.runs.create(
            thread_id, assistant_id, input={}, config={"configurable": {"a": 1}}, context={"b": 1}
        )


async def test_an_assistant_goes_with_its_threads_where_asked(
    client: LangGraphClient, mine: dict[str, Any]
) -> None:
    assistant_id = mine["assistant_id"]
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, assistant_id, input={})
    other: Any = await client.assistants.create("nested")
    await client.assistants.delete(other["assistant_id"], delete_threads=True)
    await client.threads.get(thread_id)
    await client.assistants.delete(assistant_id, delete_threads=True)
    with pytest.raises(NotFoundError):
        await client.threads.get(thread_id)
    with pytest.raises(NotFoundError):
        await client.assistants.get(assistant_id)


async def test_the_runs_of_a_deleted_assistant_are_cancelled(client: LangGraphClient) -> None:
    made = await client.assistants.create("steps")
    thread_id = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread_id, made["assistant_id"], input={"seconds": 30})
    waiting = await client.runs.create(thread_id, made["assistant_id"], input={})
    await client.assistants.delete(made["assistant_id"])
    await client.runs.join(thread_id, run["run_id"])
    for run_id in (run["run_id"], waiting["run_id"]):
        assert (await client.runs.get(thread_id, run_id))["status"] == "interrupted"


async def test_the_graph_of_an_assistant_is_drawn_and_described(
    client: LangGraphClient, mine: dict[str, Any]
) -> None:
    assistant_id = mine["assistant_id"]
    flat: Any = await client.assistants.get_graph(assistant_id)
    assert [node["id"] for node in flat["nodes"]] == ["__start__", "inner", "__end__"]
    deep: Any = await client.assistants.get_graph(assistant_id, xray=1)
    assert "inner:tell" in [node["id"] for node in deep["nodes"]]
    with pytest.raises(UnprocessableEntityError, match="xray"):
        await client.assistants.get_graph(assistant_id, xray=-1)
    schemas: Any = await client.assistants.get_schemas(assistant_id)
    assert schemas["graph_id"] == "nested"
    assert schemas["context_schema"]["properties"]["model"]["default"] == "plain"
    for name in ("input_schema", "output_schema", "state_schema"):
        assert "model" in schemas[name]["properties"], name
    subgraphs: Any = await client.assistants.get_subgraphs(assistant_id, recurse=True)
    assert list(subgraphs) == ["inner"]
    assert "model" in subgraphs["inner"]["state_schema"]["properties"]
    assert list(await client.assistants.get_subgraphs(assistant_id, "inner")) == ["inner"]
    assert await client.assistants.get_subgraphs(assistant_id, "nosuch") == {}
    assert await client.assistants.get_subgraphs("steps") == {}
