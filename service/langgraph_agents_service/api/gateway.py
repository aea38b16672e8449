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
from langgraph_agents_service.api.authentication import SECRET_HEADERS
from langgraph_agents_service.api.errors import ApiError, answer
from langgraph_agents_service.api.paths import OPEN_PATHS
from langgraph_agents_service.observability import logs, metrics
from langgraph_agents_service.service import Service

_REQUEST_ID = re.compile(r"[\w.-]{1,64}")

log = logging.getLogger("langgraph_agents_service.access.keys")


class BodyTooLargeError(ApiError):
    pass


class Gateway:
    def __init__(self, app: ASGIApp, *, service: Service) -> None:
        self._app = app
        self._service = service
        self._headers = service.graphs.project.http.logging_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Tasks inherit the context of the request before on the same connection, where requests are pipelined.
        callers.current.set(None)
        inside.here.set(self._service.serving)
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
            limit = self._service.settings.max_request_bytes
            # The server has refused what is no number, and takes in no more than it says.
            length = int(headers.get(b"content-length", b"0"))
            if length > limit:
                raise BodyTooLargeError(413, f"the body has {length} bytes, more than {limit}")
            if b"content-length" not in headers:
                receive = _limited(receive, limit)
            await self._app(scope, receive, send_on)
        except BodyTooLargeError as error:
            if started:
                raise
            await answer(error.status_code, error.detail)(scope, receive, send_on)
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


def _limited(receive: Receive, limit: int) -> Receive:
    """Count a body that does not say its length while it comes in."""
    size = 0

    async def receive_on() -> Message:
        nonlocal size
        message = await receive()
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            if size > limit:
                raise BodyTooLargeError(413, f"the body has more than {limit} bytes")
        return message

    return receive_on
