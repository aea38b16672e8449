"""Whom `authenticate` let in a short while ago, as `auth.cache` of langgraph.json asks."""

import hashlib
import time
from collections import OrderedDict
from typing import Any

from starlette.types import Scope

from langgraph_agents_service.projects.config import AuthCache

_CREDENTIALS = (b"authorization", b"cookie", b"x-api-key")
"""Tell callers apart whatever the project names: nobody is taken for who has another of these."""


class Remembered:
    """What `authenticate` returned, by the headers that `cache_keys` names. Refusals are not remembered."""

    def __init__(self, cache: AuthCache) -> None:
        self._names = {*(name.lower().encode() for name in cache.cache_keys), *_CREDENTIALS}
        self._seconds = cache.ttl_seconds
        self._size = cache.max_size
        self._kept: OrderedDict[bytes, tuple[float, Any]] = OrderedDict()

    def key(self, scope: Scope) -> bytes | None:
        """A digest of the headers that count; None where there are none, because these are anybody's."""
        found = sorted((name, value) for name, value in scope["headers"] if name in self._names)
        return hashlib.sha256(repr(found).encode()).digest() if found else None

    def find(self, key: bytes) -> Any:
        """None: it has to be asked."""
        until, returned = self._kept.get(key, (0.0, None))
        return returned if time.monotonic() < until else None

    def keep(self, key: bytes, returned: Any) -> None:
        self._kept[key] = (time.monotonic() + self._seconds, returned)
        self._kept.move_to_end(key)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
