"""Databases for tests that need one of their own: whatever else serves in the common one would take up their runs."""

import asyncio
from typing import Any

from langgraph_agents_service import local
from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.migrate import migrate


def migrated(postgres: local.Postgres, name: str, **settings: Any) -> str:
    """The URI of a database of this name, with the service's tables."""
    uri = postgres.uri(name)
    asyncio.run(
        migrate(DatabaseSettings(database_uri=uri, database_admin_uri=postgres.admin_uri, **settings))
    )
    return uri
