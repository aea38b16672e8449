"""`client.threads.stream`: runs in LangGraph's event streaming protocol, by the official clients."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, suppress
from multiprocessing import get_context
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import LangGraphClient

from tests.service.serving import KEY, OTHER_KEY, Served, serving
from tests.service.versions import since

sockets: Any = pytest.importorskip("websockets.asyncio.client", reason="older SDKs have no sockets")
exceptions: Any = pytest.importorskip("websockets.exceptions")

pytestmark = [since("langgraph-sdk", "0.4.14"), since("langgraph", "1.2")]

STEPS = ["one", "two", "three", "four"]
HEADERS = {"X-API-Key": KEY.partition(":")[2]}
ALL = ["values", "updates", "messages", "tools", "lifecycle", "input", "checkpoints", "tasks", "custom"]


def stream(client: Any, assistant_id: str, thread_id: str | None = None, **more: Any) -> Any:
    return client.threads.stream(thread_id, assistant_id=assistant_id, **more)


def over(transport: str) -> dict[str, Any]:
    """The SDK sends a client's own headers by HTTP alone."""
    return {"transport": transport, "headers": HEADERS}


def asks(text: str) -> Any:
    return {"messages": [{"role": "user", "content": text}]}


async def until(so: Callable[[], Any]) -> None:
    for _ in range(200):
        if so():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never came to this")


async def read(events: AsyncIterator[Any], until: int = 1) -> list[Any]:
    """Until so many runs have ended or wait for an answer."""
    found: list[Any] = []
    async with asyncio.timeout(15):
        async for event in events:
            found.append(event)
            ends = [e for e in found if e["method"] == "lifecycle" and not e["params"]["namespace"]]
            if len([e for e in ends if e["params"]["data"]["event"] != "running"]) == until:
                break
    return found


def told(events: list[Any], method: str, namespace: list[str] | None = None) -> list[Any]:
    return [
        event["params"]["data"]
        for event in events
        if event["method"] == method and namespace in (None, event["params"]["namespace"])
    ]


TRANSPORTS = pytest.mark.parametrize("transport", ["sse", "websocket"])


@TRANSPORTS
async def test_a_run_is_started_followed_and_asked_for_its_output(
    client: LangGraphClient, transport: str
) -> None:
    async with asyncio.timeout(15), stream(client, "steps", **over(transport)) as thread:
        run = await thread.run.start(input={"tag": "x", "seconds": 0.05}, metadata={"a": 1})
        values = [value.get("done") async for value in thread.values]
        assert values[-1] == STEPS
        assert await thread.output == {"tag": "x", "seconds": 0.05, "done": STEPS}
        tree: Any = await thread.agent.get_tree()
        assert {node["id"] for node in tree["nodes"]} >= set(STEPS)
        found: Any = await client.runs.get(thread.thread_id, run["run_id"])
        assert (found["status"], found["metadata"]["a"]) == ("success", 1)


async def test_the_next_run_of_a_thread_is_not_taken_for_the_last_one(client: LangGraphClient) -> None:
    thread_id = None
    for turn in (1, 2):
        async with asyncio.timeout(15), stream(client, "steps", thread_id) as thread:
            await asyncio.sleep(0.2)
            await thread.run.start(input={"seconds": 0.02})
            assert [value.get("done") async for value in thread.values][-1] == STEPS * turn
            assert (await thread.output)["done"] == STEPS * turn
            thread_id = thread.thread_id


async def test_who_comes_for_a_run_after_its_end_hears_of_it_and_the_next_one_does_not(
    client: LangGraphClient,
) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    start = {"id": 1, "method": "run.start", "params": {"assistant_id": "steps", "input": {}}}
    started: Any = await client.http.post(f"/threads/{thread_id}/commands", json=start)
    await client.runs.join(thread_id, started["result"]["run_id"])

    async def hear(*channels: str) -> list[str]:
        http = client.http.client
        path = f"/threads/{thread_id}/stream/events"
        async with http.stream("POST", path, json={"channels": channels}) as answer:
            events = (json.loads(x[6:]) async for x in answer.aiter_lines() if x.startswith("data: "))
            return [state["event"] for state in told(await read(events), "lifecycle")]

    # A client's stream of messages may be told of the end before its stream of states is open.
    assert await hear("messages", "lifecycle") == ["running", "completed"]
    assert await hear("lifecycle", "input") == ["running", "completed"]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(hear("lifecycle", "input"), 1)


