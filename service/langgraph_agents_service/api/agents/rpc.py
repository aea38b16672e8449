"""JSON-RPC 2.0 over HTTP, and the service's own API for those who speak it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
from fastapi import Request, Response
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import APIStatusError

from langgraph_agents_service.access import inside
from langgraph_agents_service.api import bodies
from langgraph_agents_service.api.errors import ApiError
from langgraph_agents_service.api.wire import json

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
SERVER_ERROR = -32000
"""The service's own API refuses; `data.status` is its HTTP status."""

LOOK_SECONDS = 0.5
"""How often it is looked whether who asks is still there."""

_OWN_HEADERS = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "transfer-encoding"}
)
"""Headers that belong to the request that brought them, and not to those that come of it."""

Document = dict[str, Any]


class RpcError(Exception):
    """An error that the protocol answers."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


async def message(request: Request) -> Document:
    """Raises RpcError for what is no message of JSON-RPC 2.0, and ApiError for what no body may hold."""
    content = await request.body()
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError:
        raise RpcError(PARSE_ERROR, "the body is not JSON") from None
    found = bodies.parse(content)
    if not isinstance(found, dict) or found.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "the body is no message of JSON-RPC 2.0")
    asked = found.get("id")
    if isinstance(asked, bool) or not isinstance(asked, str | int | float | None):
        raise RpcError(INVALID_REQUEST, "id has to be a text or a number")
    if not isinstance(found.get("params", {}), dict):
        raise RpcError(INVALID_PARAMS, "params has to be an object")
    return found


def result(asked: Document, found: Any) -> Document:
    return {"jsonrpc": "2.0", "id": asked.get("id"), "result": found}


def failure(asked: Document | None, error: RpcError) -> Document:
    document: Document = {"code": error.code, "message": error.message}
    if error.data is not None:
        document["data"] = error.data
    return {"jsonrpc": "2.0", "id": asked.get("id") if asked else None, "error": document}


def require_json(request: Request) -> None:
    """A browser asks no leave before it sends other types across origins. Raises ApiError 415."""
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        raise ApiError(415, "the Content-Type has to be application/json")


def refusal(error: APIStatusError) -> RpcError:
    """What the service's own API refuses, in its words."""
    return RpcError(SERVER_ERROR, detail(error), {"status": error.status_code})


def detail(error: APIStatusError) -> str:
    body = error.body
    return str(body.get("detail", error)) if isinstance(body, dict) else str(error)


@asynccontextmanager
async def api(request: Request) -> AsyncIterator[LangGraphClient]:
    """A client of the service's own API, for whoever asks."""
    headers = [
        (name, value)
        for name, value in request.headers.items()
        if name not in _OWN_HEADERS and not name.startswith("__")
    ]
    async with httpx.AsyncClient(
        transport=inside.Transport(app=inside.app), base_url="http://api", headers=headers
    ) as http:
        yield LangGraphClient(http)


async def answered(request: Request, work: Coroutine[Any, Any, Document]) -> Response:
    """The answer, unless who asks for it leaves before: then the work ends too."""
    task = asyncio.ensure_future(work)
    try:
        while True:
            await asyncio.wait([task], timeout=LOOK_SECONDS)
            if task.done():
                return json(task.result())
            if await request.is_disconnected():
                return Response(status_code=499)
    finally:
        task.cancel()
