"""Reads JSON bodies strictly: what cannot be kept or would exhaust the process is refused with its reason."""

import re
from collections.abc import Callable, Coroutine
from typing import Any, get_type_hints

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.types import Receive, Scope, Send

from langgraph_agents_service.api.errors import ApiError

MAX_DEPTH = 64
"""Nesting of a body. Agents' inputs stay below ten; recursive code downstream fails from a few hundred on."""

_JSON = re.compile(r"application/([\w.-]+\+)?json\b", re.IGNORECASE)


def parse(body: bytes) -> Any:
    """The body as plain values. Raises ApiError 422 for what is not JSON or must not be taken in."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError(422, f"the body is not JSON: {error}") from None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise ApiError(422, f"the body is nested deeper than {MAX_DEPTH} levels")
    if b"\\u0000" in body and _has_nul(value):
        raise ApiError(422, "the body holds the character U+0000, which cannot be kept; remove it")
    return value


class _StrictRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = parse(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """A route whose body is read by `parse`, and whose URL holds no NUL."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if b"%00" in request.scope.get("raw_path", b"") + request.scope["query_string"]:
                raise ApiError(422, "the URL holds the character U+0000, which cannot be kept; remove it")
            return await handler(_StrictRequest(request.scope, request.receive))

        return handle


class DirectRoute(APIRoute):
    """A route to `endpoint(request, body)` that FastAPI describes, but whose arguments it does not work out: its
    general way to them takes as long as two steps of a graph."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._model: type[BaseModel] = get_type_hints(self.endpoint)["body"]
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        content = await request.body()
        if not content:
            raise ApiError(422, "a body is required")
        # A browser asks no leave before it sends other types across origins, and local services have no keys.
        if not _JSON.match(request.headers.get("content-type", "")):
            raise ApiError(422, "the Content-Type has to be application/json")
        try:
            body = self._model.model_validate(parse(content))
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_url=False)) from None
        answer: Response = await self.endpoint(request, body)
        await answer(scope, receive, send)


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