async def test_who_comes_to_a_run_that_has_ended_hears_how_it_went(client: LangGraphClient) -> None:
    async with asyncio.timeout(15), stream(client, "steps") as first:
        await first.run.start(input={})
        await first.output
    async with asyncio.timeout(15), stream(client, "steps", first.thread_id) as second:
        assert (await second.output)["done"] == STEPS
        events = await read(second.events)
        assert [next(iter(update)) for update in told(events, "updates")] == STEPS
        assert told(events, "lifecycle") == [
            {"event": "running", "graph_name": "steps"},
            {"event": "completed", "graph_name": "steps"},
        ]
        tasks = told(events, "tasks")
        assert [task["name"] for task in tasks if "result" in task] == STEPS
        checkpoints = told(events, "checkpoints")
        assert [checkpoint["step"] for checkpoint in checkpoints] == [-1, 0, 1, 2, 3, 4]
        assert [each.get("parent_id") for each in checkpoints[1:]] == [
            each["id"] for each in checkpoints[:-1]
        ]
        seqs = [event["seq"] for event in events]
        assert seqs == sorted(set(seqs))
        assert seqs[-1] < 2**53


@TRANSPORTS
async def test_an_interrupt_is_told_and_answered(client: LangGraphClient, transport: str) -> None:
    async with asyncio.timeout(15), stream(client, "ask", **over(transport)) as thread:
        await thread.run.start(input={})
        async for _ in thread.values:
            pass
        assert thread.interrupted
        (asked,) = thread.interrupts
        assert asked["value"] == {"question": "go on?"}
        await thread.run.respond("yes", interrupt_id=asked["interrupt_id"])
        assert (await thread.output)["done"] == ["yes"]


async def test_who_comes_to_a_thread_that_waits_is_asked_and_may_answer_by_an_input(
    client: LangGraphClient,
) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, "ask", input={})
    async with asyncio.timeout(15), stream(client, "ask", thread_id) as thread:
        await until(lambda: thread.interrupted)
        assert [asked["value"] for asked in thread.interrupts] == [{"question": "go on?"}]
        await thread.run.start(input="of course")
        assert (await thread.output)["done"] == ["of course"]


async def test_what_a_graph_raises_is_what_the_output_raises(client: LangGraphClient) -> None:
    async with asyncio.timeout(15), stream(client, "steps") as thread:
        await thread.run.start(input={"fail_at": "two"})
        with pytest.raises(RuntimeError, match="two failed"):
            await thread.output


async def test_messages_and_tool_calls_come_as_they_are_made(client: LangGraphClient) -> None:
    async with asyncio.timeout(20), stream(client, "agent") as thread:
        await thread.run.start(input=asks("What is 6 * 7?"))
        kinds = []
        async for kind, item in thread.interleave_projections(["messages", "tool_calls"]):
            kinds.append(kind)
            if kind == "tool_calls":
                call = item
            else:
                message = item
        assert kinds == ["messages", "tool_calls", "messages"]
        assert call.name == "calculate"
        assert "42" in str(await call.output)
        assert "42" in await message.text
        state = await thread.output
        assert state["messages"][-1]["id"] == (await message).id


async def test_a_subgraph_is_found_and_has_events_of_its_own(client: LangGraphClient) -> None:
    async with asyncio.timeout(15), stream(client, "nested") as thread:
        await thread.run.start(input={})
        children = [child async for child in thread.subgraphs]
        assert [(child.graph_name, child.status) for child in children] == [("inner", "completed")]
    async with asyncio.timeout(15), stream(client, "nested", thread.thread_id) as again:
        events = await read(again.events)
        namespace = list(children[0].path)
        started, ended = told(events, "lifecycle", namespace)
        assert (started["event"], ended["event"]) == ("started", "completed")
        assert told(events, "updates", namespace) == [{"tell": {"model": "plain", "configured": {}}}]
        assert told(events, "updates", []) == [{"inner": {"model": "plain", "configured": {}}}]


