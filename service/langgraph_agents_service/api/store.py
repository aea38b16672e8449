"""The store over HTTP: what graphs keep beyond a thread, put, read, searched and removed by callers."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from langgraph.store.base import NOT_PROVIDED, BaseStore, InvalidNamespaceError
from pydantic import AfterValidator, Field

from langgraph_agents_service.access import callers
from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import CallerDep, ServiceDep
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.schemas import Body
from langgraph_agents_service.api.wire import json
from langgraph_agents_service.persistence.registry.filters import Filter
from langgraph_agents_service.projects.config import Minutes

router = APIRouter(prefix="/store", tags=["store"], route_class=StrictRoute, responses=ANSWERS)


def _labels(namespace: Sequence[str]) -> Sequence[str]:
    for label in namespace:
        if not isinstance(label, str) or not label or "." in label:
            raise ValueError(f"label {label!r} has to be a non-empty text without periods")
    return namespace


Namespace = Annotated[list[str], AfterValidator(_labels), Field(max_length=32)]


class Put(Body):
    namespace: Annotated[Namespace, Field(min_length=1)]
    key: str = Field(min_length=1)
    value: dict[str, Any]
    index: Literal[False] | list[str] | None = None
    ttl: Minutes | None = Field(None, description="Minutes until the item goes.")


class Delete(Body):
    namespace: Namespace = Field(default_factory=list)
    key: str


class Search(Body):
    namespace_prefix: Namespace
    filter: dict[str, Any] | None = None
    limit: int = Field(10, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=2**31)
    query: str | None = None
    refresh_ttl: bool | None = None


class ListNamespaces(Body):
    prefix: Namespace | None = None
    suffix: Namespace | None = None
    max_depth: int | None = Field(None, ge=1, le=32)
    limit: int = Field(100, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=2**31)


async def _store(service: ServiceDep, caller: CallerDep) -> BaseStore:
    """The store, in the eyes of whoever asks."""
    if service.store is None:
        raise ApiError(501, "the store needs PostgreSQL with CHECKPOINTER=valkey; set DATABASE_URI")
    callers.current.set(caller)
    return service.store.requests


StoreDep = Annotated[BaseStore, Depends(_store)]


async def _asked(caller: Caller, action: str, **value: Any) -> tuple[dict[str, Any], Filter | None]:
    """What the caller asks after the project's handlers, which may have changed it, and their filter."""
    owner = await caller.may("store", action, value)
    for name in ("namespace", "suffix"):
        try:
            _labels(value.get(name) or ())
        except (TypeError, ValueError) as error:
            raise ApiError(422, f"{name}: {error}") from None
    return value, owner.only


@router.put("/items", status_code=204)
async def put(body: Put, store: StoreDep, caller: CallerDep) -> None:
    if body.ttl is not None and not store.supports_ttl:
        raise ApiError(422, "ttl: CHECKPOINTER=memory keeps items until the process ends; leave it out")
    asked, _ = await _asked(
        caller, "put", namespace=tuple(body.namespace), **body.model_dump(exclude={"namespace"})
    )
    # Nothing said is the store's default; null is for ever.
    ttl = asked["ttl"] if asked["ttl"] is not None or "ttl" in body.model_fields_set else NOT_PROVIDED
    try:
        await store.aput(tuple(asked["namespace"]), asked["key"], asked["value"], asked["index"], ttl=ttl)
    except InvalidNamespaceError as error:
        raise ApiError(422, f"namespace: {error}") from None


@router.get("/items")
async def get(
    store: StoreDep,
    caller: CallerDep,
    key: Annotated[str, Query(min_length=1)],
    namespace: Annotated[str, Query(description="Labels, with periods in between.")] = "",
    refresh_ttl: Annotated[bool | None, Query()] = None,
) -> Response:
    labels = tuple(namespace.split(".")) if namespace else ()
    asked, _ = await _asked(caller, "get", namespace=labels, key=key, refresh_ttl=refresh_ttl)
    found = await store.aget(tuple(asked["namespace"]), asked["key"], refresh_ttl=asked["refresh_ttl"])
    return json(found.dict() if found else None)


@router.delete("/items", status_code=204)
async def delete(body: Delete, store: StoreDep, caller: CallerDep) -> None:
    asked, _ = await _asked(caller, "delete", namespace=tuple(body.namespace), key=body.key)
    await store.adelete(tuple(asked["namespace"]), asked["key"])


@router.post("/items/search")
async def search(body: Search, store: StoreDep, caller: CallerDep) -> Response:
    asked, only = await _asked(
        caller,
        "search",
        namespace=tuple(body.namespace_prefix),
        **body.model_dump(exclude={"namespace_prefix"}),
    )
    wanted = _both(asked["filter"] or {}, only)
    if wanted is None:
        return json({"items": []})
    try:
        found = await store.asearch(
            tuple(asked["namespace"]),
            filter=wanted or None,
            limit=asked["limit"],
            offset=asked["offset"],
            query=asked["query"],
            refresh_ttl=asked["refresh_ttl"],
        )
    except ValueError as error:
        raise ApiError(422, f"filter: {error}") from None
    return json({"items": [item.dict() for item in found]})


@router.post("/namespaces")
async def list_namespaces(body: ListNamespaces, store: StoreDep, caller: CallerDep) -> Response:
    asked, _ = await _asked(
        caller,
        "list_namespaces",
        namespace=tuple(body.prefix) if body.prefix else None,
        suffix=tuple(body.suffix) if body.suffix else None,
        **body.model_dump(exclude={"prefix", "suffix"}),
    )
    found = await store.alist_namespaces(
        prefix=tuple(asked["namespace"]) if asked["namespace"] else None,
        suffix=tuple(asked["suffix"]) if asked["suffix"] else None,
        max_depth=asked["max_depth"],
        limit=asked["limit"],
        offset=asked["offset"],
    )
    return json({"namespaces": found})


def _both(wanted: dict[str, Any], only: Filter | None) -> dict[str, Any] | None:
    """A store's filter that says both; None where nothing can be both. It knows equality, and no alternatives."""
    if only is None:
        return wanted
    if len(only.alternatives) != 1 or any(c.operator != "eq" for c in only.alternatives[0]):
        raise ApiError(500, "the authorization of this deployment filters the store by more than equality")
    both = dict(wanted)
    for condition in only.alternatives[0]:
        given = both.get(condition.key, {})
        operators = given if isinstance(given, dict) else {"$eq": given}
        if operators.get("$eq", condition.value) != condition.value:
            return None
        both[condition.key] = {**operators, "$eq": condition.value}
    return both
