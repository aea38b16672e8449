"""One PostgreSQL, one Valkey and one service of each kind for the tests of a worker, all on free ports."""

import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from langgraph_sdk.client import LangGraphClient

from langgraph_agents_service import local
from langgraph_agents_service.configuration.settings import DatabaseSettings
from langgraph_agents_service.persistence.database import Database
from tests.service.databases import migrated
from tests.service.serving import Served, serving

# Pulumi's SDK has google.rpc.Status in a file of its own, and a process can have it once only. The gRPC transport of
# A2A's client, which nothing here uses, is left out in this way.
sys.modules.setdefault("google.rpc.status_pb2", None)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def postgres() -> Iterator[local.Postgres]:
    with local.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def database_uri(postgres: local.Postgres) -> str:
    """A migrated database."""
    return migrated(postgres, "agent")


@pytest.fixture(scope="session")
def valkey_uri() -> Iterator[str]:
    with local.valkey() as uri:
        yield uri


@pytest.fixture(scope="session")
def on_postgres(database_uri: str) -> Iterator[Served]:
    with serving(checkpointer="postgres", database_uri=database_uri) as served:
        yield served


@pytest.fixture(scope="session")
def on_valkey(valkey_uri: str) -> Iterator[Served]:
    with serving(checkpointer="valkey", redis_uri=valkey_uri) as served:
        yield served


@pytest.fixture(scope="session")
def in_memory() -> Iterator[Served]:
    with serving(checkpointer="memory") as served:
        yield served


@pytest.fixture(scope="session")
def split(postgres: local.Postgres) -> Iterator[Served]:
    """A process that answers, with another one that executes its runs."""
    uri = migrated(postgres, "split")
    with (
        serving(database_uri=uri, process_role="answer") as served,
        serving(database_uri=uri, process_role="execute"),
    ):
        yield served


@pytest.fixture(
    params=["on_postgres", "on_valkey", "in_memory", pytest.param("split", marks=pytest.mark.nightly)]
)
def served(request: pytest.FixtureRequest) -> Served:
    """The service on each checkpointer in turn."""
    found: Served = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def client(served: Served) -> AsyncIterator[LangGraphClient]:
    async with served.client() as client:
        yield client


@pytest.fixture
async def database(database_uri: str) -> AsyncIterator[Database]:
    """The pool of the service on the migrated database."""
    database = Database(DatabaseSettings(database_uri=database_uri))
    await database.open()
    yield database
    await database.close()
