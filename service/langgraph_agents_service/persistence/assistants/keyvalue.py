"""Assistants as JSON documents, in Valkey or in the memory of the process. They stay until they are deleted."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson

from langgraph_agents_service.persistence.assistants.base import (
    Assistant,
    AssistantExistsError,
    Change,
    Search,
    Version,
    changed,
    contains,
    matches,
)
from langgraph_agents_service.persistence.registry.base import Json, NotFoundError, Owner
from langgraph_agents_service.persistence.registry.documents import Documents, restored


class KeyValueAssistants:
    """See Assistants in base.py."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def create(self, assistant: Assistant, owner: Owner, *, reuse: bool) -> Assistant:
        key = f"assistant:{assistant.assistant_id}"
        if await self._documents.put(key, _dump(assistant), ttl=None, absent=True):
            await self._add_version(assistant.assistant_id, assistant)
            await self._documents.add(f"assistants:{owner.name}", assistant.assistant_id, ttl=None)
            return assistant
        if not reuse:
            raise AssistantExistsError
        try:
            return await self.get(assistant.assistant_id, owner)
        except NotFoundError:
            raise AssistantExistsError from None

    async def get(self, assistant_id: str, owner: Owner) -> Assistant:
        (document,) = await self._documents.get(f"assistant:{assistant_id}")
        if document is None:
            raise NotFoundError
        assistant = Assistant(**restored(document, Assistant))
        if assistant.owner != owner.name or not matches(assistant, owner, Search()):
            raise NotFoundError
        return assistant

    async def update(self, assistant_id: str, owner: Owner, change: Change) -> Assistant:
        before = await self.get(assistant_id, owner)
        number = max(int(name) for name in await self._documents.members(f"versions:{assistant_id}"))
        # Two updates at once must not make the same version.
        while True:
            number += 1
            version = Version(version=number, **change.of(before))
            if await self._add_version(assistant_id, version):
                return await self._become(before, version)
            before = await self.get(assistant_id, owner)

    async def set_latest(self, assistant_id: str, owner: Owner, version: int) -> Assistant:
        assistant = await self.get(assistant_id, owner)
        (document,) = await self._documents.get(f"assistant:{assistant_id}:{version}")
        if document is None:
            raise NotFoundError
        return await self._become(assistant, Version(**restored(document, Version)))

    async def versions(
        self, assistant_id: str, owner: Owner, metadata: Json, *, limit: int, offset: int
    ) -> list[Version]:
        await self.get(assistant_id, owner)
        names = await self._documents.members(f"versions:{assistant_id}")
        documents = await self._documents.get(*(f"assistant:{assistant_id}:{name}" for name in names))
        found = [Version(**restored(document, Version)) for document in documents if document is not None]
        found = [version for version in found if contains(version.metadata, metadata)]
        return sorted(found, key=lambda version: version.version, reverse=True)[offset : offset + limit]

    async def delete(self, assistant_id: str, owner: Owner) -> None:
        await self.get(assistant_id, owner)
        names = await self._documents.members(f"versions:{assistant_id}")
        keys = [f"assistant:{assistant_id}:{name}" for name in names]
        await self._documents.delete(f"assistant:{assistant_id}", *keys)
        await self._documents.remove(f"versions:{assistant_id}", *names)
        await self._documents.remove(f"assistants:{owner.name}", assistant_id)

    async def search(
        self,
        owner: Owner,
        search: Search,
        own: Sequence[Assistant],
        *,
        limit: int,
        offset: int,
        sort_by: str = "created_at",
        descending: bool = True,
    ) -> list[Assistant]:
        found = await self._matching(owner, search, own)
        found.sort(key=lambda assistant: assistant.assistant_id)
        found.sort(key=lambda assistant: _sortable(getattr(assistant, sort_by)), reverse=descending)
        return found[offset : offset + limit]

    async def count(self, owner: Owner, search: Search, own: Sequence[Assistant]) -> int:
        return len(await self._matching(owner, search, own))

    async def _matching(self, owner: Owner, search: Search, own: Sequence[Assistant]) -> list[Assistant]:
        names = await self._documents.members(f"assistants:{owner.name}")
        documents = await self._documents.get(*(f"assistant:{name}" for name in names)) if names else []
        kept = [Assistant(**restored(document, Assistant)) for document in documents if document is not None]
        return [assistant for assistant in (*kept, *own) if matches(assistant, owner, search)]

    async def _add_version(self, assistant_id: str, version: Version) -> bool:
        key = f"assistant:{assistant_id}:{version.version}"
        made = await self._documents.put(key, _dump(version), ttl=None, absent=True)
        await self._documents.add(f"versions:{assistant_id}", str(version.version), ttl=None)
        return made

    async def _become(self, assistant: Assistant, version: Version) -> Assistant:
        assistant = changed(assistant, version)
        await self._documents.put(f"assistant:{assistant.assistant_id}", _dump(assistant), ttl=None)
        return assistant


def _sortable(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _dump(assistant: Version) -> bytes:
    return orjson.dumps(asdict(assistant))
