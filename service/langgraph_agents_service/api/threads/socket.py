"""The same commands and events over a WebSocket, as clients of the event streaming protocol may choose."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError
from starlette.middleware.cors import CORSMiddleware

from langgraph_agents_service.api.authentication import caller_in
from langgraph_agents_service.api.bodies import parse
from langgraph_agents_service.api.errors import ApiError, problems, refusal
from langgraph_agents_service.api.threads import commands, events
from langgraph_agents_service.api.threads.commands import CommandCall, CommandError
from langgraph_agents_service.api.threads.telling import Subscription
from langgraph_agents_service.persistence.registry.base import Owner, Thread
from langgraph_agents_service.runs.wire import dumps
from langgraph_agents_service.service import Service

router = APIRouter(prefix="/threads")

log = logging.getLogger(__name__)

MAX_SUBSCRIPTIONS = 100
_GOING_AWAY = 1012
"""The events end although the thread goes on: clients come again, to another process."""
_REFUSED = 4000
"""Above it, the status that the same request would have over HTTP."""


@router.websocket("/{thread_id}/stream/events")
async def socket(websocket: WebSocket, thread_id: UUID) -> None:
    await websocket.accept()
    service: Service = websocket.app.state.service
    caller = caller_in(websocket.scope)
    try:
        if _is_of_another_site(websocket, service):
            raise ApiError(403, "this page is of another site, and CORS_ORIGINS does not name it")
        if not service.keeps_threads:
            raise ApiError(422, "CHECKPOINTER=none keeps no threads")
        owner = await caller.may("threads", "read", {"thread_id": thread_id})
        thread = await service.registry.get_thread(str(thread_id), owner)
    except Exception as error:
        status, detail = refusal(error)
        await websocket.close(_REFUSED + status, detail[:100])
        return
    async with _Socket(websocket, service, owner, thread).subscribed() as one:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # who was here has left
            while (message := await websocket.receive())["type"] == "websocket.receive":
                content = message.get("bytes") or (message.get("text") or "").encode()
                await one.say(await one.answer(content))


def _is_of_another_site(websocket: WebSocket, service: Service) -> bool:
    """A browser asks no leave before it opens a socket across origins, and sends its cookies along."""
    origin, cors = websocket.headers.get("origin"), service.graphs.project.http.cors
    if origin is None or urlsplit(origin).netloc == websocket.headers.get("host"):
        return False
    given = cors.given() if cors else {"allow_origins": service.settings.cors}
    return not CORSMiddleware(websocket.app, **given).is_allowed_origin(origin)


class _Socket:
    def __init__(self, websocket: WebSocket, service: Service, owner: Owner, thread: Thread) -> None:
        self._websocket = websocket
        self._service = service
        self._owner = owner
        self._thread = thread
        self._subscriptions: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator["_Socket"]:
        try:
            yield self
        finally:
            await _end(*self._subscriptions.values())

    async def say(self, document: Any) -> None:
        async with self._turn:
            await self._websocket.send_text(dumps(document).decode())

    async def answer(self, content: bytes) -> Any:
        """What is answered to a frame; whatever it holds, the socket stays open."""
        call = CommandCall(id=0, method="")
        try:
            call = CommandCall.model_validate(parse(content))
            if call.method == "subscription.subscribe":
                result = self._subscribe(Subscription.model_validate(call.params))
            elif call.method == "subscription.unsubscribe":
                result = await self._unsubscribe(call.params.get("subscription_id"))
            else:
                caller = caller_in(self._websocket.scope)
                return await commands.obey(self._service, caller, self._thread.thread_id, call)
        except ValidationError as error:
            return commands.failure(call, "invalid_argument", problems(error))
        except CommandError as error:
            return commands.failure(call, error.code, str(error))
        except Exception as error:
            status, detail = refusal(error)
            codes = {403: "permission_denied", 422: "invalid_argument"}
            return commands.failure(call, codes.get(status, "unknown_error"), detail)
        return commands.success(call, result)

    def _subscribe(self, wanted: Subscription) -> Any:
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise CommandError("invalid_argument", f"a socket has {MAX_SUBSCRIPTIONS} subscriptions at most")
        name = str(uuid.uuid4())
        self._subscriptions[name] = asyncio.create_task(self._tell(wanted))
        return {"subscription_id": name}

    async def _unsubscribe(self, name: Any) -> Any:
        task = self._subscriptions.pop(str(name), None)
        if task is None:
            raise CommandError("no_such_subscription", f"there is no subscription {str(name)[:100]!r}")
        await _end(task)
        return {}

    async def _tell(self, wanted: Subscription) -> None:
        try:
            async for event in events.events(self._service, self._owner, self._thread, wanted):
                await self.say(event)
        except (WebSocketDisconnect, RuntimeError):
            return  # who listened has left
        except Exception as error:
            log.warning("a stream broke off", extra={"error": type(error).__name__})
        await self._websocket.close(_GOING_AWAY)


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Clients of storages may swallow that they are cancelled."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.2)
