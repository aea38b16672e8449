"""The stores of a process: one for its runs, which are patient, and one for requests, which are not."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from langgraph.store.base import BaseStore, TTLConfig
from langgraph.store.memory import InMemoryStore
from langgraph.store.postgres.base import PostgresIndexConfig

from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.persistence.patience import PATIENCE_SECONDS
from langgraph_agents_service.persistence.stores.scoped import ScopedStore

REQUEST_PATIENCE_SECONDS = 1.0

Whose = Callable[[], str]
"""Tells whose run or request this is."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Two ways to the same items."""

    runs: BaseStore
    requests: BaseStore
    sweep: Callable[[], Coroutine[Any, Any, int]] | None = None
    """Removes the items whose time is over, where they do not go by themselves."""


def in_postgres(
    database: Database, whose: Whose, *, index: PostgresIndexConfig | None, ttl: TTLConfig
) -> Stores:
    """Stores on the pool of the process, whose tables `migrate` has made."""
    # Imported only here: a process without a database does without psycopg's half of LangGraph.
    from langgraph_agents_service.persistence.stores.postgres import PatientPostgresStore

    patient, impatient = (
        PatientPostgresStore(database, patience=seconds, index=index, ttl=ttl)
        for seconds in (PATIENCE_SECONDS, REQUEST_PATIENCE_SECONDS)
    )
    return Stores(ScopedStore(patient, whose), ScopedStore(impatient, whose), patient.sweep_ttl)


def in_memory(whose: Whose, *, index: PostgresIndexConfig | None) -> Stores:
    """A store that ends with the process."""
    store = ScopedStore(InMemoryStore(index=index), whose)
    return Stores(store, store)


def of_project(store: BaseStore) -> Stores:
    """A store of the project's own (`store.path`), which decides itself who sees what."""
    return Stores(store, store)
