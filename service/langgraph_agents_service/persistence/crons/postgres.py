"""Crons in PostgreSQL."""

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from psycopg.errors import ForeignKeyViolation
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from langgraph_agents_service.persistence.crons.base import SORTS, Cron, CronSearch, Firing, TakenAwayError
from langgraph_agents_service.persistence.crons.schedule import following
from langgraph_agents_service.persistence.database import TRANSIENT, Database
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

_DUE = """enabled AND next_run_date <= now() AND (end_time IS NULL OR next_run_date <= end_time)
AND (taken_until IS NULL OR taken_until < now())"""

_IS_DUE = f"SELECT 1 FROM agent_crons WHERE {_DUE} LIMIT 1"  # noqa: S608

_TAKE = f"""
UPDATE agent_crons SET taken_by = %(taken_by)s, taken_until = now() + make_interval(secs => %(seconds)s)
WHERE cron_id = (
  SELECT cron_id FROM agent_crons WHERE {_DUE} ORDER BY next_run_date LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *"""  # noqa: S608

# Not where somebody gave it another time meanwhile, or another process took it.
_ADVANCE = """
UPDATE agent_crons SET next_run_date = %(next)s, taken_by = NULL, taken_until = NULL
WHERE cron_id = %(cron_id)s AND taken_by = %(taken_by)s AND enabled AND next_run_date = %(due)s RETURNING 1"""

_GIVE_BACK = """
UPDATE agent_crons SET taken_by = NULL, taken_until = NULL WHERE cron_id = %(cron_id)s AND taken_by = %(taken_by)s"""

_TAKEN_SECONDS = 15.0
"""How long a cron is held by a process that died while it made its run."""


@dataclass(slots=True)
class _Firing:
    cron: Cron
    database: Database
    registry: PostgresRegistry
    taken: dict[str, Any]
    """Parameters of the statements that say which firing it is, and when the cron is due next."""
    entered: bool = False

    async def enter(self, run: Run, owner: Owner, *, create_thread: bool) -> None:
        async with self.database.pool.connection() as connection, connection.transaction():
            cursor = await connection.execute(_ADVANCE, self.taken)
            if await cursor.fetchone() is None:
                raise TakenAwayError
            await self.registry.enter(connection, run, owner, create_thread=create_thread)
        self.entered = True


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
        # Taken by a statement of its own, and not held by a transaction: what the run is made of is read meanwhile, and
        # behind a pooler there may be a single connection.
        taken = {"taken_by": uuid.uuid4(), "seconds": _TAKEN_SECONDS}
        rows = await self._database.fetch(_TAKE, taken)
        if not rows:
            yield None
            return
        cron = _cron(rows[0])
        following_ = following(cron.schedule, cron.timezone, now())
        firing = _Firing(
            cron,
            self._database,
            self._registry,
            {**taken, "cron_id": cron.cron_id, "due": cron.next_run_date, "next": following_},
        )
        try:
            yield firing
        except BaseException:
            # Whatever else went wrong, it is due until it is done.
            with suppress(*TRANSIENT):
                await self._database.fetch(_GIVE_BACK, firing.taken)
            raise
        if not firing.entered:
            await self._database.fetch(_ADVANCE, firing.taken)


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
