"""The least that an HTTP service around the graph can be: uvicorn, and a handler without a framework."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import uvicorn
from langchain_core.messages import messages_to_dict

from bench.graph import echo

_graph = echo.compile()


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    content, more = b"", True
    while more:
        message = await receive()
        content, more = content + message.get("body", b""), message.get("more_body", False)
    answer = b"{}"
    if content:
        values = await _graph.ainvoke(orjson.loads(content)["input"])
        answer = orjson.dumps({"output": {"messages": messages_to_dict(values["messages"])}})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        log_level="warning",
        access_log=False,
        lifespan="off",
    )
