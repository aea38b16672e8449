"""What `store` of a langgraph.json asks for, as LangGraph's stores take it."""

import inspect
from contextlib import AsyncExitStack
from typing import Any

from langgraph.store.base import BaseStore, TTLConfig
from langgraph.store.postgres.base import PostgresIndexConfig

from langgraph_agents_service.projects.config import Project, ProjectError, StoreIndex
from langgraph_agents_service.projects.graphs import Graphs

SWEEP_MINUTES = 5.0
"""How often items are removed whose time is over, unless `sweep_interval_minutes` says so."""


def index_of(graphs: Graphs) -> PostgresIndexConfig | None:
    """The index with its embedding model. Raises ProjectError if that cannot be had."""
    index = _index(graphs.project)
    if index is None:
        return None
    config: PostgresIndexConfig = {"dims": index.dims, "embed": _embed(graphs, index)}
    if index.fields is not None:
        config["fields"] = index.fields
    return config


def ttl_of(project: Project) -> TTLConfig:
    """An item whose time is over is gone for readers at once, and removed some minutes later."""
    ttl = project.store.ttl if project.store else None
    if ttl is None:
        return {"omit_expired": True}
    return {"omit_expired": True, "refresh_on_read": ttl.refresh_on_read, "default_ttl": ttl.default_ttl}


def sweep_minutes(project: Project) -> float:
    ttl = project.store.ttl if project.store else None
    return (ttl and ttl.sweep_interval_minutes) or SWEEP_MINUTES


async def own_store(graphs: Graphs, opened: AsyncExitStack) -> BaseStore | None:
    """The store that the project brings itself (`store.path`). Raises ProjectError."""
    path = graphs.project.store.path if graphs.project.store else None
    if path is None:
        return None
    found = graphs.attribute("store.path", path)
    where = f"{graphs.project.file}: store.path: {path!r}"
    if callable(found):
        try:
            found = found()
            if inspect.isawaitable(found):
                found = await found
            if hasattr(found, "__aenter__") and not isinstance(found, BaseStore):
                found = await opened.enter_async_context(found)
        except Exception as error:
            raise ProjectError(f"{where}: making it failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, BaseStore):
        raise ProjectError(f"{where} is a {type(found).__name__}; it has to be a BaseStore, or make one")
    return found


def _index(project: Project) -> StoreIndex | None:
    return project.store.index if project.store else None


def _embed(graphs: Graphs, index: StoreIndex) -> Any:
    """A function of the project, or the name of a model, which LangChain finds."""
    source, _, _ = index.embed.rpartition(":")
    if source.endswith(".py") or "/" in source or "." in source:
        return graphs.attribute("store.index.embed", index.embed)
    from langchain.embeddings import init_embeddings

    try:
        return init_embeddings(index.embed)
    except (ImportError, ValueError) as error:
        raise ProjectError(f"{graphs.project.file}: store.index.embed: {index.embed!r}: {error}") from error
