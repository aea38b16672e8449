"""A connection whose requests have bounded headers and come in bounded time, from whomever and without a key.

uvicorn's own takes headers of any length, and waits for the rest of a request as long as its sender likes.
"""

import asyncio
import time
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class _Phase(Enum):
    IDLE = auto()
    """Between requests, or while one is answered; uvicorn's keep-alive timeout counts."""
    FIRST = auto()
    """Nothing has come yet."""
    HEAD = auto()
    BODY = auto()


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with limits."""

    MAX_HEAD_BYTES = 65_536
    """Of the request line and the headers."""
    FIRST_SECONDS = 75.0
    """Until the first byte: as long as a connection may be idle later. Load balancers open some in advance."""
    HEAD_SECONDS = 20.0
    """From the first byte of a request to the end of its headers."""
    BODY_SECONDS = 20.0
    """For a body, and a second more for each BODY_RATE bytes of it that have come."""
    BODY_RATE = 16_384

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._refused = False
        self._head = self._body = 0
        self._phase = _Phase.FIRST
        self._since = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._watched = _Phase.IDLE
        super().connection_made(transport)
        self._watch_over()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        if self._phase is _Phase.HEAD:
            # As far as it has come: a header that does not end is not reported by its parser.
            self._head += len(data)
            if self._head > self.MAX_HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if self.transport.is_closing() or self not in self.connections:  # closed, or a WebSocket by now
            self._unwatch()
        else:
            self._watch_over()

    # What the parser reports

    def on_message_begin(self) -> None:
        self._phase, self._head, self._body = _Phase.HEAD, 0, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        length = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        self._phase = _Phase.BODY
        if length > self.MAX_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not self._refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._phase = _Phase.IDLE
        if not self._refused:
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        if not self._refused:
            super().handle_websocket_upgrade()

    # Time

    def _watch_over(self) -> None:
        """Have the time of the phase run, from its beginning. A request that came whole costs no timer."""
        if self._phase is self._watched:
            return
        self._unwatch()
        self._watched = self._phase
        if self._phase is not _Phase.IDLE:
            self._since = time.monotonic()
            self._watch = self.loop.call_later(self._allowed(), self._look)

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._watched = _Phase.IDLE

    def _allowed(self) -> float:
        if self._phase is _Phase.FIRST:
            return self.FIRST_SECONDS
        if self._phase is _Phase.HEAD:
            return self.HEAD_SECONDS
        return self.BODY_SECONDS + self._body / self.BODY_RATE

    def _look(self) -> None:
        left = self._since + self._allowed() - time.monotonic()
        if self._phase is _Phase.BODY and self.flow.read_paused:
            # It is this side that does not take more in at present.
            self._since = time.monotonic()
            left = self._allowed()
        if left > 0:
            self._watch = self.loop.call_later(left, self._look)
        elif self._phase is _Phase.FIRST:
            self.transport.close()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer, if no answer has begun, and close."""
        self._refused = True
        self._unwatch()
        cycle: Any = self.cycle
        if (
            cycle is None
            or cycle.response_complete
            or (self._phase is _Phase.BODY and not cycle.response_started)
        ):
            text = b'{"detail":"%s"}' % status.phrase.lower().encode()
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
                % (status, status.phrase.encode(), len(text), text)
            )
        self.transport.close()
