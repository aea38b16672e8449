"""Assistants in PostgreSQL. Each statement is one round trip."""

from collections.abc import Sequence
from typing import Any

import orjson
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from langgraph_agents_service.persistence.assistants.base import (
    SORTS,
    Assistant,
    AssistantExistsError,
    Change,
    Search,
    Version,
)
from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.persistence.registry.base import Json, NotFoundError, Owner
from langgraph_agents_service.persistence.registry.filters import admitted
from langgraph_agents_service.persistence.registry.owned import one, owned

_OWNED = f"(kept.owner = %(owner)s AND {admitted('%(only)s::jsonb', 'kept.metadata')})"

_CONTENT = "graph_id, name, description, config, context, metadata"

_CREATE = f"""
WITH made AS (
  INSERT INTO agent_assistants (assistant_id, owner, {_CONTENT})
  VALUES (%(assistant_id)s, %(owner)s, %(graph_id)s, %(name)s, %(description)s, %(config)s, %(context)s,
          %(metadata)s)
  ON CONFLICT (assistant_id) DO NOTHING RETURNING *
), first AS (
  INSERT INTO agent_assistant_versions (assistant_id, version, {_CONTENT})
  SELECT assistant_id, version, {_CONTENT} FROM made
)
SELECT * FROM made"""  # noqa: S608

_GET = f"SELECT * FROM agent_assistants kept WHERE kept.assistant_id = %(assistant_id)s AND {_OWNED}"  # noqa: S608

_UPDATE = f"""
WITH changed AS (
  UPDATE agent_assistants kept
  SET graph_id = COALESCE(%(graph_id)s, kept.graph_id), name = COALESCE(%(name)s, kept.name),
      description = COALESCE(%(description)s, kept.description), config = COALESCE(%(config)s, kept.config),
      context = COALESCE(%(context)s, kept.context), metadata = kept.metadata || %(metadata)s,
      version = kept.newest + 1, newest = kept.newest + 1, updated_at = now()
  WHERE kept.assistant_id = %(assistant_id)s AND {_OWNED} RETURNING *
), next AS (
  INSERT INTO agent_assistant_versions (assistant_id, version, {_CONTENT})
  SELECT assistant_id, version, {_CONTENT} FROM changed
)
SELECT * FROM changed"""  # noqa: S608

_SET_LATEST = f"""
UPDATE agent_assistants kept
SET graph_id = v.graph_id, name = v.name, description = v.description, config = v.config, context = v.context,
    metadata = v.metadata, version = v.version, updated_at = now()
FROM agent_assistant_versions v
WHERE kept.assistant_id = %(assistant_id)s AND v.assistant_id = kept.assistant_id AND v.version = %(version)s
  AND {_OWNED}
RETURNING kept.*"""  # noqa: S608

_VERSIONS = f"""
SELECT v.* FROM agent_assistant_versions v JOIN agent_assistants kept USING (assistant_id)
WHERE kept.assistant_id = %(assistant_id)s AND {_OWNED} AND v.metadata @> %(metadata)s
ORDER BY v.version DESC LIMIT %(limit)s OFFSET %(offset)s"""  # noqa: S608

_DELETE = f"""
DELETE FROM agent_assistants kept WHERE kept.assistant_id = %(assistant_id)s AND {_OWNED}
RETURNING kept.assistant_id"""  # noqa: S608

_FOUND = f"""
FROM (
  SELECT assistant_id, owner, version, {_CONTENT}, created_at, updated_at FROM agent_assistants
  UNION ALL
  SELECT assistant_id, %(owner)s::text, version, {_CONTENT}, created_at, updated_at
  FROM jsonb_populate_recordset(NULL::agent_assistants, %(own)s::jsonb)
) kept
WHERE {_OWNED} AND kept.metadata @> %(metadata)s
  AND (%(graph_id)s::text IS NULL OR kept.graph_id = %(graph_id)s)
  AND (%(name)s::text IS NULL OR position(lower(%(name)s) IN lower(kept.name)) > 0)"""  # noqa: S608

