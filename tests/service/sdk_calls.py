"""What every method of langgraph_sdk's clients is asked, and what is right about the answer.

    python -m tests.service.sdk_calls

writes the list of them into docs/agent.md. A method that the SDK gains and nobody asks here fails the tests.
"""

import asyncio
import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk._async import assistants, cron, runs, store, threads
from langgraph_sdk.errors import APIStatusError

DOCS = Path(__file__).parents[2] / "docs" / "agent.md"
BEGIN, END = "<!-- calls of the SDK: begin -->\n", "<!-- calls of the SDK: end -->\n"

CLIENTS: dict[str, Any] = {
    "assistants": assistants.AssistantsClient,
    "threads": threads.ThreadsClient,
    "runs": runs.RunsClient,
    "crons": cron.CronClient,
    "store": store.StoreClient,
}

Call = Callable[[Any], Awaitable[None]]
CALLS: dict[str, Call] = {}
"""By `client.method`: what asks it, and asserts that the answer is right."""

STEPS = ["one", "two", "three", "four"]


def methods() -> list[str]:
    """All that the SDK has."""
    return [
        f"{name}.{method}"
        for name, client in CLIENTS.items()
        for method, function in vars(client).items()
        if not method.startswith("_") and inspect.isfunction(function)
    ]


class Plain:
    """The sync client as the async one is called: in a thread, its streams read whole."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found) or name in CLIENTS:
            return Plain(found)

        def call(*args: Any, **kwargs: Any) -> Any:
            if name in ("stream", "join_stream"):
                return _Streamed(lambda: list(found(*args, **kwargs)))
            return asyncio.to_thread(found, *args, **kwargs)

        return call

    def follow_a_thread(self) -> None:
        """What `_stream_thread` does: its objects have more to call than a stream has."""
        with self._inner.threads.stream(assistant_id="ask") as thread:
            thread.run.start(input={})
            for _ in thread.values:
                pass
            assert thread.interrupted
            thread.run.respond("yes")
            assert thread.output["done"] == ["yes"]


class _Streamed:
    """Awaited or iterated over, as the async client's streams are."""

    def __init__(self, read: Callable[[], list[Any]]) -> None:
        self._read = read

    async def __aiter__(self) -> AsyncIterator[Any]:
        for part in await asyncio.to_thread(self._read):
            yield part


def asks(name: str) -> Callable[[Call], Call]:
    def keep(call: Call) -> Call:
        CALLS[name] = call
        return call

    return keep


async def _thread(client: Any, **more: Any) -> str:
    return str((await client.threads.create(**more))["thread_id"])


async def _ran(client: Any, **values: Any) -> str:
    """A thread on which `steps` has run."""
    thread_id = await _thread(client)
    await client.runs.wait(thread_id, "steps", input=values)
    return thread_id


async def _long(client: Any) -> tuple[str, str]:
    thread_id = await _thread(client)
    run = await client.runs.create(thread_id, "steps", input={"seconds": 20})
    return thread_id, run["run_id"]


async def _until(client: Any, thread_id: str, run_id: str, *statuses: str) -> str:
    for _ in range(200):
        status = str((await client.runs.get(thread_id, run_id))["status"])
        if status in statuses:
            return status
        await asyncio.sleep(0.05)
    raise AssertionError(f"the run is {status}, and never one of {statuses}")


async def refused(call: Awaitable[Any], status: int = 404) -> None:
    with pytest.raises(APIStatusError) as refusal:
        await call
    assert refusal.value.status_code == status


@asks("assistants.create")
@asks("assistants.get")
async def _create_assistant(client: Any) -> None:
    made = await client.assistants.create("steps", name="mine", metadata={"a": 1}, description="what for")
    assert await client.assistants.get(made["assistant_id"]) == made
    given = {name: made[name] for name in ("graph_id", "name", "description", "version")}
    assert given == {"graph_id": "steps", "name": "mine", "description": "what for", "version": 1}
    again = await client.assistants.create(
        "steps", assistant_id=made["assistant_id"], if_exists="do_nothing", name="other"
    )
    assert again["name"] == "mine"
    await refused(client.assistants.create("steps", assistant_id=made["assistant_id"]), 409)


@asks("assistants.get_graph")
async def _graph(client: Any) -> None:
    drawn = await client.assistants.get_graph("steps", xray=True)
    assert set(STEPS) <= {node["id"] for node in drawn["nodes"]}
    assert drawn["edges"]


@asks("assistants.get_schemas")
async def _schemas(client: Any) -> None:
    (steps,) = await client.assistants.search(graph_id="steps", metadata={"created_by": "system"})
    found = await client.assistants.get_schemas(steps["assistant_id"])
    assert found["graph_id"] == "steps"
    assert {"done", "tag", "seconds"} <= set(found["input_schema"]["properties"])


