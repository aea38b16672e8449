"""The official client against the service, over HTTP, on every checkpointer."""

import asyncio
import itertools
import uuid
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, InternalServerError, NotFoundError, UnprocessableEntityError

from tests.service.serving import OTHER_KEY, Served


def ask(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


async def wait(client: LangGraphClient, thread_id: str | None, graph: str = "agent", **more: Any) -> Any:
    return await client.runs.wait(thread_id, graph, **more)


async def new_thread(client: LangGraphClient) -> str:
    return (await client.threads.create())["thread_id"]


async def events(client: LangGraphClient, thread_id: str | None, graph: str = "agent", **more: Any) -> Any:
    return [part async for part in client.runs.stream(thread_id, graph, **more)]


async def test_a_run_that_is_waited_for_answers_with_the_last_values(client: LangGraphClient) -> None:
    values = await wait(client, await new_thread(client), input=ask("What is 6 * 7?"))
    assert values["messages"][-1]["content"] == "The calculate tool says: 42"


async def test_a_thread_remembers_its_earlier_runs(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    await wait(client, thread_id, input=ask("first"))
    values = await wait(client, thread_id, input=ask("second"))
    assert [m["content"] for m in values["messages"] if m["type"] == "human"] == ["first", "second"]


async def test_a_run_without_a_thread_answers_and_keeps_nothing(
    served: Served, client: LangGraphClient
) -> None:
    if not served.service.settings.process_role.executes:
        pytest.skip("where runs are executed by another process, its thread goes a minute later")
    before = await client.threads.count()
    values = await wait(client, None, input=ask("hello"))
    assert values["messages"][-1]["content"] == "You said: hello"
    assert await client.threads.count() == before


async def test_assistants_are_found_by_name_and_by_id(client: LangGraphClient) -> None:
    found = await client.assistants.search(limit=10)
    assert {a["graph_id"] for a in found} == {"agent", "steps", "nested", "begin", "ask"}
    for assistant in found:
        assert await client.assistants.get(assistant["assistant_id"]) == assistant
        assert await client.assistants.get(assistant["graph_id"]) == assistant
    assert [a["graph_id"] for a in await client.assistants.search(graph_id="ask")] == ["ask"]
    schemas = await client.assistants.get_schemas("steps")
    assert "done" in (schemas["input_schema"] or {})["properties"]
    drawing = await client.assistants.get_graph("steps")
    assert {"one", "two", "three", "four"} <= {str(node["id"]) for node in drawing["nodes"]}


async def test_an_unknown_assistant_is_answered_with_the_known_ones(client: LangGraphClient) -> None:
    with pytest.raises(NotFoundError, match="agent, steps, nested, begin, ask"):
        await client.assistants.get("nobody")


async def test_a_stream_starts_with_the_run_id_and_ends_with_end(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    seen: list[Any] = []
    parts = await events(
        client, thread_id, "steps", input={}, stream_mode="updates", on_run_created=seen.append
    )
    assert [part.event for part in parts] == ["metadata", *["updates"] * 4, "end"]
    assert [next(iter(part.data)) for part in parts[1:-1]] == ["one", "two", "three", "four"]
    assert seen == [{"run_id": parts[0].data["run_id"], "thread_id": thread_id}]


async def test_values_show_the_whole_state_after_each_step(client: LangGraphClient) -> None:
    parts = await events(client, await new_thread(client), "steps", input={"tag": "x"}, stream_mode="values")
    assert [part.data.get("done", []) for part in parts if part.event == "values"] == [
        ["one", "two", "three", "four"][:length] for length in range(5)
    ]


async def test_messages_grow_while_the_model_speaks(client: LangGraphClient) -> None:
    parts = await events(
        client,
        await new_thread(client),
        input=ask("one two three"),
        stream_mode=["messages", "messages-tuple"],
    )
    partial = [part.data[0]["content"] for part in parts if part.event == "messages/partial"]
    assert partial[-1] == "You said: one two three"
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(partial))
    tokens = [part.data[0]["content"] for part in parts if part.event == "messages"]
    assert "".join(tokens) == "You said: one two three"
    assert len(tokens) > 3
    assert sum(part.event == "messages/metadata" for part in parts) == 1


async def test_a_run_that_asks_a_person_goes_on_by_a_command(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    values = await wait(client, thread_id, input=ask("Remember that I like tea"))
    (interrupt,) = values["__interrupt__"]
    assert interrupt["value"]["action_requests"][0]["args"] == {"note": "I like tea"}
    thread = await client.threads.get(thread_id)
    assert thread["status"] == "interrupted"
    assert [i["id"] for found in thread["interrupts"].values() for i in found] == [interrupt["id"]]
    values = await wait(client, thread_id, command={"resume": {"decisions": [{"type": "approve"}]}})
    assert values["notes"] == ["I like tea"]
    assert (await client.threads.get(thread_id))["status"] == "idle"


async def test_a_declined_action_does_not_happen(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    await wait(client, thread_id, input=ask("Remember that I like tea"))
    values = await wait(client, thread_id, command={"resume": {"decisions": [{"type": "reject"}]}})
    assert not values.get("notes")


async def test_a_run_can_stop_before_a_named_step_and_go_on(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    await wait(client, thread_id, "steps", input={}, interrupt_before=["three"])
    state = await client.threads.get_state(thread_id)
    assert state["next"] == ["three"]
    assert (await client.threads.get(thread_id))["status"] == "interrupted"
    values = await wait(client, thread_id, "steps", input=None)
    assert values["done"] == ["one", "two", "three", "four"]


async def test_the_state_of_a_thread_is_read_changed_and_gone_back_to(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    assert (await client.threads.get_state(thread_id))["values"] == {}
    await wait(client, thread_id, "steps", input={"tag": "a"})
    history: Any = await client.threads.get_history(thread_id, limit=20)
    assert [len(s["values"].get("done", [])) for s in history] == [4, 3, 2, 1, 0, 0]
    after_two = history[2]["checkpoint"]
    state = await client.threads.get_state(thread_id, checkpoint=after_two)
    assert state["next"] == ["three"]
    same = await client.threads.get_state(thread_id, checkpoint_id=after_two["checkpoint_id"])
    assert same["values"] == state["values"]
    made = await client.threads.update_state(thread_id, {"done": ["extra"]}, as_node="four")
    latest = await client.threads.get_state(thread_id)
    assert latest["checkpoint"]["checkpoint_id"] == made["checkpoint"]["checkpoint_id"]
    assert latest["values"]["done"][-1] == "extra"  # type: ignore[call-overload]
    again = await wait(client, thread_id, "steps", input=None, checkpoint=after_two)
    assert again["done"] == ["one", "two", "three", "four"]
    earlier = await client.threads.get_history(thread_id, before=after_two, limit=20)
    assert after_two["checkpoint_id"] not in {s["checkpoint"]["checkpoint_id"] for s in earlier}


async def test_threads_are_found_by_what_is_known_of_them(client: LangGraphClient) -> None:
    mark = uuid.uuid4().hex
    made = [(await client.threads.create(metadata={"mark": mark, "n": n}))["thread_id"] for n in range(3)]
    found: Any = await client.threads.search(metadata={"mark": mark}, sort_by="created_at", sort_order="asc")
    assert [t["thread_id"] for t in found] == made
    (one,) = await client.threads.search(metadata={"mark": mark, "n": 1})
    assert one["thread_id"] == made[1]
    page = await client.threads.search(metadata={"mark": mark}, limit=2, offset=2)
    assert len(page) == 1
    assert len(await client.threads.search(ids=made[:2])) == 2
    assert await client.threads.count(metadata={"mark": mark}) == 3
    await client.threads.update(made[0], metadata={"extra": True})
    assert (await client.threads.get(made[0]))["metadata"] == {"mark": mark, "n": 0, "extra": True}
    await wait(client, made[1], "steps", input={})
    ran: Any = await client.threads.search(metadata={"mark": mark, "graph_id": "steps"}, status="idle")
    assert ran[0]["values"]["done"] == ["one", "two", "three", "four"]


async def test_a_deleted_thread_is_gone_with_its_checkpoints(served: Served, client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    await wait(client, thread_id, "steps", input={})
    await client.threads.delete(thread_id)
    with pytest.raises(NotFoundError):
        await client.threads.get_state(thread_id)
    await client.threads.create(thread_id=thread_id)
    values = await wait(client, thread_id, "steps", input={})
    assert values["done"] == ["one", "two", "three", "four"]


async def test_a_thread_id_is_made_once_unless_reuse_is_allowed(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    with pytest.raises(ConflictError):
        await client.threads.create(thread_id=thread_id)
    again = await client.threads.create(thread_id=thread_id, if_exists="do_nothing")
    assert again["thread_id"] == thread_id


async def test_a_thread_is_made_by_its_first_run_only_on_request(client: LangGraphClient) -> None:
    thread_id = str(uuid.uuid4())
    with pytest.raises(Exception, match="404"):
        await wait(client, thread_id, "steps", input={})
    values = await wait(client, thread_id, "steps", input={}, if_not_exists="create")
    assert len(values["done"]) == 4


async def test_a_background_run_is_joined_and_listed(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    run = await client.runs.create(thread_id, "steps", input={"seconds": 0.02}, metadata={"why": "test"})
    values = await client.runs.join(thread_id, run["run_id"])
    assert values["done"] == ["one", "two", "three", "four"]
    ended: Any = await client.runs.get(thread_id, run["run_id"])
    assert (ended["status"], ended["metadata"]["why"]) == ("success", "test")
    assert [r["run_id"] for r in await client.runs.list(thread_id)] == [run["run_id"]]
    assert await client.runs.list(thread_id, status="error") == []
    await client.runs.delete(thread_id, run["run_id"])
    assert await client.runs.list(thread_id) == []


async def test_a_running_stream_is_joined_from_its_beginning(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    run = await client.runs.create(
        thread_id, "steps", input={"seconds": 0.05}, stream_mode=["updates"], stream_resumable=True
    )
    parts = [part async for part in client.runs.join_stream(thread_id, run["run_id"])]
    steps = [next(iter(part.data)) for part in parts if part.event == "updates"]
    assert steps == ["one", "two", "three", "four"]
    assert parts[-1].event == "end"


async def test_a_stream_resumes_behind_the_last_event_that_was_seen(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    run = await client.runs.create(
        thread_id, "steps", input={"seconds": 0.05}, stream_mode=["updates"], stream_resumable=True
    )
    first: Any = None
    async for part in client.runs.join_stream(thread_id, run["run_id"]):
        if part.event == "updates":
            first = part
            break
    rest = [
        part async for part in client.runs.join_stream(thread_id, run["run_id"], last_event_id=str(first.id))
    ]
    assert [next(iter(p.data)) for p in rest if p.event == "updates"] == ["two", "three", "four"]


async def test_a_cancelled_run_stops_and_its_thread_is_free(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    run = await client.runs.create(thread_id, "steps", input={"seconds": 5})
    await asyncio.sleep(0.1)
    await client.runs.cancel(thread_id, run["run_id"], wait=True)
    assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "interrupted"
    values = await wait(client, thread_id, "steps", input={"seconds": 0})
    assert values["done"] == ["one", "two", "three", "four"]


async def test_a_second_run_on_a_busy_thread_is_refused_where_asked(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    run = await client.runs.create(thread_id, "steps", input={"seconds": 0.2})
    with pytest.raises(ConflictError, match="active"):
        await client.runs.create(thread_id, "steps", input={}, multitask_strategy="reject")
    with pytest.raises(ConflictError):
        await client.threads.delete(thread_id)
    with pytest.raises(ConflictError):
        await client.threads.update_state(thread_id, {"done": ["no"]})
    assert (await client.threads.get(thread_id))["status"] == "busy"
    await client.runs.join(thread_id, run["run_id"])


async def test_queued_runs_on_a_thread_go_one_after_the_other(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    inputs: list[dict[str, Any]] = [{"seconds": 0.02, "done": [str(n)]} for n in range(3)]
    runs = [
        await client.runs.create(thread_id, "steps", input=given, multitask_strategy="enqueue")
        for given in inputs
    ]
    values = await client.runs.join(thread_id, runs[-1]["run_id"])
    steps = ["one", "two", "three", "four"]
    assert values["done"] == ["0", *steps, "1", *steps, "2", *steps]


async def test_a_run_can_take_the_place_of_the_one_that_is_running(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    first = await client.runs.create(thread_id, "steps", input={"seconds": 5})
    await asyncio.sleep(0.1)
    values = await wait(
        client, thread_id, "steps", input={"seconds": 0, "done": ["new"]}, multitask_strategy="interrupt"
    )
    assert values["done"][-5:] == ["new", "one", "two", "three", "four"]
    assert (await client.runs.get(thread_id, first["run_id"]))["status"] == "interrupted"


async def test_a_failing_step_fails_the_run_with_its_words(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    with pytest.raises(Exception, match="RuntimeError: three failed"):
        await wait(client, thread_id, "steps", input={"fail_at": "three"})
    assert (await client.threads.get(thread_id))["status"] == "error"
    parts = await events(client, await new_thread(client), "steps", input={"fail_at": "one"})
    (error,) = [part.data for part in parts if part.event == "error"]
    assert error == {"error": "RuntimeError", "message": "one failed"}


async def test_an_input_that_the_graph_cannot_take_is_refused(
    served: Served, client: LangGraphClient
) -> None:
    thread_id = await new_thread(client)
    with pytest.raises(Exception, match="422"):
        await wait(client, thread_id, "steps", input=5)
    if not served.service.settings.process_role.executes:
        pytest.skip("where runs are executed by another process, a stream begins before its run does")
    with pytest.raises(UnprocessableEntityError, match="refuses this input"):
        await events(client, thread_id, "steps", input="text")
    with pytest.raises(UnprocessableEntityError, match="refuses this input"):
        await events(client, None, input={"messages": [{"wrong": 1}]})


async def test_a_first_step_that_fails_is_no_refusal_of_the_input(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    parts = await events(client, thread_id, "steps", input={"fail_at": "one"}, stream_mode="updates")
    assert [part.data for part in parts if part.event == "error"] == [
        {"error": "RuntimeError", "message": "one failed"}
    ]


async def test_a_way_to_the_end_is_taken_and_changes_nothing_as_with_langgraph(
    client: LangGraphClient,
) -> None:
    thread_id = await new_thread(client)
    await wait(client, thread_id, "ask", input={})
    asked = await wait(client, thread_id, "ask", command={"goto": "__end__"})
    assert asked["__interrupt__"][0]["value"] == {"question": "go on?"}


async def test_a_refused_input_does_not_spoil_its_thread(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    with pytest.raises(Exception, match="422"):
        await wait(client, thread_id, "steps", input=True)
    with pytest.raises(Exception, match="422"):
        await wait(client, thread_id, "steps")
    with pytest.raises(Exception, match="422"):
        await wait(client, thread_id, "steps", command={"goto": "nowhere"})
    assert (await wait(client, thread_id, "steps", input={}))["done"] == ["one", "two", "three", "four"]


async def test_what_is_not_supported_is_refused_by_name(client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    with pytest.raises(UnprocessableEntityError, match="webhook: it has to begin with https"):
        await client.runs.create(thread_id, "steps", input={}, webhook="http://example.com")
    with pytest.raises(UnprocessableEntityError, match="stream_mode: lifecycle is a channel"):
        await client.runs.create(thread_id, "steps", input={}, stream_mode="lifecycle")
    with pytest.raises(UnprocessableEntityError, match="stream_mode: tools is a channel"):
        await client.runs.create(thread_id, "steps", input={}, stream_mode=["values", "tools"])


async def test_what_is_not_there_is_named(client: LangGraphClient) -> None:
    with pytest.raises(InternalServerError, match="does not have user interfaces that belong to graphs"):
        await client.http.post("/ui/agent", json={})


async def test_threads_belong_to_the_key_that_made_them(served: Served, client: LangGraphClient) -> None:
    thread_id = await new_thread(client)
    run = await client.runs.create(thread_id, "steps", input={})
    await client.runs.join(thread_id, run["run_id"])
    async with served.client(OTHER_KEY) as other:
        for attempt in (
            other.threads.get(thread_id),
            other.threads.get_state(thread_id),
            other.threads.get_history(thread_id),
            other.threads.update(thread_id, metadata={"mine": True}),
            other.threads.update_state(thread_id, {"done": []}),
            other.runs.create(thread_id, "steps", input={}),
            other.runs.create(thread_id, "steps", input={}, if_not_exists="create"),
            other.runs.get(thread_id, run["run_id"]),
            other.runs.list(thread_id),
            other.runs.cancel(thread_id, run["run_id"]),
            other.threads.delete(thread_id),
        ):
            with pytest.raises(NotFoundError):
                await attempt
        assert thread_id not in {t["thread_id"] for t in await other.threads.search(limit=100)}
        with pytest.raises(ConflictError):
            await other.threads.create(thread_id=thread_id, if_exists="do_nothing")
