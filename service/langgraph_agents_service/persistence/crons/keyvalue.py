"""Crons as JSON documents, in Valkey or in the memory of the process. They stay until they are deleted."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from langgraph_agents_service.persistence.assistants.base import contains
from langgraph_agents_service.persistence.crons.base import Cron, CronSearch, Firing
from langgraph_agents_service.persistence.crons.schedule import following
from langgraph_agents_service.persistence.registry.base import NotFoundError, Owner, Run, now
from langgraph_agents_service.persistence.registry.documents import Documents, restored
from langgraph_agents_service.persistence.registry.keyvalue import KeyValueRegistry

_HELD_SECONDS = 3600.0
"""How long others know that somebody took a cron at its time; its next time is set within a moment."""


@dataclass(frozen=True, slots=True)
class _Firing:
    cron: Cron
    registry: KeyValueRegistry

    async def enter(self, run: Run, owner: Owner, *, create_thread: bool) -> None:
        await self.registry.begin(run, owner, create_thread=create_thread, start=False)


class KeyValueCrons:
    """See Crons in base.py. A process that is killed while it makes a run may lose that run, as all runs are lost here
    with their process; it is never made twice."""

    def __init__(self, documents: Documents, registry: KeyValueRegistry) -> None:
        self._documents = documents
        self._registry = registry

    async def create(self, cron: Cron, owner: Owner) -> Cron:
        if cron.thread_id:
            await self._registry.get_thread(cron.thread_id, Owner(owner.name))
        await self._save(cron)
        await self._documents.add("crons", cron.cron_id, ttl=None)
        return cron

    async def get(self, cron_id: str, owner: Owner) -> Cron:
        (document,) = await self._documents.get(f"cron:{cron_id}")
        cron = Cron(**restored(document, Cron)) if document is not None else None
        if cron is None or not owner.owns(cron.owner, cron.metadata):
            raise NotFoundError
        return cron

    async def update(self, cron_id: str, owner: Owner, changes: Mapping[str, Any]) -> Cron:
        cron = await self.get(cron_id, owner)
        merged: dict[str, Any] = {
            name: {**getattr(cron, name), **value} if name in ("payload", "metadata") else value
            for name, value in changes.items()
        }
        cron = replace(cron, **merged, updated_at=now())
        await self._save(cron)
        return cron

    async def delete(self, cron_id: str, owner: Owner) -> None:
        await self.get(cron_id, owner)
        await self._remove(cron_id)

    async def search(
        self,
        owner: Owner,
        search: CronSearch,
        *,
        limit: int,
        offset: int,
        sort_by: str = "created_at",
        descending: bool = True,
    ) -> list[Cron]:
        found = await self._matching(owner, search)
        found.sort(key=lambda cron: cron.cron_id)
        found.sort(key=lambda cron: _sortable(getattr(cron, sort_by)), reverse=descending)
        return found[offset : offset + limit]

    async def count(self, owner: Owner, search: CronSearch) -> int:
        return len(await self._matching(owner, search))

    async def delete_of_assistant(self, assistant_id: str) -> None:
        for cron in await self._all():
            if cron.assistant_id == assistant_id:
                await self._remove(cron.cron_id)

    @asynccontextmanager
    async def due(self) -> AsyncIterator[Firing | None]:
        for cron in sorted(await self._all(), key=lambda cron: _sortable(cron.next_run_date)):
            if _is_due(cron) and await self._take(cron):
                upcoming = following(cron.schedule, cron.timezone, now())
                await self._save(replace(cron, next_run_date=upcoming))
                yield _Firing(cron, self._registry)
                return
        yield None

    async def _take(self, cron: Cron) -> bool:
        key = f"cron:{cron.cron_id}:{cron.next_run_date}"
        return await self._documents.put(key, b"", ttl=_HELD_SECONDS, absent=True)

    async def _all(self) -> list[Cron]:
        names = await self._documents.members("crons")
        documents = await self._documents.get(*(f"cron:{name}" for name in names)) if names else []
        return [Cron(**restored(document, Cron)) for document in documents if document is not None]

    async def _matching(self, owner: Owner, search: CronSearch) -> list[Cron]:
        return [
            cron
            for cron in await self._all()
            if owner.owns(cron.owner, cron.metadata)
            and search.assistant_id in (None, cron.assistant_id)
            and search.thread_id in (None, cron.thread_id)
            and search.enabled in (None, cron.enabled)
            and contains(cron.metadata, search.metadata)
        ]

    async def _save(self, cron: Cron) -> None:
        await self._documents.put(f"cron:{cron.cron_id}", orjson.dumps(asdict(cron)), ttl=None)

    async def _remove(self, cron_id: str) -> None:
        await self._documents.delete(f"cron:{cron_id}")
        await self._documents.remove("crons", cron_id)


def _is_due(cron: Cron) -> bool:
    date = cron.next_run_date
    return (
        cron.enabled
        and date is not None
        and date <= now()
        and (cron.end_time is None or date <= cron.end_time)
    )


def _sortable(value: Any) -> tuple[bool, str]:
    """What is not there comes last, as in PostgreSQL."""
    return value is None, value.isoformat() if isinstance(value, datetime) else str(value)