@pytest.mark.parametrize(
    ("wanted", "namespaces"),
    [
        ({"namespaces": [["inner"]]}, {1}),
        ({"namespaces": [[]], "depth": 0}, {0}),
        ({"namespaces": [["other"]]}, set()),
        ({}, {0, 1}),
    ],
)
async def test_a_subscription_is_told_what_it_names_and_no_more(
    client: LangGraphClient, wanted: dict[str, Any], namespaces: set[int]
) -> None:
    async with asyncio.timeout(15), stream(client, "nested") as thread:
        run = await thread.run.start(input={})
        events = [event async for event in thread.subscribe(["updates"], **wanted)]
        await client.runs.join(thread.thread_id, run["run_id"])
    # The SDK sifts once more: on the wire there is no more either.
    sent: list[Any] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            wire = lines(client.http.client, thread.thread_id, since=0, channels=["updates"], **wanted)
            async for event in wire:
                sent += [event]
    for found in (events, sent):
        assert {event["method"] for event in found} <= {"updates"}
        assert {len(event["params"]["namespace"]) for event in found} == namespaces


async def lines(http: httpx.AsyncClient, thread_id: str, **body: Any) -> AsyncIterator[Any]:
    """The events of one connection, as they are on the wire."""
    path = f"/threads/{thread_id}/stream/events"
    async with http.stream("POST", path, json={"channels": ALL, **body}) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield httpx.Response(200, content=line.removeprefix("data: ")).json()


