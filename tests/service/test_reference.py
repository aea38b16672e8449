"""The reference agent, and the model that stands in for a provider's."""

import asyncio
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langgraph_agents_service.reference import agent as reference
from langgraph_agents_service.reference.fake_model import BadRequestError, FakeChatModel

CALL = AIMessage("", tool_calls=[{"name": "calculate", "args": {}, "id": "a"}])


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The agent on the fake model; its waits pass at once."""

    async def at_once(seconds: float) -> None:
        return None

    monkeypatch.setattr("asyncio.sleep", at_once)
    monkeypatch.setenv("MODEL", "fake")
    return reference.make_graph()


async def test_asked_to_count_it_waits_once_for_each_number(graph: Any) -> None:
    told = (await graph.ainvoke({"messages": [HumanMessage("Please count to 3")]}))["messages"]
    waits = [message for message in told if isinstance(message, ToolMessage)]
    assert [wait.content for wait in waits] == ["2 seconds have passed"] * 3
    assert len({wait.tool_call_id for wait in waits}) == 3
    assert told[-1].text.startswith("The wait tool says")


async def test_it_counts_anew_for_a_new_question(graph: Any) -> None:
    first = await graph.ainvoke({"messages": [HumanMessage("count to 2")]})
    second = await graph.ainvoke({"messages": [*first["messages"], HumanMessage("count to 1")]})
    assert sum(isinstance(message, ToolMessage) for message in second["messages"]) == 3


@pytest.mark.parametrize("seconds", [-1, 61])
async def test_a_wait_is_a_minute_at_most(seconds: float) -> None:
    assert "not between 0 and 60" in await reference.wait.ainvoke({"seconds": seconds})


def test_without_the_tool_it_does_not_call_it() -> None:
    assert FakeChatModel().invoke([HumanMessage("count to 3")]).tool_calls == []


async def test_a_new_question_instead_of_an_approval_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL", "fake")
    graph = reference.make_graph().copy(update={"checkpointer": InMemorySaver()})
    config = {"configurable": {"thread_id": "one"}}
    asked = await graph.ainvoke({"messages": [HumanMessage("remember that tea is green")]}, config)
    assert asked["__interrupt__"]
    for question, answer in (("What is 6 * 7?", "42"), ("Hello", "Hello")):
        told = await graph.ainvoke({"messages": [HumanMessage(question)]}, config)
        assert answer in told["messages"][-1].text
    approved = await graph.ainvoke({"messages": [HumanMessage("remember that cats purr")]}, config)
    assert approved["__interrupt__"]
    told = await graph.ainvoke(Command(resume={"decisions": [{"type": "approve"}]}), config)
    assert told["notes"] == ["cats purr"]


async def test_a_tool_call_that_was_cancelled_spoils_no_later_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL", "fake")
    graph = reference.make_graph().copy(update={"checkpointer": InMemorySaver()})
    config = {"configurable": {"thread_id": "one"}}
    counting = asyncio.create_task(graph.ainvoke({"messages": [HumanMessage("count to 3")]}, config))
    async with asyncio.timeout(10):
        while "tools" not in (await graph.aget_state(config)).next:  # noqa: ASYNC110 (the graph does not tell)
            await asyncio.sleep(0.02)
    counting.cancel()
    await asyncio.wait([counting])
    assert (await graph.aget_state(config)).values["messages"][-1].tool_calls, "it has no answer"
    told = await graph.ainvoke({"messages": [HumanMessage("What is 6 * 7?")]}, config)
    assert "42" in told["messages"][-1].text


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [HumanMessage("hi"), ToolMessage("42", tool_call_id="a")],
        [HumanMessage("hi"), CALL, HumanMessage("and?")],
        [HumanMessage("hi"), CALL],
        [HumanMessage("hi"), CALL, HumanMessage("and?"), ToolMessage("42", tool_call_id="a")],
    ],
)
def test_the_fake_model_refuses_what_providers_refuse(messages: list[Any]) -> None:
    with pytest.raises(BadRequestError, match="400"):
        FakeChatModel().invoke(messages)
