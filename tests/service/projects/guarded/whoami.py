"""Graphs that tell who asks, and one that waits until it is told to go on."""

import asyncio
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    seconds: float
    who: dict[str, Any]


async def tell(state: State, config: RunnableConfig, runtime: Runtime[Any]) -> State:
    await asyncio.sleep(state.get("seconds", 0))
    configurable = config["configurable"]
    user = configurable.get("langgraph_auth_user")
    info = getattr(runtime, "server_info", None)
    return {
        "who": {
            "user": dict(user.items()) if user is not None else None,
            "identity": user.identity if user is not None else None,
            "item": user["identity"] if user is not None else None,
            "id": configurable.get("langgraph_auth_user_id"),
            "permissions": configurable.get("langgraph_auth_permissions"),
            "user_id": configurable.get("user_id"),
            "others": sorted(name for name in configurable if name.startswith("langgraph_auth_")),
            "context": sorted(runtime.context or ()),
            "server_info": info.user.identity if info is not None and info.user is not None else None,
        }
    }


def _graph() -> Any:
    builder: Any = StateGraph(State)
    builder.add_node("tell", tell)
    builder.add_edge(START, "tell")
    return builder.compile()


who = _graph()
hold = _graph()


def for_user(config: RunnableConfig) -> Any:
    """A graph that is made for whoever asks, also when its state is read."""
    assert config["configurable"]["langgraph_auth_user"].identity in ("ann", "bob")
    return _graph()
