"""Serves until SIGTERM, then shuts down in an order in which no request fails."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Iterator
from typing import Any

import uvicorn
from prometheus_client import start_http_server
from starlette.types import Receive, Scope, Send

from langgraph_agents_service.api.app import create_app
from langgraph_agents_service.api.connection import Connection
from langgraph_agents_service.configuration.settings import Settings
from langgraph_agents_service.service import Service

SERVE_AFTER_SIGTERM_SECONDS = 2.0
"""After SIGTERM, how long new requests are still served while load balancers see that /ready has fallen. It is
part of DRAIN_TIMEOUT_SECONDS."""

WEBSOCKET_BYTES = 1_048_576
"""Of a message over a WebSocket at most: it is in memory before it could wait for room, as larger bodies do."""

OBSERVE_SECONDS = 5.0

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """uvicorn, except that SIGTERM drains before it closes the socket."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._stopping = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        if self._stopping:  # asked twice: at once
            self.should_exit = self.force_exit = True
            return
        self._stopping = True
        self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        begin = time.monotonic()
        total = self._service.settings.drain_timeout_seconds
        self._service.health.draining = True
        log.info("draining", extra={"running": len(self._service.runner.running)})
        await asyncio.sleep(min(SERVE_AFTER_SIGTERM_SECONDS, total / 2))
        left = total - (time.monotonic() - begin)
        await self._service.runner.drain(max(0.0, left))
        if not self._service.settings.process_role.executes and (requests := list(self.server_state.tasks)):
            # They wait for runs of other processes, which may end in time.
            await asyncio.wait(requests, timeout=max(0.0, total - (time.monotonic() - begin)))
        # What has not ended goes back to the registry, which ends its streams and lets another process take it.
        await self._service.runner.close()
        self.should_exit = True


async def _observe(service: Service) -> None:
    while True:
        if service.database is not None:
            service.database.observe()
        await asyncio.sleep(OBSERVE_SECONDS)


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises StartError, ProjectError or OSError if it cannot start."""
    app = create_app(settings)
    service: Service = app.state.service
    state: dict[str, Any] = {}

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {**state, **scope.get("state", {})}
        await app(scope, receive, send)

    config = uvicorn.Config(
        with_state,
        http=Connection,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        # Above the idle timeout of common load balancers (60 s), so that it is never this side that closes first.
        timeout_keep_alive=75,
        ws_max_size=min(settings.max_request_bytes, WEBSOCKET_BYTES),
        timeout_graceful_shutdown=2,
        lifespan="off",
    )
    server = Server(config, service)
    async with app.lifespan() as found:
        state.update(found)
        metrics_server = (
            start_http_server(settings.metrics_port, settings.host) if settings.metrics_port else None
        )
        observer = asyncio.create_task(_observe(service))
        log.info(
            "serving",
            extra={
                "graphs": service.graphs.names,
                "checkpointer": settings.checkpointer.value,
                "role": settings.process_role.value,
                "port": settings.port,
            },
        )
        try:
            await server.serve()
        finally:
            observer.cancel()
            if metrics_server:
                metrics_server[0].shutdown()
