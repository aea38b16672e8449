"""What `store` and `checkpointer.ttl` of a langgraph.json ask for."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from langgraph_agents_service import local
from langgraph_agents_service.persistence.sweep import sweep
from langgraph_agents_service.projects.config import ProjectError, ThreadTtl
from langgraph_agents_service.service import StartError
from tests.service.databases import migrated
from tests.service.serving import Served, serving
from tests.service.versions import STORE

GRAPHS = Path(__file__).parent / "graphs"
INDEXED = GRAPHS / "indexed.json"


def _migrated(postgres: local.Postgres, config: Path, name: str = "") -> str:
    return migrated(postgres, name or f"db{uuid.uuid4().hex[:12]}", langgraph_config=config)


@pytest.fixture(scope="module")
def indexed_uri(postgres: local.Postgres) -> str:
    return _migrated(postgres, INDEXED)


@pytest.fixture(scope="module", params=["postgres", "memory"])
def indexed(request: pytest.FixtureRequest) -> Iterator[Served]:
    storage = {}
    if request.param == "postgres":
        storage = {"database_uri": request.getfixturevalue("indexed_uri")}
    with serving(checkpointer=request.param, langgraph_config=INDEXED, **storage) as served:
        yield served


async def test_items_are_found_by_meaning_from_another_thread(indexed: Served) -> None:
    async with indexed.client() as client:
        for text in ("banana", "pepper"):
            await client.runs.wait(None, "remember", input={"text": text})
        found = await client.store.search_items(["notes"], query="papaya", limit=1)
        assert [item["value"]["text"] for item in found["items"]] == ["banana"]
        assert found["items"][0]["score"] is not None
        await client.store.put_item(["notes"], "unindexed", {"text": "papaya"}, index=False)
        again = await client.store.search_items(["notes"], query="papaya", limit=1)
        assert [item["value"]["text"] for item in again["items"]] == ["banana"]


def test_a_migration_with_other_dimensions_is_refused_with_what_to_do(
    postgres: local.Postgres, tmp_path: Path
) -> None:
    _migrated(postgres, INDEXED, "dimensions")
    (tmp_path / "memory.py").write_text((GRAPHS / "memory.py").read_text())
    document = json.loads(INDEXED.read_text())
    document["store"]["index"]["dims"] = 4
    (tmp_path / "langgraph.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"store\.index\.dims: 4, and .* holds vectors of 3"):
        _migrated(postgres, tmp_path, "dimensions")


@STORE
async def test_an_item_goes_when_its_time_is_over(indexed_uri: str) -> None:
    with serving(checkpointer="postgres", database_uri=indexed_uri, langgraph_config=INDEXED) as served:
        async with served.client() as client:
            await client.store.put_item(["ttl"], "default", {"text": "x"})
            await client.store.put_item(["ttl"], "short", {"text": "x"}, ttl=1)
            with psycopg.connect(indexed_uri, autocommit=True) as connection:
                rows = connection.execute("SELECT key, ttl_minutes FROM store WHERE prefix LIKE '%.ttl'")
                assert dict(rows.fetchall()) == {"default": 60, "short": 1}
                connection.execute("UPDATE store SET expires_at = now() - interval '1 s' WHERE key = 'short'")
            assert await client.store.get_item(["ttl"], "short") is None
            store, here = served.service.store, served.service.serving
            assert store is not None
            assert store.sweep is not None
            assert here is not None
            swept = asyncio.run_coroutine_threadsafe(store.sweep(), here.loop)
            assert await asyncio.wrap_future(swept) == 1


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ({"path": "./memory.py:embed"}, r"store\.path.*making it failed"),
        ({"path": "./memory.py:nothing"}, "there is no nothing"),
        ({"index": {"dims": 3, "embed": "./memory.py:nothing"}}, "there is no nothing"),
        ({"index": {"dims": 3, "embed": "nobody:model"}}, r"store\.index\.embed"),
    ],
)
def test_a_store_that_cannot_be_had_is_refused_at_the_start(
    tmp_path: Path, store: dict[str, Any], words: str
) -> None:
    (tmp_path / "memory.py").write_text((GRAPHS / "memory.py").read_text())
    document = {"graphs": {"remember": "./memory.py:remember"}, "store": store}
    (tmp_path / "langgraph.json").write_text(json.dumps(document))
    from langgraph_agents_service.configuration.settings import Settings
    from langgraph_agents_service.service import Service

    async def start() -> None:
        async with Service(Settings(host="127.0.0.1", checkpointer="memory", langgraph_config=tmp_path)):
            pass

    with pytest.raises((ProjectError, StartError), match=words):
        asyncio.run(start())


async def test_a_store_of_the_projects_own_takes_the_place_of_the_services(tmp_path: Path) -> None:
    (tmp_path / "memory.py").write_text(
        (GRAPHS / "memory.py").read_text() + "\nkept = InMemoryStore()\nasync def make():\n    return kept\n"
    )
    document = {"graphs": {"remember": "./memory.py:remember"}, "store": {"path": "./memory.py:make"}}
    (tmp_path / "langgraph.json").write_text(json.dumps(document))
    with serving(checkpointer="memory", langgraph_config=tmp_path / "langgraph.json") as served:
        async with served.client() as client:
            await client.runs.wait(None, "remember", input={"text": "tea"})
            item = await client.store.get_item(["notes"], "tea")
            assert item["namespace"] == ["notes"]


@STORE
async def test_threads_go_or_are_shortened_when_their_time_is_over(database_uri: str) -> None:
    with serving(checkpointer="postgres", database_uri=database_uri) as served:
        database, here = served.service.database, served.service.serving
        assert database is not None
        assert here is not None
        async with served.client() as client:
            ids = {}
            for name in ("deleted", "shortened", "young", "busy"):
                thread = await client.threads.create()
                ids[name] = thread["thread_id"]
                await client.runs.wait(thread["thread_id"], "steps", input={})
            await client.runs.create(ids["busy"], "steps", input={"seconds": 20})
            with psycopg.connect(database_uri, autocommit=True) as connection:
                old = "UPDATE agent_threads SET updated_at = now() - interval '2 hours' WHERE thread_id = %s"
                for name in ("deleted", "shortened", "busy"):
                    connection.execute(old, (ids[name],))
                connection.execute(
                    "UPDATE agent_threads SET ttl_minutes = 60, ttl_strategy = 'keep_latest' WHERE thread_id = %s",
                    (ids["shortened"],),
                )
                # Whatever other tests left is younger.
                done = asyncio.run_coroutine_threadsafe(sweep(database, ThreadTtl(default_ttl=90)), here.loop)
                assert await asyncio.wrap_future(done) == 2
            found = {thread["thread_id"] for thread in await client.threads.search(limit=1000)}
            assert ids["deleted"] not in found
            assert {ids["shortened"], ids["young"], ids["busy"]} <= found
            assert len(await client.threads.get_history(ids["shortened"])) == 1
            assert len(await client.threads.get_history(ids["young"])) > 1
            values: Any = await client.threads.get_state(ids["shortened"])
            assert values["values"]["done"] == ["one", "two", "three", "four"]
            again = asyncio.run_coroutine_threadsafe(sweep(database, ThreadTtl(default_ttl=90)), here.loop)
            assert await asyncio.wrap_future(again) == 0