_COUNT = f"SELECT count(*) AS count {_FOUND}"


class PostgresAssistants:
    """See Assistants in base.py. Raises psycopg.OperationalError when the database stays away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, assistant: Assistant, owner: Owner, *, reuse: bool) -> Assistant:
        rows = await self._database.fetch(
            _CREATE,
            {
                "assistant_id": assistant.assistant_id,
                "owner": owner.name,
                "graph_id": assistant.graph_id,
                "name": assistant.name,
                "description": assistant.description,
                "config": Jsonb(assistant.config),
                "context": Jsonb(assistant.context),
                "metadata": Jsonb(assistant.metadata),
            },
        )
        if rows:
            return _assistant(rows[0])
        if not reuse:
            raise AssistantExistsError
        try:
            return await self.get(assistant.assistant_id, owner)
        except NotFoundError:
            raise AssistantExistsError from None

    async def get(self, assistant_id: str, owner: Owner) -> Assistant:
        return _assistant(await self._one(_GET, owner, assistant_id=assistant_id))

    async def update(self, assistant_id: str, owner: Owner, change: Change) -> Assistant:
        row = await self._one(
            _UPDATE,
            owner,
            assistant_id=assistant_id,
            graph_id=change.graph_id,
            name=change.name,
            description=change.description,
            config=Jsonb(change.config) if change.config is not None else None,
            context=Jsonb(change.context) if change.context is not None else None,
            metadata=Jsonb(change.metadata),
        )
        return _assistant(row)

    async def set_latest(self, assistant_id: str, owner: Owner, version: int) -> Assistant:
        return _assistant(await self._one(_SET_LATEST, owner, assistant_id=assistant_id, version=version))

    async def versions(
        self, assistant_id: str, owner: Owner, metadata: Json, *, limit: int, offset: int
    ) -> list[Version]:
        rows = await self._database.fetch(
            _VERSIONS,
            owned(owner, assistant_id=assistant_id, metadata=Jsonb(metadata), limit=limit, offset=offset),
        )
        return [Version(**_content(row), created_at=row["created_at"]) for row in rows]

    async def delete(self, assistant_id: str, owner: Owner) -> None:
        await self._one(_DELETE, owner, assistant_id=assistant_id)

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
        column = SORTS[SORTS.index(sort_by)]
        if column in ("graph_id", "name"):
            column = f"lower({column})"
        order = f"ORDER BY {column} {'DESC' if descending else 'ASC'}, assistant_id"
        rows = await self._database.fetch(
            f"SELECT * {_FOUND} {order} LIMIT %(limit)s OFFSET %(offset)s",
            _searched(owner, search, own, limit=limit, offset=offset),
        )
        return [_assistant(row) for row in rows]

    async def count(self, owner: Owner, search: Search, own: Sequence[Assistant]) -> int:
        rows = await self._database.fetch(_COUNT, _searched(owner, search, own))
        return int(rows[0]["count"])

    async def _one(self, statement: str, owner: Owner, **parameters: Any) -> DictRow:
        return one(await self._database.fetch(statement, owned(owner, **parameters)))


def _searched(owner: Owner, search: Search, own: Sequence[Assistant], **parameters: Any) -> dict[str, Any]:
    return owned(
        owner,
        graph_id=search.graph_id,
        name=search.name,
        metadata=Jsonb(search.metadata),
        own=orjson.dumps(own).decode(),
        **parameters,
    )


def _content(row: DictRow) -> dict[str, Any]:
    names = ("graph_id", "name", "description", "config", "context", "metadata", "version")
    return {name: row[name] for name in names}


def _assistant(row: DictRow) -> Assistant:
    return Assistant(
        assistant_id=str(row["assistant_id"]),
        owner=row["owner"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        **_content(row),
    )
