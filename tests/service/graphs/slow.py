"""Graphs that wait as they should not, for the tests of what becomes of the others meanwhile."""

import asyncio
import operator
import time
from collections import Counter
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

began: Counter[str] = Counter()
"""How often the node of a tag was executed in this process."""


class State(TypedDict, total=False):
    seconds: float
    tag: str
    text: str


async def _block(state: State) -> State:
    began[state.get("tag", "")] += 1
    time.sleep(state["seconds"])  # noqa: ASYNC251  # that is what is wrong with it
    return {"text": "blocked"}


def _wait(state: State) -> State:
    time.sleep(state["seconds"])
    return {"text": "waited"}


def _graph(node: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile()


class Growing(TypedDict, total=False):
    size: int
    steps: int
    padding: str
    done: Annotated[list[int], operator.add]


async def _grow(state: Growing) -> Growing:
    return {"padding": "x" * state["size"], "done": [1]}


async def _last(state: Growing) -> Growing:
    await asyncio.sleep(2)
    return {"done": [1]}


def _more(state: Growing) -> str:
    return "grow" if len(state["done"]) < state["steps"] else "last"


_growing: Any = StateGraph(Growing)
_growing.add_node("grow", _grow)
_growing.add_node("last", _last)
_growing.add_edge(START, "grow")
_growing.add_conditional_edges("grow", _more, ["grow", "last"])
_growing.add_edge("last", END)
growing = _growing.compile().with_config({"recursion_limit": 100})

blocking = _graph(_block)
waiting = _graph(_wait)