async def test_who_was_cut_off_goes_on_behind_what_was_seen(served: Served) -> None:
    async with served.client() as client, httpx.AsyncClient(base_url=served.url, headers=HEADERS) as http:
        async with stream(client, "steps") as thread:
            for _ in range(2):
                run = await thread.run.start(input={"seconds": 0.02})
        await client.runs.join(thread.thread_id, run["run_id"])
        whole = await read(lines(http, thread.thread_id, since=0), until=2)
        for position in (0, 5, len(whole) // 2, len(whole) - 3):
            rest = await read(
                lines(http, thread.thread_id, since=whole[position]["seq"]),
                until=2 if position < len(whole) // 2 - 1 else 1,
            )
            assert [e["event_id"] for e in rest] == [e["event_id"] for e in whole[position + 1 :]]
            assert [e["seq"] for e in rest] == [e["seq"] for e in whole[position + 1 :]]


@TRANSPORTS
async def test_the_sync_client_can_all_of_it_too(served: Served, transport: str) -> None:
    # In a process of its own: the sync client leaves its streams open, and they would end with this one.
    with ProcessPoolExecutor(1, get_context("spawn")) as apart:
        async with asyncio.timeout(60):
            await asyncio.get_running_loop().run_in_executor(apart, turn, served.url, transport)


def turn(url: str, transport: str) -> None:
    with get_sync_client(url=url, api_key=HEADERS["X-API-Key"]) as client:
        with stream(client, "steps", **over(transport)) as thread:
            thread.run.start(input={"seconds": 0.02})
            assert [value.get("done") for value in thread.values][-1] == STEPS
            assert thread.output["done"] == STEPS
        with stream(client, "ask", **over(transport)) as thread:
            thread.run.start(input={})
            for _ in thread.values:
                pass
            assert thread.interrupts[0]["value"] == {"question": "go on?"}
            thread.run.respond("yes")
            assert thread.output["done"] == ["yes"]


async def test_a_run_is_followed_on_another_process_than_its_own(database_uri: str) -> None:
    settings: Any = {"checkpointer": "postgres", "database_uri": database_uri}
    with serving(**settings) as one, serving(**settings) as two:
        async with one.client() as first, two.client() as second, asyncio.timeout(20):
            async with stream(first, "begin") as thread:
                await thread.run.start(input={"seconds": 1})
                async with stream(second, "begin", thread.thread_id) as other:
                    assert [value.get("done") async for value in other.values][-1] == ["one", "two"]
                    assert (await other.output)["done"] == ["one", "two"]
            async with stream(first, "ask") as thread:
                await thread.run.start(input={})
                async with stream(second, "ask", thread.thread_id) as other:
                    await until(lambda other=other: other.interrupted)  # type: ignore[misc]
                    await other.run.respond("yes")
                assert (await thread.output)["done"] == ["yes"]


async def test_commands_say_what_is_wrong_with_them(served: Served) -> None:
    async with served.client() as client, httpx.AsyncClient(base_url=served.url, headers=HEADERS) as http:
        thread_id = (await client.threads.create())["thread_id"]

        async def ask(method: str, params: Any) -> Any:
            body = {"id": 7, "method": method, "params": params}
            answer = await http.post(f"/threads/{thread_id}/commands", json=body)
            assert answer.status_code == 200
            assert (answer.json()["type"], answer.json()["id"]) == ("error", 7)
            return answer.json()["error"], answer.json()["message"]

        code, text = await ask("run.start", {"input": {}, "nonsense": 1})
        assert code == "invalid_argument"
        assert "assistant_id: Field required" in text
        assert "nonsense: is not supported" in text
        code, text = await ask(
            "run.start", {"assistant_id": "steps", "config": {"configurable": {"checkpoint_id": "x"}}}
        )
        assert (code, "checkpoint_id" in text) == ("invalid_argument", True)
        assert (await ask("input.respond", {}))[0] == "invalid_argument"
        assert (await ask("input.respond", {"interrupt_id": "x", "response": 1}))[0] == "no_such_interrupt"
        assert (await ask("state.get", {"namespace": []}))[0] == "not_supported"
        assert (await ask("nonsense", {}))[0] == "unknown_command"
        refused = await http.post(f"/threads/{thread_id}/commands", json={"method": "run.start"})
        assert (refused.status_code, "id: Field required" in refused.text) == (422, True)
        refused = await http.post(f"/threads/{thread_id}/stream/events", json={"channels": ["nonsense"]})
        assert (refused.status_code, "there is no channel 'nonsense'" in refused.text) == (422, True)


async def test_events_and_commands_of_a_thread_are_for_its_owner(served: Served) -> None:
    async with served.client() as client, served.client(OTHER_KEY) as other:
        async with stream(client, "ask") as thread:
            await thread.run.start(input={})
            async for _ in thread.values:
                pass
            (asked,) = thread.interrupts
        async with stream(other, "ask", thread.thread_id) as stranger:
            for call in (
                stranger.run.start(input={}),
                anext(stranger.events),
                anext(aiter(stranger.values)),
            ):
                with pytest.raises((httpx.HTTPStatusError, StopAsyncIteration)):
                    await call
        command = {"interrupt_id": asked["interrupt_id"], "response": "mine"}
        async with httpx.AsyncClient(base_url=served.url) as http:
            path = f"/threads/{thread.thread_id}"
            body = {"id": 1, "method": "input.respond", "params": command}
            theirs = {"X-API-Key": OTHER_KEY.partition(":")[2]}
            answer = await http.post(f"{path}/commands", json=body, headers=theirs)
            assert answer.json()["error"] == "no_such_interrupt"
            for there, given in (("commands", body), ("stream/events", {"channels": ["values"]})):
                assert (await http.post(f"{path}/{there}", json=given)).status_code == 401
            refused = await http.post(f"{path}/stream/events", json={"channels": ["values"]}, headers=theirs)
            assert refused.status_code == 404
        assert (await client.threads.get(thread.thread_id))["status"] == "interrupted"


async def test_a_run_goes_on_from_the_checkpoint_that_its_config_names(client: LangGraphClient) -> None:
    async with asyncio.timeout(15), stream(client, "steps") as thread:
        await thread.run.start(input={"tag": str(uuid.uuid4())})
        await thread.output
        history: Any = await client.threads.get_history(thread.thread_id, limit=20)
        two = next(state for state in history if state["values"]["done"] == ["one", "two"])
    async with asyncio.timeout(15), stream(client, "steps", thread.thread_id) as forked:
        config = {"configurable": {"checkpoint_id": two["checkpoint"]["checkpoint_id"]}}
        await forked.run.start(config=config)
        assert [
            next(iter(u)) for u in told([e async for e in forked.subscribe(["updates"])], "updates")
        ] == STEPS[2:]


@asynccontextmanager
async def socket(served: Served, thread_id: str, **headers: str) -> AsyncIterator[Any]:
    """Sends a frame, and gives the next ones until it is answered."""
    url = f"{served.url.replace('http', 'ws')}/threads/{thread_id}/stream/events"
    async with sockets.connect(url, additional_headers={**HEADERS, **headers}) as websocket:
        yield websocket


async def answer(websocket: Any, frame: Any, *, within: float = 10) -> Any:
    await websocket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))
    async with asyncio.timeout(within):
        while (found := json.loads(await websocket.recv())).get("type") == "event":
            pass
    return found


