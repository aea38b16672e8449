"""A project's own `langgraph_sdk.Auth`: who asks, by its `authenticate`, and what they may, by its `on` handlers."""

import inspect
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from langgraph_sdk import Auth
from starlette.authentication import AuthenticationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.types import Receive, Scope

from langgraph_agents_service.access.dependencies import Dependencies
from langgraph_agents_service.access.remembered import Remembered
from langgraph_agents_service.access.users import User, UserError, user_of
from langgraph_agents_service.persistence.registry.filters import Filter, FilterError, parse

PARAMETERS = frozenset(
    {
        "request",
        "body",
        "path",
        "method",
        "path_params",
        "query_params",
        "headers",
        "authorization",
        "scope",
        "scopes",
        "user",
    }
)
"""What `authenticate` may take by name."""

log = logging.getLogger(__name__)


class AuthError(Exception):
    """`auth` of langgraph.json names something that cannot authenticate. The message says what and what to do."""


class RefusedError(Exception):
    """The request is refused. `detail` is for the caller; of a handler's failure it holds nothing."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


class Authorization:
    """One project's handlers."""

    def __init__(
        self, auth: object, *, log_content: bool = False, remembered: Remembered | None = None
    ) -> None:
        """Raises AuthError."""
        if not isinstance(auth, Auth):
            raise AuthError(f"it is a {type(auth).__name__}; it has to be a langgraph_sdk.Auth")
        if auth._authenticate_handler is None:
            raise AuthError("it has no handler of @auth.authenticate; without one nobody could be let in")
        self._auth = auth
        self._authenticate: Callable[..., Any] = auth._authenticate_handler
        self._log_content = log_content
        self._remembered = remembered
        self._dependencies = Dependencies(self._authenticate)
        self._takes = _parameters(self._authenticate, self._dependencies.names)

    async def authenticate(
        self, scope: Scope, body: Callable[[], Receive], path_params: Callable[[], dict[str, Any]]
    ) -> User:
        """`body` makes readers of the body. Raises RefusedError."""
        key = self._remembered.key(scope) if self._remembered else None
        if self._remembered and key and (returned := self._remembered.find(key)) is not None:
            return user_of(returned)
        try:
            arguments = await self._arguments(scope, body, path_params)
            if inspect.iscoroutinefunction(self._authenticate):
                returned = await self._authenticate(**arguments)
            else:
                returned = await run_in_threadpool(self._authenticate, **arguments)
                if inspect.isawaitable(returned):
                    returned = await returned
            user = user_of(returned)
            if self._remembered and key:
                self._remembered.keep(key, returned)
            return user
        except RefusedError:
            raise
        except (Auth.exceptions.HTTPException, HTTPException) as refused:
            raise _refusal(refused) from None
        except AuthenticationError as refused:
            raise RefusedError(403, str(refused)) from None
        except RequestValidationError as refused:
            missing = ", ".join(str(fault["loc"][-1]) for fault in refused.errors())
            raise RefusedError(422, f"the authentication of this deployment needs {missing}") from None
        except Exception as problem:
            raise self._failed("authenticate", problem) from None

    async def ask(
        self, user: User, resource: str, action: str, value: MutableMapping[str, Any]
    ) -> Filter | None:
        """The filter of the most specific handler; None if it has none, or there is no handler. Raises RefusedError."""
        handler = self._handler(resource, action)
        if handler is None:
            return None
        context: Any = Auth.types.AuthContext(
            permissions=user.permissions,
            user=user,
            resource=resource,  # type: ignore[arg-type]
            action=action,  # type: ignore[arg-type]
        )
        try:
            answer = await handler(ctx=context, value=value)
            if answer is None or answer is True:
                return None
            if answer is False:
                raise RefusedError(403, "Forbidden")
            if not isinstance(answer, dict):
                raise FilterError(
                    f"a handler returns None, a boolean or a filter, not a {type(answer).__name__}"
                )
            return parse(answer)
        except RefusedError:
            raise
        except (Auth.exceptions.HTTPException, HTTPException) as refused:
            raise _refusal(refused) from None
        except AssertionError:
            raise RefusedError(403, "Forbidden") from None
        except Exception as problem:
            raise self._failed(f"on {resource}.{action}", problem) from None

    def _handler(self, resource: str, action: str) -> Callable[..., Awaitable[Any]] | None:
        for key in ((resource, action), (resource, "*"), ("*", action), ("*", "*")):
            if found := self._auth._handlers.get(key):
                return found[-1]
        return self._auth._global_handlers[-1] if self._auth._global_handlers else None

    async def _arguments(
        self, scope: Scope, body: Callable[[], Receive], path_params: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        connection = HTTPConnection(scope)
        if scope["type"] != "http" and {"request", "body"} & set(self._takes):
            raise RefusedError(403, "this authentication cannot take in a WebSocket")
        arguments: dict[str, Any] = {}
        for name in self._takes:
            match name:
                case "request":
                    arguments[name] = Request(scope, body())
                case "body":
                    request = Request(scope, body())
                    arguments[name] = await request.json() if await request.body() else {}
                case "path":
                    arguments[name] = scope["path"]
                case "method":
                    arguments[name] = scope.get("method", "GET")
                case "path_params":
                    arguments[name] = path_params()
                case "query_params":
                    arguments[name] = connection.query_params
                case "headers":
                    arguments[name] = dict(scope["headers"])
                case "authorization":
                    found = dict(scope["headers"]).get(b"authorization")
                    arguments[name] = found.decode("utf-8", "replace") if found is not None else None
                case "scope":
                    arguments[name] = scope
                case "scopes":
                    arguments[name] = []
                case "user":
                    arguments[name] = None
        return arguments | await self._dependencies.values(scope, body())

    def _failed(self, where: str, problem: Exception) -> RefusedError:
        told = isinstance(problem, (UserError, FilterError)) or self._log_content
        log.error(
            "a handler of the project's auth failed",
            exc_info=problem if self._log_content else None,
            extra={"handler": where, "error": type(problem).__name__}
            | ({"why": str(problem)} if told else {}),
        )
        return RefusedError(
            500, "the authentication of this deployment failed; its log has it under this X-Request-Id"
        )


def _refusal(refused: Any) -> RefusedError:
    headers = {str(name): str(value) for name, value in (refused.headers or {}).items()}
    return RefusedError(refused.status_code, str(refused.detail), headers or None)


def _parameters(handler: Callable[..., Any], found: frozenset[str]) -> list[str]:
    """What the handler takes by name beside what FastAPI has `found` for it. Raises AuthError."""
    parameters = [p for name, p in inspect.signature(handler).parameters.items() if name not in found]
    unknown = [
        p.name
        for p in parameters
        if p.name not in PARAMETERS
        and p.default is p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if unknown:
        raise AuthError(
            f"its authenticate takes {', '.join(unknown)}; it may take {', '.join(sorted(PARAMETERS))}"
        )
    return [p.name for p in parameters if p.name in PARAMETERS]
