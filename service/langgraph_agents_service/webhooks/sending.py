"""One POST: signed as Standard Webhooks has it (https://www.standardwebhooks.com/), bounded, and without redirects."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import httpcore
import httpx
from standardwebhooks import Webhook

from langgraph_agents_service.projects.webhooks import UrlPolicy
from langgraph_agents_service.webhooks.addresses import BlockedError, Guarded

SEND_SECONDS = 15.0
"""How long a receiver may take in all. It should answer at once and work later."""

GONE = 410


class NotDeliveredError(Exception):
    """The receiver did not take it. `final`: and it never will."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Sender:
    """Sends webhooks over connections of its own."""

    def __init__(self, policy: UrlPolicy, secrets: Callable[[], tuple[str, ...]]) -> None:
        """
        Args:
            secrets: each signs, so that receivers may take a new one before the old one goes. Asked each time.
        """
        self._secrets = secrets
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=100,
            max_keepalive_connections=0,  # a name is judged anew for each
            network_backend=Guarded(policy),
        )

    async def close(self) -> None:
        await self._pool.aclose()

    async def send(self, url: str, identifier: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Raises NotDeliveredError."""
        sent = datetime.now(UTC)
        signed: dict[bytes | str, bytes | str] = {
            "content-type": "application/json",
            "user-agent": "langgraph-agents",
        }
        signed.update(headers)
        signed |= {"webhook-id": identifier, "webhook-timestamp": str(int(sent.timestamp()))}
        if secrets := self._secrets():
            text = body.decode()
            signatures = [Webhook(secret).sign(identifier, sent, text) for secret in secrets]
            signed["webhook-signature"] = " ".join(signatures)
        try:
            async with (
                asyncio.timeout(SEND_SECONDS),
                self._pool.stream("POST", url, headers=signed, content=body) as answer,
            ):
                status = answer.status
        except BlockedError as error:
            raise NotDeliveredError(f"its address is not allowed: {error}", final=True) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise NotDeliveredError(f"{type(error).__name__}") from None
        except TimeoutError:
            raise NotDeliveredError(f"no answer within {SEND_SECONDS:g} s") from None
        except (OSError, UnicodeError, ValueError) as error:
            raise NotDeliveredError(f"{type(error).__name__}") from None
        if 300 <= status < 400:
            raise NotDeliveredError(f"status {status}: redirects are not followed")
        if not 200 <= status < 300:
            raise NotDeliveredError(f"status {status}", final=status == GONE)
