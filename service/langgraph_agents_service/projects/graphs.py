"""Loads the graphs of a langgraph.json: `path:attribute`, a compiled graph, a builder or a factory."""

import importlib
import importlib.util
import inspect
import json
import os
import sys
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from dotenv import dotenv_values
from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from pydantic import ValidationError

from langgraph_agents_service.projects.http import Http

NAMESPACE = uuid.UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
"""LangGraph Server makes the id of a graph's default assistant as a UUID5 of its name in this one."""

AnyGraph = Pregel[Any, Any, Any, Any]


class GraphsError(Exception):
    """langgraph.json, or what it names, is wrong. The message says where, what and what to do."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph by its name, which is also the name of its assistant."""

    graph_id: str
    description: str | None
    make: Callable[[RunnableConfig], Any]
    """Returns the graph, or an awaitable of it, for a run with this config."""

    assistant_id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "assistant_id", str(uuid.uuid5(NAMESPACE, self.graph_id)))

    async def compiled(self, config: RunnableConfig) -> AnyGraph:
        """Raises GraphsError if the factory makes something else than a graph."""
        made = self.make(config)
        if inspect.isawaitable(made):
            made = await made
        return _compile(self.graph_id, made)


class Graphs:
    """The graphs of one langgraph.json, found by their name or by the id of their assistant."""

    def __init__(self, config: Path) -> None:
        self.config = config.resolve()
        self._stack = AsyncExitStack()
        self._graphs: dict[str, Graph] = {}
        self._document: dict[str, Any] | None = None
        self._by_id: dict[str, Graph] = {}

    @property
    def document(self) -> dict[str, Any]:
        """langgraph.json, after what it says of paths and variables has been done. Raises GraphsError."""
        if self._document is None:
            document = self._read()
            self._prepare(document)
            self._document = document
        return self._document

    @property
    def auth(self) -> Any:
        return self.document.get("auth")

    @property
    def http(self) -> Http:
        """Raises GraphsError."""
        try:
            return Http.model_validate(self.document.get("http") or {})
        except ValidationError as error:
            faults = "; ".join(
                f"http.{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
            )
            raise GraphsError(f"{self.config}: {faults}") from None

    async def load(self) -> None:
        """Import every graph, and compile those that do not depend on a run. Raises GraphsError."""
        document = self.document
        for name, entry in document["graphs"].items():
            path, description = (entry, None) if isinstance(entry, str) else _described(name, entry)
            attribute = self.attribute(f"graphs.{name}", path)
            self._graphs[name] = Graph(name, description, await self._maker(name, attribute))
        self._by_id = {graph.assistant_id: graph for graph in self._graphs.values()}

    async def close(self) -> None:
        await self._stack.aclose()

    def find(self, assistant_id: str) -> Graph | None:
        return self._graphs.get(assistant_id) or self._by_id.get(assistant_id)

    def all(self) -> list[Graph]:
        return list(self._graphs.values())

    @property
    def names(self) -> list[str]:
        return list(self._graphs)

    def _read(self) -> dict[str, Any]:
        try:
            document = json.loads(self.config.read_text())
        except OSError as error:
            raise GraphsError(
                f"LANGGRAPH_CONFIG={self.config} cannot be read ({error.strerror}); name a langgraph.json"
            ) from None
        except ValueError as error:
            raise GraphsError(f"{self.config} is not JSON: {error}") from None
        graphs = document.get("graphs") if isinstance(document, dict) else None
        if not isinstance(graphs, dict) or not graphs:
            raise GraphsError(f'{self.config} names no graphs; add "graphs": {{"agent": "./agent.py:graph"}}')
        return dict(document)

    def _prepare(self, document: dict[str, Any]) -> None:
        """Do what `langgraph dev` does with `dependencies` and `env`."""
        for dependency in document.get("dependencies", []):
            folder = (self.config.parent / str(dependency)).resolve()
            if str(dependency).startswith(".") and str(folder) not in sys.path:
                sys.path.append(str(folder))
        env = document.get("env", {})
        if isinstance(env, str):
            file = self.config.parent / env
            env = dotenv_values(file) if file.is_file() else {}
        for name, value in env.items():
            os.environ.setdefault(name, str(value))

    def attribute(self, field: str, path: object) -> Any:
        """What a field names as `./file.py:attribute` or `package.module:attribute`. Raises GraphsError."""
        where = f"{self.config}: {field}: {path!r}"
        source, colon, attribute = str(path).rpartition(":")
        if not isinstance(path, str) or not colon or not source or not attribute:
            raise GraphsError(f"{where} is not of the form ./file.py:attribute or package.module:attribute")
        try:
            module = self._module(field, source)
        except GraphsError as error:
            raise GraphsError(f"{where}: {error}") from None
        except Exception as error:
            raise GraphsError(f"{where}: importing it failed: {type(error).__name__}: {error}") from error
        if not hasattr(module, attribute):
            raise GraphsError(f"{where}: there is no {attribute} in {source}")
        return getattr(module, attribute)

    def _module(self, name: str, source: str) -> ModuleType:
        if not source.endswith(".py"):
            return importlib.import_module(source)
        file = (self.config.parent / source).resolve()
        if not file.is_file():
            raise GraphsError(f"there is no file {file}")
        spec = importlib.util.spec_from_file_location(f"langgraph_agents_graph_{name}", file)
        if spec is None or spec.loader is None:
            raise GraphsError(f"{file} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    async def _maker(self, name: str, attribute: Any) -> Callable[[RunnableConfig], Any]:
        if isinstance(attribute, (Pregel, StateGraph)) or not callable(attribute):
            graph = _compile(name, attribute)
            return lambda _config: graph
        if _takes_config(attribute):

            def make(config: RunnableConfig) -> Any:
                return attribute(config)

            return make
        try:
            made = attribute()
            if inspect.isawaitable(made):
                made = await made
            if hasattr(made, "__aenter__"):
                made = await self._stack.enter_async_context(made)
        except Exception as error:
            raise GraphsError(
                f"graphs.{name}: its factory failed: {type(error).__name__}: {error}"
            ) from error
        graph = _compile(name, made)
        return lambda _config: graph


def _described(name: str, entry: object) -> tuple[object, str | None]:
    if not isinstance(entry, dict) or "path" not in entry:
        raise GraphsError(f'graphs.{name} has no "path"; write "./file.py:attribute"')
    return entry["path"], entry.get("description")


def _takes_config(factory: Callable[..., Any]) -> bool:
    parameters = inspect.signature(factory).parameters.values()
    return any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def _compile(name: str, made: Any) -> AnyGraph:
    if isinstance(made, StateGraph):
        made = made.compile()
    if not isinstance(made, Pregel):
        raise GraphsError(
            f"graphs.{name} is a {type(made).__name__}; it has to be a compiled graph, a StateGraph, "
            "or a function that returns one"
        )
    return made
