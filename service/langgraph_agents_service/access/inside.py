"""`langgraph_sdk.get_client()` without an address: a graph calls the server that it runs on, in its own process.

The SDK looks for LangGraph's own server (`langgraph_api.server.app`) and its transport; under these names it finds
this service. Such a call is made on behalf of whoever asked for the run, with the same rights and no more.
"""

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langgraph_agents_service.access import callers
from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.access.identification import IN_PROCESS, SHARED_OWNER


@dataclass(frozen=True, slots=True)
class Serving:
    """An application and the loop that it runs on."""

    app: ASGIApp
    loop: asyncio.AbstractEventLoop


here: ContextVar[Serving | None] = ContextVar("serving", default=None)
"""What serves the request or the run that is in progress."""


class NotServedError(RuntimeError):
    def __init__(self) -> None:
        super().__init__(
            "get_client() without an address works only in a graph that this service runs; give it a url"
        )


def _served() -> Serving:
    found = here.get()
    if found is None:
        raise NotServedError
    return found


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The application that serves what is in progress, called on behalf of whoever is being served."""
    caller = callers.current.get() or Caller(SHARED_OWNER)
    await _served().app({**scope, "root_path": "", IN_PROCESS: caller}, receive, send)


class Transport(httpx.ASGITransport):
    """Calls an application on the loop that serves, from whichever loop, and hands its answer on as it comes."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        loop, asking = _served().loop, asyncio.get_running_loop()
        messages: asyncio.Queue[Message | Exception | None] = asyncio.Queue()
        sent = False
        gone: asyncio.Future[None] = loop.create_future()

        def tell(message: Message | Exception | None) -> None:
            if not asking.is_closed():
                asking.call_soon_threadsafe(messages.put_nowait, message)

        async def receive() -> Message:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": content, "more_body": False}
            await asyncio.wait([gone])
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            tell(message)

        async def answer() -> None:
            try:
                await self.app(_scope(request), receive, send)
                tell(None)
            except Exception as error:
                tell(error)
            except asyncio.CancelledError:
                tell(None)
                raise

        answering = asyncio.run_coroutine_threadsafe(answer(), loop)

        async def close() -> None:
            loop.call_soon_threadsafe(gone.cancel)
            answering.cancel()

        try:
            begin = await _next(messages)
        except BaseException:
            await close()
            raise
        return httpx.Response(
            begin["status"], headers=begin.get("headers", []), stream=_Answer(messages, close)
        )


class _Answer(httpx.AsyncByteStream):
    def __init__(self, messages: asyncio.Queue[Any], close: Any) -> None:
        self._messages = messages
        self._close = close
        self._whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._whole:
            message = await _next(self._messages)
            self._whole = not message.get("more_body", False)
            if body := message.get("body"):
                yield body

    async def aclose(self) -> None:
        if not self._whole:
            await self._close()


async def _next(messages: "asyncio.Queue[Message | Exception | None]") -> Message:
    message = await messages.get()
    if message is None:
        raise httpx.RemoteProtocolError("the service ended before its answer did")
    if isinstance(message, Exception):
        raise message
    return message


def _scope(request: httpx.Request) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": ("inside", 0),
        "root_path": "",
    }


def install() -> None:
    """Have the SDK find this service. LangGraph's own server, should it be installed, is not imported for it."""
    package = sys.modules.get("langgraph_api")
    if package is None and importlib.util.find_spec("langgraph_api") is None:
        package = ModuleType("langgraph_api")
        package.__path__ = []
        sys.modules["langgraph_api"] = package
    for name, content in (("server", {"app": app}), ("asgi_transport", {"ASGITransport": Transport})):
        module = ModuleType(f"langgraph_api.{name}")
        vars(module).update(content)
        sys.modules[module.__name__] = module
        if package is not None:
            setattr(package, name, module)
