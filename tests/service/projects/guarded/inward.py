"""Graphs that call the server that they run on, by `get_client()` without an address."""

import asyncio
import time
from typing import Any

from langgraph.graph import START, StateGraph
from langgraph_sdk import get_client
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    how: str
    thread_id: str
    threads: int
    status: int
    who: str
    events: list[str]
    spread: float


AT_IMPORT = get_client()


async def count(state: State) -> State:
    client = AT_IMPORT if state.get("how") == "at import" else get_client()
    return {"threads": await client.threads.count()}


def count_in_a_thread(state: State) -> State:
    return asyncio.run(count(state))


async def ask(state: State) -> State:
    """Of the server, who asks it."""
    values: Any = await get_client().runs.wait(None, "who", input={})
    return {"who": values["who"]["identity"]}


async def peek(state: State) -> State:
    from langgraph_sdk.errors import APIStatusError

    try:
        await get_client().threads.get(state["thread_id"])
    except APIStatusError as error:
        return {"status": error.response.status_code}
    return {"status": 200}


async def follow(state: State) -> State:
    events, at = [], []
    async for part in get_client().runs.stream(
        None, "slow", input={"how": "slowly"}, stream_mode=["values", "updates"]
    ):
        events.append(part.event)
        at.append(time.monotonic())
    return {"events": events, "spread": at[-1] - at[0]}


def _graph(node: Any) -> Any:
    builder: Any = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile()


async def wait(state: State) -> State:
    await asyncio.sleep(0.3)
    return {}


counter, sync_counter, asker, peeker, follower = map(_graph, (count, count_in_a_thread, ask, peek, follow))
slow = _graph(wait)
