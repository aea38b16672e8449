"""Whether a run's start and end set a parameter of their transaction, for which RDS Proxy may keep a connection."""

import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from psycopg.rows import DictRow

from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.persistence.registry.base import Owner, Run, RunStatus, ThreadStatus
from langgraph_agents_service.persistence.registry.postgres import PostgresRegistry

ALICE = Owner("alice")


class Overheard(Database):
    """Notes what is sent."""

    def __init__(self, settings: DatabaseSettings) -> None:
        super().__init__(settings)
        self.sent: list[str] = []

    async def fetch(self, query: str, parameters: Any = None, *, patient: bool = False) -> list[DictRow]:
        self.sent.append(query)
        return await super().fetch(query, parameters, patient=patient)


async def sent(database_uri: str, **changes: Any) -> tuple[Sequence[str], RunStatus]:
    """What a run sends from its start to its end, and how it ended."""
    database = Overheard(DatabaseSettings(database_uri=database_uri))
    await database.open()
    registry = PostgresRegistry(database, lease_seconds=60, max_attempts=3, **changes)
    await registry.beat()
    try:
        run = Run(str(uuid.uuid4()), str(uuid.uuid4()), "graph", "graph", {}, "alice")
        begun = await registry.begin(run, ALICE, create_thread=True, start=True, attended=True)
        await registry.finish(begun, RunStatus.SUCCESS, None, ThreadStatus.IDLE)
        found = await registry.get_run(run.thread_id, run.run_id, ALICE)
        return database.sent, found.status
    finally:
        await registry.retire()
        await database.close()


@pytest.mark.parametrize(("changes", "statements"), [({}, 2), ({"relaxed": False}, 0)])
async def test_start_and_end_of_a_run_set_a_parameter_unless_they_are_told_not_to(
    database_uri: str, changes: dict[str, Any], statements: int
) -> None:
    texts, status = await sent(database_uri, **changes)
    assert status is RunStatus.SUCCESS
    assert sum("set_config" in text for text in texts) == statements
