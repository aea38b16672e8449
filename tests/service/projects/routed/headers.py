"""A graph that tells what of the request's headers it is given."""

from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    seen: dict[str, Any]


def tell(state: State, config: RunnableConfig) -> State:
    mine = {"thread_id", "run_id", "graph_id", "assistant_id", "checkpoint_ns"}
    found = {k: v for k, v in config["configurable"].items() if isinstance(v, str) and not k.startswith("__")}
    return {"seen": {name: value for name, value in found.items() if name not in mine}}


builder: Any = StateGraph(State)
builder.add_node("tell", tell)
builder.add_edge(START, "tell")
graph = builder.compile()
