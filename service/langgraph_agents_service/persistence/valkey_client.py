"""The Valkey client of the process: bounded waits, checked idle connections, credentials that can change."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import ExponentialBackoff
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import TimeoutError as ValkeyTimeoutError

from langgraph_agents_service.configuration.settings import Settings
from langgraph_agents_service.persistence.connections import SILENCE
from langgraph_agents_service.persistence.patience import PATIENCE_SECONDS, again

Result = TypeVar("Result")

AWAY = (ValkeyConnectionError, ValkeyTimeoutError)
"""Errors that say that the server is away, and nothing about the command."""

_KEEPALIVE = {
    getattr(socket, option): SILENCE[name]
    for option, name in (
        ("TCP_KEEPIDLE", "keepalives_idle"),
        ("TCP_KEEPINTVL", "keepalives_interval"),
        ("TCP_KEEPCNT", "keepalives_count"),
        ("TCP_USER_TIMEOUT", "tcp_user_timeout"),
    )
    if hasattr(socket, option)
}
"""As with PostgreSQL, where the system has these options: an idle connection to a silent server is closed after 30 s.
An answer is waited for no longer than `socket_timeout`."""


def _pool(settings: Settings, connections: int) -> BlockingConnectionPool:
    return BlockingConnectionPool.from_url(
        settings.redis_uri.get_secret_value(),
        max_connections=connections,
        timeout=5,
        socket_connect_timeout=2,
        socket_timeout=5,
        socket_keepalive=True,
        socket_keepalive_options=_KEEPALIVE,
        # Servers and load balancers drop idle connections without a word: look before use, and try again.
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
        retry_on_error=list(AWAY),
        client_name="langgraph-agents",
    )


def connect(settings: Settings, *, connections: int) -> Valkey:
    """A client of so many connections at most, that connects when it is first used."""
    return Valkey(connection_pool=_pool(settings, connections))


async def patiently(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Try for PATIENCE_SECONDS while the server is away: for what a run does, and which done twice is done once."""
    try:
        return await attempt()
    except AWAY:
        return await again(attempt, AWAY, PATIENCE_SECONDS)


async def renew(client: Valkey, settings: Settings) -> None:
    """Use another address or password from now on; commands in flight finish on their connections."""
    old = client.connection_pool
    client.connection_pool = _pool(settings, old.max_connections)
    await asyncio.sleep(1)
    await old.disconnect(inuse_connections=False)
