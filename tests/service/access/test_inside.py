"""Graphs that call their own server by `get_client()` without an address, in process and as whoever asked."""

import json
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from langgraph_agents_service.access import inside
from tests.service.access.test_project_auth import GUARDED, user
from tests.service.serving import OTHER_KEY, Served, serving


@pytest.fixture(scope="module")
def guarded() -> Iterator[Served]:
    with serving(checkpointer="memory", langgraph_config=GUARDED, api_keys="") as served:
        yield served


@pytest.fixture(scope="module")
def with_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The same graphs without authentication of their own."""
    document = json.loads(GUARDED.read_text())
    del document["auth"]
    folder = str(GUARDED.parent)
    document["graphs"] = {name: path.replace("./", f"{folder}/") for name, path in document["graphs"].items()}
    config = tmp_path_factory.mktemp("project") / "langgraph.json"
    config.write_text(json.dumps(document))
    with serving(checkpointer="memory", langgraph_config=config) as served:
        yield served


async def ask(client: LangGraphClient, graph: str, **given: Any) -> dict[str, Any]:
    values: Any = await client.runs.wait(None, graph, input=given)
    return dict(values)


async def test_a_graph_asks_its_own_server_as_the_key_that_asked_it(with_keys: Served) -> None:
    alice, bob = with_keys.client(), with_keys.client(OTHER_KEY)
    for _ in range(3):
        await alice.threads.create()
    await bob.threads.create()
    for graph in ("count", "count_in_a_thread"):
        assert (await ask(alice, graph))["threads"] == 3
        assert (await ask(bob, graph))["threads"] == 1
    assert (await ask(alice, "count", how="at import"))["threads"] == 3


async def test_a_graph_asks_its_own_server_as_the_user_who_asked_it(guarded: Served) -> None:
    ann, bob = user(guarded, "ann"), user(guarded, "bob")
    theirs = (await ann.threads.create())["thread_id"]
    assert (await ask(ann, "count"))["threads"] == 1
    assert (await ask(bob, "count"))["threads"] == 0
    assert (await ask(bob, "count_in_a_thread"))["threads"] == 0
    assert (await ask(ann, "ask"))["who"] == "ann"
    assert (await ask(ann, "peek", thread_id=theirs))["status"] == 200
    assert (await ask(bob, "peek", thread_id=theirs))["status"] == 404


async def test_a_run_of_a_thread_asks_as_its_user_too(guarded: Served) -> None:
    bob = user(guarded, "bob")
    thread_id = str(uuid.uuid4())
    run = await bob.runs.create(thread_id, "ask", input={}, if_not_exists="create")
    values: Any = await bob.runs.join(thread_id, run["run_id"])
    assert values["who"] == "bob"


async def test_a_stream_from_within_comes_as_it_happens(with_keys: Served) -> None:
    found = await ask(with_keys.client(), "follow")
    assert found["events"][0] == "metadata"
    assert found["events"][-1] == "end"
    assert found["spread"] > 0.2


async def test_outside_of_a_graph_the_sdk_says_what_is_missing(guarded: Served) -> None:
    with pytest.raises(RuntimeError, match="give it a url"):
        await get_client().threads.count()


def test_langgraphs_own_server_is_found_under_its_name_without_being_imported() -> None:
    inside.install()
    assert sys.modules["langgraph_api.server"].app is inside.app
    assert not hasattr(sys.modules["langgraph_api.server"], "__file__")