@asks("assistants.get_subgraphs")
async def _subgraphs(client: Any) -> None:
    (steps,) = await client.assistants.search(graph_id="steps", metadata={"created_by": "system"})
    assert await client.assistants.get_subgraphs(steps["assistant_id"], recurse=True) == {}


@asks("assistants.update")
@asks("assistants.get_versions")
@asks("assistants.set_latest")
async def _versions(client: Any) -> None:
    made = (await client.assistants.create("steps", name="first"))["assistant_id"]
    changed = await client.assistants.update(made, name="second", metadata={"b": 2})
    assert (changed["name"], changed["version"], changed["metadata"]["b"]) == ("second", 2, 2)
    assert [each["version"] for each in await client.assistants.get_versions(made)] == [2, 1]
    assert (await client.assistants.set_latest(made, 1))["name"] == "first"


@asks("assistants.delete")
async def _delete_assistant(client: Any) -> None:
    made = (await client.assistants.create("steps"))["assistant_id"]
    await client.assistants.delete(made)
    await refused(client.assistants.get(made))


@asks("assistants.search")
@asks("assistants.count")
async def _search_assistants(client: Any) -> None:
    mark = {"mark": str(uuid.uuid4())}
    for name in ("b", "a"):
        await client.assistants.create("steps", name=name, metadata=mark)
    found = await client.assistants.search(
        metadata=mark, sort_by="name", sort_order="asc", select=["name", "graph_id"], limit=5
    )
    assert found == [{"graph_id": "steps", "name": name} for name in ("a", "b")]
    assert await client.assistants.count(metadata=mark) == 2


@asks("threads.create")
@asks("threads.get")
async def _create_thread(client: Any) -> None:
    thread_id = str(uuid.uuid4())
    made = await client.threads.create(thread_id=thread_id, metadata={"a": 1}, graph_id="steps")
    found = await client.threads.get(thread_id)
    assert (found["thread_id"], found["status"], found["metadata"]["a"]) == (thread_id, "idle", 1)
    assert made["metadata"] == found["metadata"]
    await client.threads.create(thread_id=thread_id, if_exists="do_nothing")
    await refused(client.threads.create(thread_id=thread_id, if_exists="raise"), 409)
    filled = await _thread(
        client,
        graph_id="steps",
        supersteps=[{"updates": [{"values": {"tag": "x", "done": ["one"]}, "as_node": "one"}]}],
    )
    state = await client.threads.get_state(filled)
    assert (state["values"]["tag"], state["next"]) == ("x", ["two"])


@asks("threads.update")
async def _update_thread(client: Any) -> None:
    thread_id = await _thread(client, metadata={"a": 1})
    changed = await client.threads.update(thread_id, metadata={"b": 2})
    assert {"a": 1, "b": 2}.items() <= changed["metadata"].items()


@asks("threads.delete")
async def _delete_thread(client: Any) -> None:
    thread_id = await _ran(client)
    await client.threads.delete(thread_id)
    await refused(client.threads.get(thread_id))


@asks("threads.search")
@asks("threads.count")
async def _search_threads(client: Any) -> None:
    mark = {"mark": str(uuid.uuid4())}
    ids = [await _thread(client, metadata=mark) for _ in range(3)]
    await client.runs.wait(ids[0], "steps", input={"tag": mark["mark"]})
    found = await client.threads.search(metadata=mark, sort_by="created_at", sort_order="asc", limit=2)
    assert [each["thread_id"] for each in found] == ids[:2]
    by_values = await client.threads.search(values={"tag": mark["mark"]}, select=["thread_id", "status"])
    assert by_values == [{"thread_id": ids[0], "status": "idle"}]
    assert [each["thread_id"] for each in await client.threads.search(ids=ids[2:])] == ids[2:]
    assert await client.threads.count(metadata=mark) == 3


@asks("threads.copy")
async def _copy_thread(client: Any) -> None:
    thread_id = await _ran(client)
    copied = await client.threads.copy(thread_id)
    assert copied["thread_id"] != thread_id
    assert (await client.threads.get_state(copied["thread_id"]))["values"]["done"] == STEPS


@asks("threads.prune")
async def _prune(client: Any) -> None:
    ids = [await _ran(client) for _ in range(2)]
    assert (await client.threads.prune(ids, strategy="delete"))["pruned_count"] == 2
    for thread_id in ids:
        await refused(client.threads.get(thread_id))


@asks("threads.get_state")
@asks("threads.get_history")
async def _states(client: Any) -> None:
    thread_id = await _ran(client)
    state = await client.threads.get_state(thread_id)
    assert (state["values"]["done"], state["next"]) == (STEPS, [])
    history = await client.threads.get_history(thread_id, limit=20)
    assert [len(each["values"].get("done", [])) for each in history] == [4, 3, 2, 1, 0, 0]
    assert history[0]["checkpoint"]["checkpoint_id"] == state["checkpoint"]["checkpoint_id"]
    earlier = await client.threads.get_state(thread_id, checkpoint=history[2]["checkpoint"])
    assert (earlier["values"]["done"], earlier["next"]) == (["one", "two"], ["three"])


