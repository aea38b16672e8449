"""What an `authenticate` declares with FastAPI's `Depends`, worked out by FastAPI itself."""

import inspect
from collections.abc import Callable
from typing import Any

from fastapi import Request, Response
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope


class Dependencies:
    """The parameters of a function that FastAPI finds values for."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._parameters = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=default)
            for name, hint, default in _declared(function)
        ]
        self.names = frozenset(parameter.name for parameter in self._parameters)
        self._app = None
        if self._parameters:
            self._app = AsyncExitStackMiddleware(APIRoute("/", _endpoint(self._parameters)).app)

    async def values(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        """Raises what the dependencies raise, and RequestValidationError."""
        if self._app is None:
            return {}
        found: dict[str, Any] = {}

        async def send(_message: Message) -> None:
            return None

        await self._app({**scope, "state": {"found": found}}, receive, send)
        return found


def _declared(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    try:
        hints = inspect.get_annotations(function, eval_str=True)
    except Exception:  # names that only a type checker knows: what they say is then no dependency
        hints = inspect.get_annotations(function)
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints.get(name, Any)
        marks = (parameter.default, *getattr(hint, "__metadata__", ()))
        if any(isinstance(mark, Depends) for mark in marks):
            found.append((name, hint, parameter.default))
    return found


def _endpoint(parameters: list[inspect.Parameter]) -> Callable[..., Any]:
    async def endpoint(request: Request, **values: Any) -> Response:
        request.state.found.update(values)
        return Response()

    asked = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Request)
    endpoint.__signature__ = inspect.Signature([asked, *parameters])  # type: ignore[attr-defined]
    return endpoint
