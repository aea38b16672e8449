"""Webhooks in PostgreSQL. A trigger of the table of runs enters them, in the transaction that ends their run: whoever
ends it, and however."""

import json
from collections.abc import Sequence
from datetime import datetime

import orjson

from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.persistence.outbox.base import Ended
from langgraph_agents_service.persistence.registry.base import Run, RunStatus

_TAKE = """
UPDATE agent_webhooks SET tries = tries + 1, next_at = now() + make_interval(secs => %s)
WHERE identifier IN (
  SELECT identifier FROM agent_webhooks WHERE next_at <= now() ORDER BY next_at LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING identifier, url, run, tries"""

_LATER = "UPDATE agent_webhooks SET next_at = now() + make_interval(secs => %s) WHERE identifier = %s"


class PostgresOutbox:
    """See Outbox in base.py. Raises psycopg.OperationalError when the database stays away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, limit: int, *, hold_seconds: float) -> Sequence[Ended]:
        rows = await self._database.fetch(_TAKE, (hold_seconds, limit))
        return [_ended(str(row["identifier"]), row["url"], row["run"], row["tries"]) for row in rows]

    async def done(self, identifier: str) -> None:
        await self._database.fetch("DELETE FROM agent_webhooks WHERE identifier = %s", (identifier,))

    async def later(self, identifier: str, seconds: float) -> None:
        await self._database.fetch(_LATER, (seconds, identifier))


def _ended(identifier: str, url: str, document: str, tries: int) -> Ended:
    row = orjson.loads(document)
    run = Run(
        run_id=row["run_id"],
        thread_id=row["thread_id"],
        assistant_id=row["assistant_id"],
        graph_id=row["graph_id"],
        payload=orjson.loads(row["payload"]),
        metadata=orjson.loads(row["metadata"]),
        multitask_strategy=row["multitask_strategy"],
        status=RunStatus(row["status"]),
        attempt=row["attempt"],
        error=orjson.loads(row["error"]) if row["error"] else None,
        record_events=row["record_events"],
        webhook=url,
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
    )
    return Ended(identifier, url, run, json.loads(row["result"]) if row["result"] else None, tries)