@asks("threads.update_state")
async def _update_state(client: Any) -> None:
    thread_id = await _ran(client)
    made = await client.threads.update_state(thread_id, {"done": ["by hand"]}, as_node="two")
    assert made["checkpoint"]["thread_id"] == thread_id
    state = await client.threads.get_state(thread_id)
    assert (state["values"]["done"], state["next"]) == ([*STEPS, "by hand"], ["three"])


@asks("threads.stream")
async def _stream_thread(client: Any) -> None:
    if isinstance(client, Plain):
        await asyncio.to_thread(client.follow_a_thread)
        return
    async with client.threads.stream(assistant_id="ask") as thread:
        await thread.run.start(input={})
        async for _ in thread.values:
            pass
        assert thread.interrupted
        await thread.run.respond("yes")
        assert (await thread.output)["done"] == ["yes"]


@asks("threads.join_stream")
async def _join_thread(client: Any) -> None:
    thread_id = await _thread(client)

    async def read() -> list[Any]:
        stream = client.threads.join_stream(thread_id)
        if inspect.isawaitable(stream):
            stream = await stream
        return [part.event async for part in stream]

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.5)
    await client.runs.wait(thread_id, "steps", input={})
    await asyncio.sleep(0.5)
    if isinstance(client, Plain):
        await client.threads.delete(thread_id)  # the stream ends with its thread
        assert "metadata" in await asyncio.wait_for(reading, 20)
    else:
        reading.cancel()


@asks("runs.stream")
async def _stream(client: Any) -> None:
    thread_id = await _thread(client)
    parts = [part async for part in client.runs.stream(thread_id, "steps", input={}, stream_mode="updates")]
    assert [next(iter(part.data)) for part in parts if part.event == "updates"] == STEPS
    assert parts[0].event == "metadata"


@asks("runs.create")
@asks("runs.join")
async def _create_run(client: Any) -> None:
    thread_id = await _thread(client)
    run = await client.runs.create(thread_id, "steps", input={"tag": "x"}, metadata={"a": 1})
    assert (run["thread_id"], run["metadata"]["a"], run["status"] in ("pending", "running")) == (
        thread_id,
        1,
        True,
    )
    assert (await client.runs.join(thread_id, run["run_id"]))["done"] == STEPS


@asks("runs.create_batch")
async def _batch(client: Any) -> None:
    made = await client.runs.create_batch(
        [{"assistant_id": "steps", "input": {"tag": tag}, "on_completion": "keep"} for tag in ("a", "b")]
    )
    assert len({run["run_id"] for run in made}) == 2
    for run in made:
        assert await _until(client, run["thread_id"], run["run_id"], "success")


@asks("runs.wait")
async def _wait(client: Any) -> None:
    assert (await client.runs.wait(None, "steps", input={"tag": "x"}))["tag"] == "x"
    thread_id = await _thread(client)
    asked = await client.runs.wait(thread_id, "ask", input={})
    assert asked["__interrupt__"][0]["value"] == {"question": "go on?"}
    assert (await client.runs.wait(thread_id, "ask", command={"resume": "yes"}))["done"] == ["yes"]


@asks("runs.list")
@asks("runs.get")
async def _list_runs(client: Any) -> None:
    thread_id = await _ran(client)
    await client.runs.wait(thread_id, "steps", input={})
    listed = await client.runs.list(thread_id, status="success")
    assert len(listed) == 2
    assert listed[0]["created_at"] > listed[1]["created_at"]
    assert (await client.runs.get(thread_id, listed[0]["run_id"]))["status"] == "success"
    assert [set(run) for run in await client.runs.list(thread_id, limit=1, select=["run_id"])] == [{"run_id"}]


@asks("runs.cancel")
async def _cancel(client: Any) -> None:
    thread_id, run_id = await _long(client)
    await _until(client, thread_id, run_id, "running")
    await client.runs.cancel(thread_id, run_id, wait=True)
    assert await _until(client, thread_id, run_id, "interrupted")


@asks("runs.cancel_many")
async def _cancel_many(client: Any) -> None:
    thread_id, run_id = await _long(client)
    await _until(client, thread_id, run_id, "running")
    await client.runs.cancel_many(thread_id=thread_id, run_ids=[run_id])
    assert await _until(client, thread_id, run_id, "interrupted")


