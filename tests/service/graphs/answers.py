"""Graphs whose answers are not simply what they were given and did, for the tests."""

import asyncio
from typing import Any

from langgraph.func import entrypoint
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class Question(TypedDict, total=False):
    question: str
    seconds: float


class Answer(TypedDict, total=False):
    answer: str


class State(Question, Answer, total=False):
    pass


async def _answer(state: State) -> State:
    await asyncio.sleep(state.get("seconds", 0))
    return {"answer": f"{state['question']}!"}


_narrow = StateGraph(State, input_schema=Question, output_schema=Answer)
_narrow.add_node("answer", _answer)
_narrow.add_edge(START, "answer")
_narrow.add_edge("answer", END)
narrow = _narrow.compile()
"""Its output is a part of its state."""


@entrypoint()
async def function(asked: dict[str, Any]) -> Any:
    """What it returns is not what it keeps."""
    return entrypoint.final(value=f"{asked['question']}!", save="kept")
