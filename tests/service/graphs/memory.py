"""Graphs that keep things across threads in the store that the server gives."""

from typing import Any

from langgraph.graph import START, StateGraph
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    text: str
    known: list[str]


async def _remember(state: State, *, store: BaseStore) -> State:
    await store.aput(("notes",), state["text"], {"text": state["text"]})
    return {"known": sorted(item.value["text"] for item in await store.asearch(("notes",), limit=100))}


def _remember_plainly(state: State, *, store: BaseStore) -> State:
    store.put(("notes",), state["text"], {"text": state["text"]})
    return {"known": sorted(item.value["text"] for item in store.search(("notes",), limit=100))}


def _graph(node: Any, store: BaseStore | None = None) -> Any:
    builder = StateGraph(State)
    builder.add_node("remember", node)
    builder.add_edge(START, "remember")
    return builder.compile(store=store)


remember = _graph(_remember)
remember_plainly = _graph(_remember_plainly)
own_store = _graph(_remember, InMemoryStore())


async def embed(texts: list[str]) -> list[list[float]]:
    """Counts letters: a stand-in for an embedding model."""
    return [[float(text.count(letter)) for letter in "aeo"] for text in texts]
