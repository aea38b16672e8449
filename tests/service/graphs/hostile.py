"""Graphs that do what no graph should, for the tests of what the service makes of it."""

import asyncio
import operator
import sys
import time
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any

from langgraph.graph import START, StateGraph
from langgraph.types import Send, interrupt
from typing_extensions import TypedDict

from tests.service.graphs.named import Named


class State(TypedDict, total=False):
    how: str
    text: str
    number: Any
    done: Annotated[list[Any], operator.add]


class WordlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


async def _own_task() -> None:
    sys.exit(4)


async def _misbehave(state: State) -> State:
    match state.get("how"):
        case "exit":
            sys.exit(3)
        case "exit in a task of its own":
            await asyncio.create_task(_own_task())
        case "interrupt":
            raise KeyboardInterrupt
        case "half a pair":
            raise ValueError("bad \ud83d text")
        case "nul":
            raise ValueError("nul \0 text")
        case "wordless":
            raise WordlessError
        case "cancelled":
            raise asyncio.CancelledError("by a library")
        case "nul kept":
            return {"text": "a\0b"}
        case "half a pair kept":
            return {"text": "bad \ud83d end"}
        case "swallow":
            for _ in range(60):
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.1)
            return {"text": "survived"}
        case "swallow for a minute":
            for _ in range(600):
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.1)
        case "swallow once":
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(5)
        case "fail on the way out":
            try:
                await asyncio.sleep(5)
            finally:
                raise ValueError("while cleaning up")
        case "typed":
            return {"number": Named("kept")}
        case "wei":
            return {"number": {"wei": 2**70, "debt": -(2**80)}}
        case "bytes and duration":
            return {
                "number": {"bytes": b"\xff\x00abc", "seconds": timedelta(hours=1, seconds=3), "wei": 2**70}
            }
        case "generator":
            return {"number": {"deep": [1, (number for number in range(3))]}}
        case "nan":
            return {"number": float("nan")}
    return {"text": f"number is {state.get('number')}"}


def _exit_plainly(state: State) -> State:
    if state.get("how") == "sleep for a minute":
        time.sleep(60)
    sys.exit(5)


def _graph(node: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile()


misbehaving = _graph(_misbehave)
exiting_plainly = _graph(_exit_plainly)


def factory(config: dict[str, Any]) -> Any:
    """Fails for whoever looks at its threads, and makes a graph for runs."""
    if "run_id" not in config["configurable"]:
        raise RuntimeError("needs a secret: sk-1234")
    return _graph(_misbehave)


class Answers(TypedDict, total=False):
    number: int
    answers: Annotated[list[str], operator.add]


def _ask(state: Answers) -> Answers:
    return {"answers": [f"{state['number']}: {interrupt({'number': state['number']})}"]}


_asking: Any = StateGraph(Answers)
_asking.add_node("ask", _ask)
_asking.add_conditional_edges(START, lambda _: [Send("ask", {"number": n}) for n in range(3)], ["ask"])
asking = _asking.compile()


class Twice(TypedDict, total=False):
    seconds: float
    answers: Annotated[list[str], operator.add]


async def _ask_twice(state: Twice) -> Twice:
    first = interrupt("first")
    await asyncio.sleep(state["seconds"])
    return {"answers": [first, interrupt("second")]}


_asking_twice: Any = StateGraph(Twice)
_asking_twice.add_node("ask", _ask_twice)
_asking_twice.add_edge(START, "ask")
asking_twice = _asking_twice.compile()


def _ask_in_turn(question: str) -> Any:
    async def ask(state: Twice) -> Twice:
        return {"answers": [interrupt(question)]}

    return ask


_turns: Any = StateGraph(Twice)
_turns.add_node("one", _ask_in_turn("first"))
_turns.add_node("two", _ask_in_turn("second"))
_turns.add_edge(START, "one")
_turns.add_edge("one", "two")
_asking_inside: Any = StateGraph(Twice)
_asking_inside.add_node("inside", _turns.compile())
_asking_inside.add_edge(START, "inside")
asking_inside = _asking_inside.compile()


async def _ask_and_wait(state: Twice) -> Twice:
    answer = interrupt("other")
    await asyncio.sleep(state["seconds"])
    return {"answers": [answer]}


_asking_apart: Any = StateGraph(Twice)
_asking_apart.add_node("ask", _ask_twice)
_asking_apart.add_node("wait", _ask_and_wait)
_asking_apart.add_conditional_edges(
    START,
    lambda state: [Send("ask", {"seconds": 0}), Send("wait", {"seconds": state["seconds"]})],
    ["ask", "wait"],
)
asking_apart = _asking_apart.compile()