@asks("runs.join_stream")
async def _join_run(client: Any) -> None:
    thread_id = await _thread(client)
    run = await client.runs.create(
        thread_id, "steps", input={"seconds": 0.3}, stream_mode="updates", stream_resumable=True
    )
    parts = [part async for part in client.runs.join_stream(thread_id, run["run_id"])]
    assert [next(iter(part.data)) for part in parts if part.event == "updates"] == STEPS


@asks("runs.delete")
async def _delete_run(client: Any) -> None:
    thread_id = await _ran(client)
    (run,) = await client.runs.list(thread_id)
    await client.runs.delete(thread_id, run["run_id"])
    await refused(client.runs.get(thread_id, run["run_id"]))


@asks("crons.create")
@asks("crons.update")
@asks("crons.delete")
async def _crons(client: Any) -> None:
    made = await client.crons.create(
        "steps",
        schedule="0 9 * * 1-5",
        timezone="Europe/Berlin",
        input={"tag": "x"},
        metadata={"a": 1},
        on_run_completed="keep",
    )
    assert (made["schedule"], made["timezone"], made["enabled"]) == ("0 9 * * 1-5", "Europe/Berlin", True)
    assert (made["thread_id"], made["on_run_completed"], made["payload"]["input"]) == (
        None,
        "keep",
        {"tag": "x"},
    )
    assert made["next_run_date"] > made["created_at"]
    changed = await client.crons.update(
        made["cron_id"], schedule="30 8 * * *", enabled=False, metadata={"b": 2}, input={"tag": "y"}
    )
    assert (changed["schedule"], changed["enabled"]) == ("30 8 * * *", False)
    assert {"a": 1, "b": 2}.items() <= changed["metadata"].items()
    assert (changed["payload"]["input"], changed["assistant_id"]) == ({"tag": "y"}, made["assistant_id"])
    await refused(client.crons.create("steps", schedule="often"), 422)
    await client.crons.delete(made["cron_id"])
    await refused(client.crons.update(made["cron_id"], enabled=True))


@asks("crons.create_for_thread")
@asks("crons.search")
@asks("crons.count")
async def _search_crons(client: Any) -> None:
    thread_id = await _thread(client)
    end = datetime(2100, 1, 1, tzinfo=UTC)
    made = [
        await client.crons.create_for_thread(
            thread_id, "steps", schedule=schedule, end_time=end, enabled=enabled
        )
        for schedule, enabled in (("0 9 * * *", True), ("0 10 * * *", False))
    ]
    assert made[0]["thread_id"] == thread_id
    assert datetime.fromisoformat(made[0]["end_time"]) == end
    found = await client.crons.search(thread_id=thread_id, sort_by="created_at", sort_order="asc")
    assert [cron["cron_id"] for cron in found] == [cron["cron_id"] for cron in made]
    off = await client.crons.search(thread_id=thread_id, enabled=False, select=["schedule"])
    assert off == [{"schedule": "0 10 * * *"}]
    assert await client.crons.count(thread_id=thread_id, assistant_id=made[0]["assistant_id"]) == 2
    await refused(client.crons.create_for_thread(str(uuid.uuid4()), "steps", schedule="0 9 * * *"))


@asks("store.put_item")
@asks("store.get_item")
@asks("store.delete_item")
async def _items(client: Any) -> None:
    space = ["walk", uuid.uuid4().hex]
    await client.store.put_item(space, "k", {"a": 1})
    found = await client.store.get_item(space, "k")
    assert (found["namespace"], found["key"], found["value"]) == (space, "k", {"a": 1})
    await client.store.delete_item(space, "k")
    assert (await client.store.search_items(space))["items"] == []


@asks("store.search_items")
@asks("store.list_namespaces")
async def _search_items(client: Any) -> None:
    space = ["walk", uuid.uuid4().hex]
    for number in range(3):
        await client.store.put_item([*space, str(number)], "k", {"even": number % 2 == 0})
    found = (await client.store.search_items(space, filter={"even": True}))["items"]
    assert sorted(item["namespace"][-1] for item in found) == ["0", "2"]
    spaces = (await client.store.list_namespaces(prefix=space))["namespaces"]
    assert sorted(spaces) == [[*space, str(number)] for number in range(3)]


def table() -> Iterator[str]:
    """By client, which methods are asked, and which are not there."""
    yield "| `client.` | works, in the async and the sync client | not there yet |"
    yield "|---|---|---|"
    for client in CLIENTS:
        known = [name.partition(".")[2] for name in methods() if name.partition(".")[0] == client]
        asked = [name for name in known if f"{client}.{name}" in CALLS]
        missing = [name for name in known if name not in asked]
        yield f"| `{client}` | {', '.join(asked) or 'none'} | {', '.join(missing)} |"


def documented(text: str) -> str:
    """The page with the list as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "".join([before, BEGIN, "\n".join(table()), "\n", END, after])


if __name__ == "__main__":
    DOCS.write_text(documented(DOCS.read_text()))
