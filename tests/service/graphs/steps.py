"""Graphs whose steps can be watched and held from outside, for the tests."""

import asyncio
import operator
import os
from pathlib import Path
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    done: Annotated[list[str], operator.add]
    seconds: float
    fail_at: str
    give_up_at: str
    tag: str


def _note(line: str) -> None:
    """Append to the journal that survives the process, if there is one."""
    if journal := os.environ.get("STEPS_JOURNAL"):
        with Path(journal).open("a") as file:
            file.write(line + "\n")


def _step(name: str) -> Any:
    async def step(state: State) -> State:
        _note(f"{state.get('tag', '')} {name} {os.getpid()}")
        await asyncio.sleep(state.get("seconds", 0))
        if state.get("fail_at") == name:
            raise RuntimeError(f"{name} failed")
        if state.get("give_up_at") == name:
            raise TimeoutError(f"{name} gave up")
        return {"done": [name]}

    return step


def _chain() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(State)
    names = ["one", "two", "three", "four"]
    for name in names:
        builder.add_node(name, _step(name))
    for before, after in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(before, after)
    return builder


def _ask() -> StateGraph[Any, Any, Any, Any]:
    def ask(state: State) -> State:
        return {"done": [str(interrupt({"question": "go on?"}))]}

    builder = StateGraph(State)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    return builder


builder = _chain()
compiled = _ask().compile()


def make() -> Any:
    return _chain()


async def make_later() -> Any:
    return _chain().compile()


def make_for(config: dict[str, Any]) -> Any:
    return _chain().compile()


async def _hold(state: State) -> State:
    await asyncio.sleep(state.get("seconds", 0))
    return {"done": ["two"]}


def _begin() -> StateGraph[Any, Any, Any, Any]:
    """Its first step is done at once, its second one takes its time."""
    builder = StateGraph(State)
    builder.add_node("one", lambda state: {"done": ["one"]})
    builder.add_node("two", _hold)
    builder.add_edge(START, "one")
    builder.add_edge("one", "two")
    return builder


begin = _begin()
