"""Where the key-value registry keeps its documents: Valkey, or the memory of the process."""

import time
from collections.abc import Awaitable
from dataclasses import fields
from datetime import datetime
from typing import Any, Protocol, cast

import orjson
from valkey.asyncio import Valkey

_TIMES = frozenset({"created_at", "updated_at", "state_updated_at", "end_time", "next_run_date"})


def restored(document: bytes, kind: type[Any]) -> dict[str, Any]:
    """The fields of a dataclass from its JSON, without what only a newer version knows, which serves beside this one
    during a rollout."""
    names = {field.name for field in fields(kind)}
    return {
        name: datetime.fromisoformat(value) if name in _TIMES and value else value
        for name, value in orjson.loads(document).items()
        if name in names
    }


class Documents(Protocol):
    """A store of byte strings that expire, and of sets of their names."""

    async def get(self, *keys: str) -> list[bytes | None]: ...
    async def put(self, key: str, value: bytes, *, ttl: float | None, absent: bool = False) -> bool:
        """`absent`: only if there is none, which the answer tells."""

    async def extend(self, key: str, ttl: float) -> None:
        """Let a document that is there live on for so long."""

    async def delete(self, *keys: str) -> None: ...
    async def add(self, group: str, member: str, *, ttl: float | None) -> None: ...
    async def append(self, key: str, *values: bytes, ttl: float | None) -> None:
        """Add to the end of a list, which is deleted like a document."""

    async def listed(self, key: str, begin: int, end: int) -> list[bytes]:
        """Of a list, the values from position `begin` until before `end`."""

    async def members(self, group: str) -> list[str]: ...
    async def remove(self, group: str, *members: str) -> None: ...


class MemoryDocuments:
    """Documents in a dictionary. They, and locks among them, live as long as the process."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self._groups: dict[str, dict[str, None]] = {}
        self._lists: dict[str, list[bytes]] = {}

    async def get(self, *keys: str) -> list[bytes | None]:
        return [self._values.get(key) for key in keys]

    async def put(self, key: str, value: bytes, *, ttl: float | None, absent: bool = False) -> bool:
        if absent and key in self._values:
            return False
        self._values[key] = value
        return True

    async def extend(self, key: str, ttl: float) -> None:
        return None

    async def delete(self, *keys: str) -> None:
        for key in keys:
            self._values.pop(key, None)
            self._lists.pop(key, None)

    async def add(self, group: str, member: str, *, ttl: float | None) -> None:
        self._groups.setdefault(group, {})[member] = None

    async def append(self, key: str, *values: bytes, ttl: float | None) -> None:
        self._lists.setdefault(key, []).extend(values)

    async def listed(self, key: str, begin: int, end: int) -> list[bytes]:
        return self._lists.get(key, [])[begin:end]

    async def members(self, group: str) -> list[str]:
        return list(self._groups.get(group, ()))

    async def remove(self, group: str, *members: str) -> None:
        for member in members:
            self._groups.get(group, {}).pop(member, None)


class ValkeyDocuments:
    """Documents below a key prefix. Raises valkey.exceptions.ValkeyError when the server is away."""

    def __init__(self, client: Valkey, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    async def get(self, *keys: str) -> list[bytes | None]:
        found: list[bytes | None] = await self._client.mget([self._prefix + key for key in keys])
        return found

    async def put(self, key: str, value: bytes, *, ttl: float | None, absent: bool = False) -> bool:
        milliseconds = None if ttl is None else int(ttl * 1000)
        return bool(await self._client.set(self._prefix + key, value, px=milliseconds, nx=absent))

    async def extend(self, key: str, ttl: float) -> None:
        await self._client.expire(self._prefix + key, int(ttl))

    async def delete(self, *keys: str) -> None:
        await self._client.unlink(*(self._prefix + key for key in keys))

    async def add(self, group: str, member: str, *, ttl: float | None) -> None:
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.zadd(self._prefix + group, {member: time.time()})
            if ttl is not None:
                pipe.expire(self._prefix + group, int(ttl))
            await pipe.execute()

    async def append(self, key: str, *values: bytes, ttl: float | None) -> None:
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.rpush(self._prefix + key, *values)
            if ttl is not None:
                pipe.expire(self._prefix + key, int(ttl))
            await pipe.execute()

    async def listed(self, key: str, begin: int, end: int) -> list[bytes]:
        # The types of the client are those of its synchronous twin as well.
        asked = cast(Awaitable[list[bytes]], self._client.lrange(self._prefix + key, begin, end - 1))
        return await asked

    async def members(self, group: str) -> list[str]:
        return [name.decode() for name in await self._client.zrange(self._prefix + group, 0, -1)]

    async def remove(self, group: str, *members: str) -> None:
        if members:
            await self._client.zrem(self._prefix + group, *members)
