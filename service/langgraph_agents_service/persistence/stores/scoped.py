"""One store, in which each owner sees its own items only.

Every namespace begins with the owner, below what graphs and callers name. Whose it is is asked at each call, since
LangGraph hands a graph one store for all of its runs.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)

EVERYBODY = "everybody"
"""The owner of what all callers share."""

Namespace = tuple[str, ...]


class ScopedStore(BaseStore):
    """`store` as the owner sees it who runs or asks at the time.

    Args:
        store: keeps the items of all owners.
        whose: the owner at the time of a call; empty for everybody.
    """

    def __init__(self, store: BaseStore, whose: Callable[[], str]) -> None:
        self._store = store
        self._whose = whose
        self._loop = asyncio.get_running_loop()
        self.supports_ttl = store.supports_ttl
        self.ttl_config = store.ttl_config

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        scope = self._scope()
        results = await self._store.abatch([_into(scope, op) for op in ops])
        return [_out_of(result) for result in results]

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """For nodes that are plain functions, which run in threads."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            # The owner is read here: another thread's context would not know it.
            scoped = [_into(self._scope(), op) for op in ops]
            done = asyncio.run_coroutine_threadsafe(self._store.abatch(scoped), self._loop).result()
            return [_out_of(result) for result in done]
        raise asyncio.InvalidStateError(
            "the store was called without await in an async function, which would stop all runs of the process; "
            "write e.g. await store.aget(...) instead of store.get(...)"
        )

    def _scope(self) -> str:
        return self._whose() or EVERYBODY


def _into(scope: str, op: Op) -> Op:
    if isinstance(op, GetOp | PutOp):
        return op._replace(namespace=(scope, *op.namespace))
    if isinstance(op, SearchOp):
        return op._replace(namespace_prefix=(scope, *op.namespace_prefix))
    prefix: Namespace = (scope,)
    others = []
    for condition in op.match_conditions or ():
        if condition.match_type == "prefix":
            prefix = (scope, *condition.path)
        else:
            others.append(condition)
    depth = op.max_depth + 1 if op.max_depth is not None else None
    return op._replace(match_conditions=(MatchCondition("prefix", prefix), *others), max_depth=depth)


def _out_of(result: Result) -> Result:
    if isinstance(result, list):
        return [_without_scope(one) for one in result]
    return None if result is None else _without_scope(result)


def _without_scope(found: Any) -> Any:
    """A copy, since a store in memory gives out the very items that it keeps."""
    if isinstance(found, tuple):
        return found[1:]
    fields = {name: getattr(found, name) for name in ("value", "key", "created_at", "updated_at")}
    if isinstance(found, SearchItem):
        return SearchItem(**fields, namespace=found.namespace[1:], score=found.score)
    return Item(**fields, namespace=found.namespace[1:])
