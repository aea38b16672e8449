"""What every request passes: an id, a size, a count and a line in the log.

Plain ASGI, because Starlette's BaseHTTPMiddleware costs a task a request and stands in the way of streams.
"""

import logging
import re
import secrets
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langgraph_agents_service.access import callers, inside
from langgraph_agents_service.access.identification import IN_PROCESS
from langgraph_agents_service.api.authentication import SECRET_HEADERS
from langgraph_agents_service.api.errors import RETRY_AFTER, ApiError, answer
from langgraph_agents_service.api.paths import OPEN_PATHS
from langgraph_agents_service.observability import logs, metrics
from langgraph_agents_service.runs import bodies
from langgraph_agents_service.runs.bodies import Held, NoRoomError, Room
from langgraph_agents_service.service import Service

_REQUEST_ID = re.compile(r"[\w.-]{1,64}")

log = logging.getLogger("langgraph_agents_service.access.keys")


class BodyRefusedError(ApiError):
    """A body is too large, or there is no room for it."""


class Gateway:
    def __init__(self, app: ASGIApp, *, service: Service) -> None:
        self._app = app
        self._service = service
        self._headers = service.graphs.project.http.logging_headers
        settings = service.settings
        self._room = Room(settings.bodies_bytes, patience=settings.queue_timeout_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Tasks inherit the context of the request before on the same connection, where requests are pipelined.
        callers.current.set(None)
        inside.here.set(self._service.serving)
        bodies.held.set(None)
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        logs.request_id.set(request_id)
        status = 500
        started = False
        body: _Body | None = None

        async def send_on(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
                if self._service.health.draining:
                    # Have clients and proxies open their next connection to a process that stays.
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        metrics.active_requests.inc()
        try:
            # The server has refused what is no number, and takes in no more than it says.
            length = int(headers[b"content-length"]) if b"content-length" in headers else None
            limit = self._service.settings.max_request_bytes
            if length is not None and length > limit:
                raise BodyRefusedError(413, f"the body has {length} bytes, more than {limit}")
            # What a graph asks for in this process is in memory already.
            if (length is None or length > bodies.SMALL) and IN_PROCESS not in scope:
                body = _Body(receive, self._room, length, limit)
                receive = body.receive
            await self._app(scope, receive, send_on)
        except BodyRefusedError as error:
            if started:
                raise
            await answer(error.status_code, error.detail, dict(error.headers or {}))(scope, receive, send_on)
        except ClientDisconnect:
            status = 499  # as proxies count a client that left before it had sent all
        except Exception as error:
            log.error(
                "request failed",
                exc_info=error if self._service.settings.log_content else None,
                extra={"error": type(error).__name__},
            )
            if started:
                raise
            await answer(500, "internal error; the log has it under this X-Request-Id")(
                scope, receive, send_on
            )
        finally:
            if body is not None:
                body.answered()
            metrics.active_requests.dec()
            self._count(scope, status, time.perf_counter() - begin)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        endpoint = getattr(route, "path", "(none)")
        method = scope["method"]
        metrics.series(metrics.requests, method, endpoint, status).inc()
        metrics.series(metrics.request_seconds, method, endpoint).observe(seconds)
        if endpoint not in OPEN_PATHS:
            extra = {
                "method": method,
                "endpoint": endpoint,
                "status": status,
                "seconds": round(seconds, 4),
            }
            if self._headers is not None:
                extra["headers"] = self._headers.pick(scope["headers"], never=SECRET_HEADERS)
            log.info("request", extra=extra)


class _Body:
    """A large body, or one that does not say how large it is. It waits for its part of the room when it is first asked
    for: by then the caller is known, and until then the server takes in no more than a little of it."""

    def __init__(self, receive: Receive, room: Room, length: int | None, limit: int) -> None:
        self._receive = receive
        self._room = room
        self._length = length
        self._limit = limit
        self._size = 0
        self._held: Held | None = None

    async def receive(self) -> Message:
        if self._length is not None and self._held is None:
            await self._take(self._length)
        message = await self._receive()
        if self._length is None and message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            if self._size > self._limit:
                raise BodyRefusedError(413, f"the body has more than {self._limit} bytes")
            if self._size > bodies.SMALL and self._held is None:
                await self._take(self._limit)
            if self._held is not None and not message.get("more_body", False):
                self._held.shrink(self._size)
        return message

    async def _take(self, size: int) -> None:
        try:
            self._held = await self._room.take(size)
        except NoRoomError:
            raise BodyRefusedError(
                503, "as many bytes of requests as there is room for are in progress; try again", RETRY_AFTER
            ) from None
        bodies.held.set(self._held)

    def answered(self) -> None:
        if self._held is not None:
            self._held.let_go()
