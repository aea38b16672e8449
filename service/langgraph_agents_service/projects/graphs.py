"""The graphs of a project: compiled ones, builders, and what factories make for each run."""

import inspect
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from langgraph_agents_service.projects import loading
from langgraph_agents_service.projects.config import Project, ProjectError, read
from langgraph_agents_service.projects.factories import Factory, Use, is_context_manager

NAMESPACE = uuid.UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
"""LangGraph Server makes the id of a graph's default assistant as a UUID5 of its name in this one."""

AnyGraph = Pregel[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph by its name, which is also the name of its assistant."""

    graph_id: str
    description: str | None
    source: AnyGraph | Factory
    """The graph, or what makes it for each run."""

    assistant_id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "assistant_id", str(uuid.uuid5(NAMESPACE, self.graph_id)))

    @asynccontextmanager
    async def opened(self, use: Use) -> AsyncIterator[AnyGraph]:
        """The graph for this use, with what its factory opens. Raises what the factory raises, and ProjectError."""
        if isinstance(self.source, Factory):
            async with self.source.made(use) as made:
                yield _compile(self.graph_id, made)
        else:
            yield self.source

    async def compiled(self, use: Use) -> AnyGraph:
        """The graph to be looked at and not to be run: what its factory opened is closed again."""
        async with self.opened(use) as graph:
            return graph


class Graphs:
    """The graphs of one langgraph.json, found by their name or by the id of their assistant."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._project: Project | None = None
        self._graphs: dict[str, Graph] = {}
        self._by_id: dict[str, Graph] = {}

    @property
    def project(self) -> Project:
        """langgraph.json, after what it says of paths and variables has been done. Raises ProjectError."""
        if self._project is None:
            project = read(self._config)
            loading.prepare(project)
            self._project = project
        return self._project

    async def load(self) -> None:
        """Import every graph, and make those that no run makes its own of. Raises ProjectError with every problem."""
        found, problems = {}, []
        for name, entry in self.project.graphs.items():
            try:
                source = await _source(name, self.attribute(f"graphs.{name}", entry.path))
            except ProjectError as error:
                problems.append(str(error))
            else:
                found[name] = Graph(name, entry.description, source)
        if problems:
            raise ProjectError("\n".join(problems))
        self._graphs = found
        self._by_id = {graph.assistant_id: graph for graph in found.values()}

    def attribute(self, field: str, path: str) -> Any:
        """What a field of langgraph.json names. Raises ProjectError."""
        return loading.attribute(self.project, field, path)

    def find(self, assistant_id: str) -> Graph | None:
        return self._graphs.get(assistant_id) or self._by_id.get(assistant_id)

    def all(self) -> list[Graph]:
        return list(self._graphs.values())

    @property
    def names(self) -> list[str]:
        return list(self._graphs)


async def _source(name: str, attribute: Any) -> AnyGraph | Factory:
    if isinstance(attribute, (Pregel, StateGraph)) or not callable(attribute):
        return _compile(name, attribute)
    try:
        factory = Factory(attribute)
    except TypeError as error:
        raise ProjectError(f"graphs.{name}: its factory cannot be called: {error}") from None
    if factory.depends:
        return factory
    try:
        made = factory.call(Use())
        if is_context_manager(made):
            return factory
        return _compile(name, await made if inspect.isawaitable(made) else made)
    except ProjectError:
        raise
    except (Exception, SystemExit) as error:
        raise ProjectError(f"graphs.{name}: its factory failed: {type(error).__name__}: {error}") from error


def _compile(name: str, made: Any) -> AnyGraph:
    if isinstance(made, StateGraph):
        made = made.compile()
    if not isinstance(made, Pregel):
        raise ProjectError(
            f"graphs.{name} is a {type(made).__name__}; it has to be a compiled graph, a StateGraph, "
            "or a function that returns one"
        )
    # A graph that was given no name has that of langgraph.json in traces and events, as on LangGraph's server.
    return made.copy(update={"name": name}) if made.name == "LangGraph" else made
