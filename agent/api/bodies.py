"""Reads JSON bodies strictly: what cannot be kept or would exhaust the process is refused with its reason."""

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from agent.api.errors import ApiError

MAX_DEPTH = 64
"""Nesting of a body. Agents' inputs stay below ten; recursive code downstream fails from a few hundred on."""


class _StrictRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            body = await self.body()
            try:
                value = orjson.loads(body)
            except orjson.JSONDecodeError as error:
                raise ApiError(422, f"the body is not JSON: {error}") from None
            if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
                raise ApiError(422, f"the body is nested deeper than {MAX_DEPTH} levels")
            if b"\\u0000" in body and _has_nul(value):
                raise ApiError(422, "the body holds the character U+0000, which cannot be kept; remove it")
            self._json = value
        return self._json


class StrictRoute(APIRoute):
    """A route whose body is read by _StrictRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return handle


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [child for item in level for child in _children(item)]
    return depth


def _has_nul(value: Any) -> bool:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str) and "\0" in item:
            return True
        if isinstance(item, dict) and any("\0" in key for key in item):
            return True
        todo += _children(item)
    return False
