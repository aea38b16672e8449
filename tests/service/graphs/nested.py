"""A graph with a subgraph and a context."""

from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict


@dataclass
class Context:
    model: str = "plain"


class State(TypedDict, total=False):
    model: str
    configured: dict[str, Any]


def _tell(state: State, config: RunnableConfig, runtime: Runtime[Context]) -> State:
    names = ("model", "tone")
    given = config.get("configurable", {})
    configured = {name: given[name] for name in names if name in given}
    return {"model": runtime.context.model if runtime.context else "none", "configured": configured}


_inner = StateGraph(State, context_schema=Context)
_node: Any = _tell
_inner.add_node("tell", _node)
_inner.add_edge(START, "tell")

_outer = StateGraph(State, context_schema=Context)
_outer.add_node("inner", _inner.compile())
_outer.add_edge(START, "inner")

nested = _outer.compile()
