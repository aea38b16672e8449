"""Subgraphs: one that remembers its earlier calls, and one that asks within a call."""

import operator
from typing import Annotated, Any

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    calls: Annotated[list[str], operator.add]


class Outer(TypedDict, total=False):
    seen: list[str]
    answers: Annotated[list[str], operator.add]


class Asked(TypedDict, total=False):
    answers: Annotated[list[str], operator.add]
    prepared: bool


def _graph(state: Any, name: str, node: Any, **compile: Any) -> Any:
    builder = StateGraph(state)
    builder.add_node(name, node)
    builder.add_edge(START, name)
    return builder.compile(**compile)


_remembers = _graph(State, "call", lambda state: {"calls": ["call"]}, checkpointer=True)


async def _call(state: Outer) -> Outer:
    return {"seen": (await _remembers.ainvoke({}))["calls"]}


def _ask(state: Asked) -> Asked:
    assert state["prepared"]
    return {"answers": [str(interrupt("go on?"))]}


_asks = StateGraph(Asked)
_asks.add_node("prepare", lambda state: {"prepared": True})
_asks.add_node("ask", _ask)
_asks.add_edge(START, "prepare")
_asks.add_edge("prepare", "ask")

builder = StateGraph(Outer)
builder.add_node("remember", _call)
builder.add_node("asks", _asks.compile())
builder.add_edge(START, "remember")
builder.add_edge("remember", "asks")
