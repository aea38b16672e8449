"""Graphs that wait as they should not, for the tests of what becomes of the others meanwhile."""

import time
from collections import Counter
from typing import Any

from langgraph.graph import START, StateGraph
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


blocking = _graph(_block)
waiting = _graph(_wait)
