"""The graph that every contestant runs: a model without a provider, so that only what is around it is measured."""

import asyncio
from typing import Any

from langgraph.graph import START, MessagesState, StateGraph

from langgraph_agents_service.reference.fake_model import FakeChatModel

_model = FakeChatModel()


async def call(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await _model.ainvoke(state["messages"])]}


async def hold(state: MessagesState) -> dict[str, Any]:
    """A slow model: long enough for a thousand streams to be open at once."""
    await asyncio.sleep(float(str(state["messages"][-1].content)))
    return {"messages": [("ai", "done")]}


def _builder(node: Any) -> "StateGraph[Any, Any, Any, Any]":
    builder = StateGraph(MessagesState)
    builder.add_node("model", node)
    builder.add_edge(START, "model")
    return builder


echo = _builder(call)
slow = _builder(hold)
