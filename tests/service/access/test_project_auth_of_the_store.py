"""A project's own handlers decide whose items of the store are whose."""

from collections.abc import Iterator

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import PermissionDeniedError

from tests.service.access.test_project_auth import GUARDED
from tests.service.serving import Served, serving


@pytest.fixture(scope="module")
def guarded() -> Iterator[Served]:
    with serving(checkpointer="memory", langgraph_config=GUARDED, api_keys="") as served:
        yield served


def user(served: Served, name: str) -> LangGraphClient:
    return get_client(url=served.url, api_key=None, headers={"Authorization": f"Bearer token-of-{name}"})


async def test_handlers_put_each_user_into_a_namespace_of_its_own(guarded: Served) -> None:
    ann, bob = user(guarded, "ann"), user(guarded, "bob")
    await ann.store.put_item(["notes"], "n", {"of": "ann"})
    assert (await bob.store.list_namespaces())["namespaces"] == []
    assert (await bob.store.search_items([]))["items"] == []
    assert await bob.store.get_item(["notes"], "n") is None
    await bob.store.delete_item(["notes"], "n")
    item = await ann.store.get_item(["notes"], "n")
    assert item["namespace"] == ["ann", "notes"]
    assert (await ann.store.list_namespaces())["namespaces"] == [["ann", "notes"]]


async def test_a_handlers_refusal_and_filter_hold(guarded: Served) -> None:
    ann = user(guarded, "ann")
    with pytest.raises(PermissionDeniedError):
        await ann.store.put_item(["public"], "n", {"published": True})
    store = guarded.service.store
    assert store is not None
    for key, published in (("shown", True), ("draft", False)):
        await store.requests.aput(("public",), key, {"published": published})
    for given in (None, {"published": True}, {"published": {"$ne": False}}):
        found = await ann.store.search_items(["public"], filter=given)
        assert [item["key"] for item in found["items"]] == ["shown"], given
    assert (await ann.store.search_items(["public"], filter={"published": False}))["items"] == []
