"""One store for all owners behaves, for each of them, like a store of its own."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition, Op, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from langgraph_agents_service.persistence.stores.scoped import ScopedStore

whose: ContextVar[str] = ContextVar("whose", default="")

_labels = st.sampled_from(["a", "ab", "b", "everybody", "%"])
_namespaces = st.lists(_labels, min_size=1, max_size=3).map(tuple)
_prefixes = st.lists(_labels, max_size=2).map(tuple)
_keys = st.sampled_from(["k", "l"])
_ops = st.one_of(
    st.builds(PutOp, _namespaces, _keys, st.fixed_dictionaries({"n": st.integers(0, 3)})),
    st.builds(PutOp, _namespaces, _keys, st.none()),
    st.builds(GetOp, _namespaces, _keys),
    st.builds(SearchOp, _prefixes, st.none() | st.fixed_dictionaries({"n": st.integers(0, 3)})),
    st.builds(
        ListNamespacesOp,
        st.none()
        | st.tuples(st.builds(MatchCondition, st.just("prefix"), _namespaces))
        | st.tuples(st.builds(MatchCondition, st.just("suffix"), _namespaces)),
        st.none() | st.integers(1, 3),
    ),
)


def _plain(result: Any) -> Any:
    if isinstance(result, list):
        return [_plain(one) for one in result]
    if hasattr(result, "dict"):
        return {key: value for key, value in result.dict().items() if not key.endswith("_at")}
    return result


@given(st.lists(st.tuples(st.sampled_from(["", "ann", "bob"]), _ops), max_size=30))
def test_every_owner_gets_what_a_store_of_its_own_would_answer(history: Sequence[tuple[str, Op]]) -> None:
    async def answers() -> None:
        together = ScopedStore(InMemoryStore(), whose.get)
        own = {name: InMemoryStore() for name in ("", "ann", "bob")}
        for name, op in history:
            whose.set(name)
            assert _plain(await together.abatch([op])) == _plain(await own[name].abatch([op]))

    asyncio.run(answers())


async def test_all_share_what_nobody_owns() -> None:
    store = ScopedStore(InMemoryStore(), lambda: "")
    whose.set("ann")
    await store.aput(("facts",), "sky", {"is": "blue"})
    whose.set("bob")
    found = await store.aget(("facts",), "sky")
    assert found is not None
    assert found.value == {"is": "blue"}


async def test_a_plain_function_reaches_its_owners_items_from_a_thread() -> None:
    store = ScopedStore(InMemoryStore(), whose.get)
    whose.set("ann")
    await asyncio.to_thread(store.put, ("facts",), "sky", {"is": "blue"})
    found = await asyncio.to_thread(store.get, ("facts",), "sky")
    assert found is not None
    assert found.namespace == ("facts",)
    whose.set("bob")
    assert await asyncio.to_thread(store.get, ("facts",), "sky") is None


async def test_a_call_that_would_stop_the_loop_is_refused_with_what_to_write() -> None:
    store = ScopedStore(InMemoryStore(), whose.get)
    with pytest.raises(asyncio.InvalidStateError, match=r"await store\.aget"):
        store.get(("facts",), "sky")
