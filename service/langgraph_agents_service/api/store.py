"""The store over HTTP: what graphs keep beyond a thread, put, read, searched and removed by callers."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from langgraph.store.base import BaseStore, InvalidNamespaceError
from pydantic import AfterValidator, Field

from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import Owner, ServiceDep
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.schemas import Body
from langgraph_agents_service.api.threads import json
from langgraph_agents_service.persistence.stores import scoped

router = APIRouter(prefix="/store", tags=["store"], route_class=StrictRoute, responses=ANSWERS)


def _labels(namespace: list[str]) -> list[str]:
    for label in namespace:
        if not label or "." in label:
            raise ValueError(f"label {label!r} has to be a non-empty text without periods")
    return namespace


Namespace = Annotated[list[str], AfterValidator(_labels), Field(max_length=32)]


class Put(Body):
    namespace: Annotated[Namespace, Field(min_length=1)]
    key: str = Field(min_length=1)
    value: dict[str, Any]
    index: Literal[False] | list[str] | None = None
    ttl: float | None = Field(None, gt=0, description="Minutes until the item goes.")


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


async def _store(service: ServiceDep, owner: Owner) -> BaseStore:
    """The store, in the eyes of the owner of this request."""
    if service.store is None:
        raise ApiError(501, "the store needs PostgreSQL with CHECKPOINTER=valkey; set DATABASE_URI")
    scoped.owner.set(owner)
    return service.store.requests


StoreDep = Annotated[BaseStore, Depends(_store)]


@router.put("/items", status_code=204)
async def put(body: Put, store: StoreDep) -> None:
    if body.ttl is not None and not store.supports_ttl:
        raise ApiError(422, "ttl: CHECKPOINTER=memory keeps items until the process ends; leave it out")
    try:
        await store.aput(tuple(body.namespace), body.key, body.value, index=body.index, ttl=body.ttl)
    except InvalidNamespaceError as error:
        raise ApiError(422, f"namespace: {error}") from None


@router.get("/items")
async def get(
    store: StoreDep,
    key: Annotated[str, Query(min_length=1)],
    namespace: Annotated[str, Query(description="Labels, with periods in between.")] = "",
    refresh_ttl: Annotated[bool | None, Query()] = None,
) -> Response:
    labels = tuple(namespace.split(".")) if namespace else ()
    if not all(labels):
        raise ApiError(422, f"namespace: {namespace!r} has an empty label")
    found = await store.aget(labels, key, refresh_ttl=refresh_ttl)
    return json(found.dict() if found else None)


@router.delete("/items", status_code=204)
async def delete(body: Delete, store: StoreDep) -> None:
    await store.adelete(tuple(body.namespace), body.key)


@router.post("/items/search")
async def search(body: Search, store: StoreDep) -> Response:
    try:
        found = await store.asearch(
            tuple(body.namespace_prefix),
            filter=body.filter,
            limit=body.limit,
            offset=body.offset,
            query=body.query,
            refresh_ttl=body.refresh_ttl,
        )
    except ValueError as error:
        raise ApiError(422, f"filter: {error}") from None
    return json({"items": [item.dict() for item in found]})


@router.post("/namespaces")
async def list_namespaces(body: ListNamespaces, store: StoreDep) -> Response:
    found = await store.alist_namespaces(
        prefix=tuple(body.prefix) if body.prefix else None,
        suffix=tuple(body.suffix) if body.suffix else None,
        max_depth=body.max_depth,
        limit=body.limit,
        offset=body.offset,
    )
    return json({"namespaces": found})
