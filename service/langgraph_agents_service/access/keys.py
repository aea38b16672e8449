"""Who may ask, and how often."""

import asyncio
import hashlib
import hmac
import logging
import time
from dataclasses import dataclass

from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from langgraph_agents_service.configuration.settings import Settings

SHARED_TIMEOUT_SECONDS = 0.05
"""Longest wait for the shared count; a rate limit is not worth more of a request's time."""

SHARED_PAUSE_SECONDS = 5.0
"""How long each process counts for itself after the shared count did not answer."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Key:
    digest: bytes
    owner: str


class Access:
    """The API keys and their rate limits. Both can change while requests are in progress."""

    def __init__(self, settings: Settings, valkey: Valkey | None) -> None:
        self._valkey = valkey
        self._paused_until = 0.0
        self._counts: dict[tuple[str, int], int] = {}
        self._keys: list[_Key] = []
        self.use(settings)

    def use(self, settings: Settings) -> None:
        keys = [_key(entry) for entry in settings.keys]
        if self._keys and not keys:
            log.error("API_KEYS is empty now, which would let in everybody; the keys from before stay")
        else:
            self._keys = keys
        self._limit = settings.rate_limit_per_minute
        self._prefix = settings.cache_key_prefix

    @property
    def needs_key(self) -> bool:
        return bool(self._keys)

    def owner(self, key: str | None) -> str | None:
        """The owner that a key stands for; None if it is not a key. Without any keys, everyone is the same."""
        if not self._keys:
            return ""
        digest = hashlib.sha256((key or "").encode()).digest()
        found = None
        for known in self._keys:  # all of them, so that the time says nothing about which one came close
            if hmac.compare_digest(known.digest, digest):
                found = known.owner
        return found

    def knows(self, owner: str) -> bool:
        """Whether a key that stands for this owner is in use."""
        return not self._keys or any(known.owner == owner for known in self._keys)

    async def wait_seconds(self, owner: str) -> int:
        """0 if the owner may ask now, else the seconds until the next minute begins."""
        if not self._limit:
            return 0
        now = time.time()
        minute = int(now // 60)
        count = await self._shared_count(owner, minute)
        if count is None:
            count = self._counts[owner, minute] = self._counts.get((owner, minute), 0) + 1
            if count == 1:
                self._counts = {key: n for key, n in self._counts.items() if key[1] == minute}
        return 0 if count <= self._limit else max(1, int((minute + 1) * 60 - now) + 1)

    async def _shared_count(self, owner: str, minute: int) -> int | None:
        if self._valkey is None or time.monotonic() < self._paused_until:
            return None
        name = f"{self._prefix}rate:{owner}:{minute}"
        try:
            async with asyncio.timeout(SHARED_TIMEOUT_SECONDS):
                async with self._valkey.pipeline(transaction=False) as pipe:
                    pipe.incr(name)
                    pipe.expire(name, 120)
                    count, _ = await pipe.execute()
        except (ValkeyError, TimeoutError, OSError):
            self._paused_until = time.monotonic() + SHARED_PAUSE_SECONDS
            return None
        return int(count)


def _key(entry: str) -> _Key:
    """`name:key` or a bare key. With a name, threads stay with the name when the key is replaced."""
    name, colon, secret = entry.partition(":")
    if not colon:
        name = secret = entry
    owner = hashlib.sha256(f"langgraph-agents owner {name}".encode()).hexdigest()[:32]
    return _Key(hashlib.sha256(secret.encode()).digest(), owner)
