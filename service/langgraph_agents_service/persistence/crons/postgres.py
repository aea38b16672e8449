"""Crons in PostgreSQL."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.errors import ForeignKeyViolation
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from langgraph_agents_service.persistence.crons.base import SORTS, Cron, CronSearch, Firing
from langgraph_agents_service.persistence.crons.schedule import following
from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.persistence.registry.base import NotFoundError, Owner, Run, now
from langgraph_agents_service.persistence.registry.filters import admitted
from langgraph_agents_service.persistence.registry.owned import one, owned
from langgraph_agents_service.persistence.registry.postgres import PostgresRegistry

_OWNED = f"(kept.owner = %(owner)s AND {admitted('%(only)s::jsonb', 'kept.metadata')})"

_COLUMNS = (
    "cron_id",
    "owner",
    "user_document",
    "configurable",
    "assistant_id",
    "thread_id",
    "on_run_completed",
    "schedule",
    "timezone",
    "end_time",
    "enabled",
    "payload",
    "metadata",
    "next_run_date",
)

_CREATE = f"""
INSERT INTO agent_crons ({", ".join(_COLUMNS)}) VALUES ({", ".join(f"%({name})s" for name in _COLUMNS)})
RETURNING *"""  # noqa: S608

_GET = f"SELECT * FROM agent_crons kept WHERE kept.cron_id = %(cron_id)s AND {_OWNED}"  # noqa: S608

_MERGED = ("payload", "metadata")

_DELETE = f"DELETE FROM agent_crons kept WHERE kept.cron_id = %(cron_id)s AND {_OWNED} RETURNING kept.cron_id"  # noqa: S608

_FOUND = f"""
FROM agent_crons kept
WHERE {_OWNED} AND kept.metadata @> %(metadata)s
  AND (%(assistant_id)s::text IS NULL OR kept.assistant_id = %(assistant_id)s)
  AND (%(thread_id)s::uuid IS NULL OR kept.thread_id = %(thread_id)s)
  AND (%(enabled)s::bool IS NULL OR kept.enabled = %(enabled)s)"""

_COUNT = f"SELECT count(*) AS count {_FOUND}"

_DUE = "enabled AND next_run_date <= now() AND (end_time IS NULL OR next_run_date <= end_time)"

_IS_DUE = f"SELECT 1 FROM agent_crons WHERE {_DUE} LIMIT 1"  # noqa: S608

_TAKE = f"""
SELECT * FROM agent_crons WHERE {_DUE} ORDER BY next_run_date LIMIT 1 FOR UPDATE SKIP LOCKED"""  # noqa: S608

_ADVANCE = "UPDATE agent_crons SET next_run_date = %s WHERE cron_id = %s"


@dataclass(frozen=True, slots=True)
class _Firing:
    cron: Cron
    registry: PostgresRegistry
    connection: AsyncConnection[DictRow]

    async def enter(self, run: Run, owner: Owner, *, create_thread: bool) -> None:
        await self.registry.enter(self.connection, run, owner, create_thread=create_thread)


class PostgresCrons:
    """See Crons in base.py. Raises psycopg.OperationalError when the database stays away."""

    def __init__(self, database: Database, registry: PostgresRegistry) -> None:
        self._database = database
        self._registry = registry

    async def create(self, cron: Cron, owner: Owner) -> Cron:
        if cron.thread_id:
            await self._registry.get_thread(cron.thread_id, Owner(owner.name))
        values = {name: getattr(cron, name, None) for name in _COLUMNS}
        json = {
            "configurable": Jsonb(dict(cron.configurable)),
            "payload": Jsonb(cron.payload),
            "metadata": Jsonb(cron.metadata),
            "user_document": Jsonb(cron.user) if cron.user else None,
        }
        try:
            return _cron((await self._database.fetch(_CREATE, {**values, **json}))[0])
        except ForeignKeyViolation:  # the thread has gone meanwhile
            raise NotFoundError from None

    async def get(self, cron_id: str, owner: Owner) -> Cron:
        return _cron(one(await self._database.fetch(_GET, owned(owner, cron_id=cron_id))))

    async def update(self, cron_id: str, owner: Owner, changes: Mapping[str, Any]) -> Cron:
        named = [_COLUMNS[_COLUMNS.index(name)] for name in changes]
        sets = [
            f"{name} = kept.{name} || %({name})s" if name in _MERGED else f"{name} = %({name})s"
            for name in named
        ]
        statement = f"""
            UPDATE agent_crons kept SET {", ".join(["updated_at = now()", *sets])}
            WHERE kept.cron_id = %(cron_id)s AND {_OWNED} RETURNING *"""  # noqa: S608
        values = {name: Jsonb(value) if name in _MERGED else value for name, value in changes.items()}
        return _cron(one(await self._database.fetch(statement, owned(owner, cron_id=cron_id, **values))))

    async def delete(self, cron_id: str, owner: Owner) -> None:
        one(await self._database.fetch(_DELETE, owned(owner, cron_id=cron_id)))

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
        order = f"{SORTS[SORTS.index(sort_by)]} {'DESC' if descending else 'ASC'}, cron_id"
        rows = await self._database.fetch(
            f"SELECT * {_FOUND} ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s",
            _searched(owner, search, limit=limit, offset=offset),
        )
        return [_cron(row) for row in rows]

    async def count(self, owner: Owner, search: CronSearch) -> int:
        return int((await self._database.fetch(_COUNT, _searched(owner, search)))[0]["count"])

    async def delete_of_assistant(self, assistant_id: str) -> None:
        await self._database.fetch("DELETE FROM agent_crons WHERE assistant_id = %s", (assistant_id,))

    @asynccontextmanager
    async def due(self) -> AsyncIterator[Firing | None]:
        if not await self._database.fetch(_IS_DUE):  # nearly always, and cheaper than a transaction
            yield None
            return
        async with self._database.apart() as connection, connection.transaction():
            cursor = await connection.execute(_TAKE)
            row = await cursor.fetchone()
            if row is None:
                yield None
                return
            cron = _cron(row)
            await connection.execute(_ADVANCE, (following(cron.schedule, cron.timezone, now()), cron.cron_id))
            yield _Firing(cron, self._registry, connection)


def _searched(owner: Owner, search: CronSearch, **parameters: Any) -> dict[str, Any]:
    return owned(
        owner,
        assistant_id=search.assistant_id,
        thread_id=search.thread_id,
        enabled=search.enabled,
        metadata=Jsonb(search.metadata),
        **parameters,
    )


def _cron(row: DictRow) -> Cron:
    plain = {name: row[name] for name in _COLUMNS if name not in ("cron_id", "thread_id", "user_document")}
    return Cron(
        cron_id=str(row["cron_id"]),
        thread_id=str(row["thread_id"]) if row["thread_id"] else None,
        user=row["user_document"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        **plain,
    )
