"""The store, by the official client and by graphs, wherever it is kept."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import UnprocessableEntityError

from tests.service.serving import OTHER_KEY, Served, serving
from tests.service.versions import STORE

MEMORY = Path(__file__).parent / "graphs" / "memory.json"


@pytest.fixture(scope="module")
def kept_in_postgres(database_uri: str) -> Iterator[Served]:
    with serving(checkpointer="postgres", database_uri=database_uri, langgraph_config=MEMORY) as served:
        yield served


@pytest.fixture(scope="module")
def beside_valkey(database_uri: str, valkey_uri: str) -> Iterator[Served]:
    """Threads in Valkey; the store is in PostgreSQL all the same."""
    with serving(
        checkpointer="valkey", redis_uri=valkey_uri, database_uri=database_uri, langgraph_config=MEMORY
    ) as served:
        yield served


@pytest.fixture(scope="module")
def kept_in_memory() -> Iterator[Served]:
    with serving(checkpointer="memory", langgraph_config=MEMORY) as served:
        yield served


@pytest.fixture(params=["kept_in_postgres", "beside_valkey", "kept_in_memory"])
def served(request: pytest.FixtureRequest) -> Served:
    found: Served = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def root() -> str:
    """A namespace that no other test uses."""
    return f"test-{uuid.uuid4()}"


async def test_an_item_is_put_found_and_removed(client: LangGraphClient, root: str) -> None:
    store = client.store
    await store.put_item([root, "users"], "ann", {"likes": "tea", "age": 30})
    item = await store.get_item([root, "users"], "ann")
    assert item["namespace"] == [root, "users"]
    assert item["key"] == "ann"
    assert item["value"] == {"likes": "tea", "age": 30}
    assert item["created_at"] <= item["updated_at"]
    await store.delete_item([root, "users"], "ann")
    assert await store.get_item([root, "users"], "ann") is None


@STORE
async def test_items_are_searched_by_namespace_and_filter(client: LangGraphClient, root: str) -> None:
    for name, age in (("ann", 30), ("bob", 40), ("cid", 50)):
        await client.store.put_item([root, "users"], name, {"age": age, "kind": "person"})
    await client.store.put_item([root, "usershed"], "spade", {"kind": "tool"})

    async def keys(*prefix: str, **query: object) -> list[str]:
        found = await client.store.search_items(list(prefix), **query)  # type: ignore[arg-type]
        return sorted(item["key"] for item in found["items"])

    assert await keys(root, "users") == ["ann", "bob", "cid"]
    assert await keys(root) == ["ann", "bob", "cid", "spade"]
    assert await keys(root, filter={"kind": "tool"}) == ["spade"]
    assert await keys(root, "users", filter={"age": {"$gt": 35}}) == ["bob", "cid"]
    assert len(await keys(root, limit=2)) == 2
    assert len(await keys(root, limit=10, offset=3)) == 1


async def test_namespaces_are_listed_by_prefix_suffix_and_depth(client: LangGraphClient, root: str) -> None:
    for namespace in ([root, "a", "x"], [root, "a", "y"], [root, "b", "x"]):
        await client.store.put_item(namespace, "k", {"n": 1})

    async def listed(**query: object) -> list[list[str]]:
        found = await client.store.list_namespaces(**query)  # type: ignore[arg-type]
        return sorted(found["namespaces"])

    assert await listed(prefix=[root, "a"]) == [[root, "a", "x"], [root, "a", "y"]]
    assert await listed(prefix=[root], suffix=["x"]) == [[root, "a", "x"], [root, "b", "x"]]
    assert await listed(prefix=[root], max_depth=2) == [[root, "a"], [root, "b"]]
    assert len(await listed(prefix=[root], limit=1, offset=1)) == 1


async def test_a_namespace_that_cannot_be_is_refused_by_name(client: LangGraphClient, root: str) -> None:
    with pytest.raises(ValueError, match="period"):
        await client.store.put_item([f"{root}.x"], "k", {})
    for namespace in ([""], [], ["langgraph"]):
        with pytest.raises(UnprocessableEntityError, match="namespace"):
            await client.store.put_item(namespace, "k", {"n": 1})
    with pytest.raises(UnprocessableEntityError, match=r"a\.b"):
        await client.http.post("/store/items/search", json={"namespace_prefix": ["a.b"]})


@pytest.mark.parametrize("graph", ["remember", "remember_plainly"])
async def test_what_a_graph_keeps_is_there_in_other_threads(
    client: LangGraphClient, served: Served, graph: str
) -> None:
    word = str(uuid.uuid4())
    first = await client.runs.wait(None, graph, input={"text": word})
    thread = await client.threads.create()
    second = await client.runs.wait(thread["thread_id"], graph, input={"text": f"{word} again"})
    assert word in first["known"]  # type: ignore[call-overload]
    assert {word, f"{word} again"} <= set(second["known"])  # type: ignore[call-overload]
    item = await client.store.get_item(["notes"], word)
    assert item["value"] == {"text": word}


async def test_a_graph_with_a_store_of_its_own_keeps_it(client: LangGraphClient) -> None:
    word = str(uuid.uuid4())
    values = await client.runs.wait(None, "own_store", input={"text": word})
    assert word in values["known"]  # type: ignore[call-overload]
    assert await client.store.get_item(["notes"], word) is None


async def test_a_key_sees_its_own_items_only_by_the_api_and_in_graphs(served: Served, root: str) -> None:
    word = str(uuid.uuid4())
    async with served.client() as alice, served.client(OTHER_KEY) as bob:
        await alice.store.put_item([root], "k", {"of": "alice"})
        await alice.runs.wait(None, "remember", input={"text": word})
        assert (await bob.store.list_namespaces(prefix=[root]))["namespaces"] == []
        assert (await bob.store.search_items([root]))["items"] == []
        assert await bob.store.get_item([root], "k") is None
        seen = await bob.runs.wait(None, "remember", input={"text": "bob's"})
        assert word not in seen["known"]  # type: ignore[call-overload]
        await bob.store.delete_item([root], "k")
        assert await alice.store.get_item([root], "k") is not None


async def test_all_keys_share_the_store_where_the_setting_says_so(root: str) -> None:
    with serving(checkpointer="memory", store_shared=True, langgraph_config=MEMORY) as served:
        async with served.client() as alice, served.client(OTHER_KEY) as bob:
            await alice.store.put_item([root], "k", {"of": "alice"})
            assert (await bob.store.get_item([root], "k"))["value"] == {"of": "alice"}


async def test_valkey_without_postgresql_says_that_it_has_no_place_for_a_store(valkey_uri: str) -> None:
    with serving(checkpointer="valkey", redis_uri=valkey_uri) as served:
        async with served.client() as client:
            with pytest.raises(httpx.HTTPStatusError, match="DATABASE_URI") as refused:
                await client.store.get_item(["a"], "k")
    assert refused.value.response.status_code == 501


@pytest.mark.parametrize("minutes", [0, -1.5, 2147483648.0, 1e300])
async def test_a_lifetime_that_no_table_can_hold_is_refused_by_name(
    kept_in_postgres: Served, root: str, minutes: float
) -> None:
    async with kept_in_postgres.client() as client:
        with pytest.raises(UnprocessableEntityError, match=r"ttl: .* than"):
            await client.store.put_item([root], "brief", {"a": 1}, ttl=minutes)  # type: ignore[arg-type]
        with pytest.raises(UnprocessableEntityError, match=r"ttl: .* than"):
            await client.threads.create(ttl={"ttl": minutes, "strategy": "delete"})
        await client.store.put_item([root], "long", {"a": 1}, ttl=10**9)
        assert await client.store.get_item([root], "long")