async def test_a_socket_takes_commands_and_subscriptions(served: Served) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        async with socket(served, thread_id) as websocket:
            for frame, error in (
                ("nonsense", "invalid_argument"),
                (b"[1]", "invalid_argument"),
                ({"id": 1, "method": "nonsense"}, "unknown_command"),
                (
                    {"id": 1, "method": "subscription.subscribe", "params": {"channels": []}},
                    "invalid_argument",
                ),
                (
                    {"id": 1, "method": "subscription.unsubscribe", "params": {"subscription_id": "x"}},
                    "no_such_subscription",
                ),
                ({"id": 1, "method": "run.start", "params": {"assistant_id": "nobody"}}, "unknown_error"),
            ):
                refused = await answer(websocket, frame)
                assert (refused["type"], refused["error"]) == ("error", error)
            wanted = {"channels": ["updates", "lifecycle"]}
            done = await answer(websocket, {"id": 2, "method": "subscription.subscribe", "params": wanted})
            assert (done["type"], done["id"]) == ("success", 2)
            start = {"assistant_id": "steps", "input": {}}
            await websocket.send(json.dumps({"id": 3, "method": "run.start", "params": start}))

            async def frames() -> AsyncIterator[Any]:
                async for frame in websocket:
                    found = json.loads(frame)
                    if found["type"] == "event":
                        yield found

            events = await read(frames())
            assert [next(iter(update)) for update in told(events, "updates")] == STEPS
            gone = {"subscription_id": done["result"]["subscription_id"]}
            off = {"id": 4, "method": "subscription.unsubscribe", "params": gone}
            assert (await answer(websocket, off))["result"] == {}
            await answer(websocket, {"id": 5, "method": "run.start", "params": start})
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(websocket.recv(), 1)


async def test_a_socket_is_for_the_owner_of_its_thread(served: Served) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
    with pytest.raises(exceptions.InvalidStatus):
        async with socket(served, thread_id, **{"X-API-Key": "wrong"}):
            pass
    stranger = {"X-API-Key": OTHER_KEY.partition(":")[2]}
    for headers, code in ((stranger, 4404), ({"Origin": "https://evil.example.com"}, 4403)):
        async with socket(served, thread_id, **headers) as websocket:
            with pytest.raises(exceptions.ConnectionClosed) as closed:
                await websocket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == code
    async with socket(served, thread_id, Origin=served.url) as websocket:
        assert (await answer(websocket, {"id": 1, "method": "x"}))["error"] == "unknown_command"


async def test_the_sockets_of_a_thread_close_with_it(served: Served) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        async with socket(served, thread_id) as websocket:
            wanted = {"channels": ["values"]}
            await answer(websocket, {"id": 1, "method": "subscription.subscribe", "params": wanted})
            await client.threads.delete(thread_id)
            with pytest.raises(exceptions.ConnectionClosed) as closed:
                await asyncio.wait_for(websocket.recv(), 10)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
