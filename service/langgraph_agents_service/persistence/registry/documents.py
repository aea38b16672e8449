"""Where the key-value registry keeps its documents: Valkey, or the memory of the process."""

import time
from dataclasses import fields
from datetime import datetime
from typing import Any, Protocol

import orjson
from valkey.asyncio import Valkey

from langgraph_agents_service.persistence.valkey_commands import Command, Commands

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

    async def put_named(self, key: str, value: bytes, group: str, member: str, *, ttl: float | None) -> None:
        """Put a document, and add its name to a set."""

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

    async def put_named(self, key: str, value: bytes, group: str, member: str, *, ttl: float | None) -> None:
        await self.put(key, value, ttl=ttl)
        await self.add(group, member, ttl=ttl)

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
        self._commands = Commands(client)
        self._prefix = prefix

    async def get(self, *keys: str) -> list[bytes | None]:
        (found,) = await self._commands.run(("MGET", *(self._prefix + key for key in keys)))
        return list(found)

    async def put(self, key: str, value: bytes, *, ttl: float | None, absent: bool = False) -> bool:
        command = self._set(key, value, ttl)
        (made,) = await self._commands.run((*command, "NX") if absent else command)
        return bool(made)

    async def put_named(self, key: str, value: bytes, group: str, member: str, *, ttl: float | None) -> None:
        added = ("ZADD", self._prefix + group, time.time(), member)
        await self._commands.run(self._set(key, value, ttl), *self._lasting(added, ttl))

    def _set(self, key: str, value: bytes, ttl: float | None) -> Command:
        return ("SET", self._prefix + key, value, *(() if ttl is None else ("PX", int(ttl * 1000))))

    @staticmethod
    def _lasting(command: Command, ttl: float | None) -> tuple[Command, ...]:
        return (command,) if ttl is None else (command, ("EXPIRE", command[1], int(ttl)))

    async def extend(self, key: str, ttl: float) -> None:
        await self._commands.run(("EXPIRE", self._prefix + key, int(ttl)))

    async def delete(self, *keys: str) -> None:
        await self._commands.run(("UNLINK", *(self._prefix + key for key in keys)))

    async def add(self, group: str, member: str, *, ttl: float | None) -> None:
        await self._commands.run(*self._lasting(("ZADD", self._prefix + group, time.time(), member), ttl))

    async def append(self, key: str, *values: bytes, ttl: float | None) -> None:
        await self._commands.run(*self._lasting(("RPUSH", self._prefix + key, *values), ttl))

    async def listed(self, key: str, begin: int, end: int) -> list[bytes]:
        (found,) = await self._commands.run(("LRANGE", self._prefix + key, begin, end - 1))
        return list(found)

    async def members(self, group: str) -> list[str]:
        (found,) = await self._commands.run(("ZRANGE", self._prefix + group, 0, -1))
        return [name.decode() for name in found]

    async def remove(self, group: str, *members: str) -> None:
        if members:
            await self._commands.run(("ZREM", self._prefix + group, *members))
