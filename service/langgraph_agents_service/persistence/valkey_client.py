"""The Valkey client of the process: bounded waits, checked idle connections, credentials that can change."""

import asyncio

from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import ExponentialBackoff
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import TimeoutError as ValkeyTimeoutError

from langgraph_agents_service.configuration.settings import Settings


def _pool(settings: Settings, connections: int) -> BlockingConnectionPool:
    return BlockingConnectionPool.from_url(
        settings.redis_uri.get_secret_value(),
        max_connections=connections,
        timeout=5,
        socket_connect_timeout=2,
        socket_timeout=5,
        # Servers and load balancers drop idle connections without a word: look before use, and try again.
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
        retry_on_error=[ValkeyConnectionError, ValkeyTimeoutError],
        client_name="langgraph-agents",
    )


def connect(settings: Settings, *, connections: int) -> Valkey:
    """A client of so many connections at most, that connects when it is first used."""
    return Valkey(connection_pool=_pool(settings, connections))


async def renew(client: Valkey, settings: Settings) -> None:
    """Use another address or password from now on; commands in flight finish on their connections."""
    old = client.connection_pool
    client.connection_pool = _pool(settings, old.max_connections)
    await asyncio.sleep(1)
    await old.disconnect(inuse_connections=False)
