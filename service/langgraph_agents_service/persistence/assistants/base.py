"""What the service asks of whatever keeps assistants."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from langgraph_agents_service.persistence.registry.base import Json, Owner, now

SORTS = ("assistant_id", "graph_id", "name", "created_at", "updated_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What changes from one version of an assistant to the next."""

    graph_id: str
    name: str
    description: str | None = None
    config: Json = field(default_factory=dict)
    context: Json = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)
    version: int = 1
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assistant(Version):
    assistant_id: str
    owner: str = ""
    """The name of the owner that made it; "" for a graph's own."""
    updated_at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an update sets. None: as it was."""

    graph_id: str | None = None
    name: str | None = None
    description: str | None = None
    config: Json | None = None
    context: Json | None = None
    metadata: Json = field(default_factory=dict)
    """Merged into what there is."""

    def of(self, before: Version) -> dict[str, Any]:
        return {
            "graph_id": self.graph_id or before.graph_id,
            "name": self.name or before.name,
            "description": before.description if self.description is None else self.description,
            "config": before.config if self.config is None else self.config,
            "context": before.context if self.context is None else self.context,
            "metadata": {**before.metadata, **self.metadata},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    graph_id: str | None = None
    name: str | None = None
    """Part of it, in whatever case."""
    metadata: Json = field(default_factory=dict)


class AssistantExistsError(Exception):
    """The assistant's id is taken."""


class Assistants(Protocol):
    """Methods that take an owner raise NotFoundError for what belongs to someone else."""

    async def create(self, assistant: Assistant, owner: Owner, *, reuse: bool) -> Assistant:
        """Raises AssistantExistsError if the id is taken, unless `reuse` and the owner may have it."""

    async def get(self, assistant_id: str, owner: Owner) -> Assistant: ...

    async def update(self, assistant_id: str, owner: Owner, change: Change) -> Assistant:
        """Make the next version, and the assistant this one."""

    async def set_latest(self, assistant_id: str, owner: Owner, version: int) -> Assistant:
        """Make the assistant an earlier version. Raises NotFoundError if there is no such."""

    async def versions(
        self, assistant_id: str, owner: Owner, metadata: Json, *, limit: int, offset: int
    ) -> list[Version]:
        """Newest first."""

    async def delete(self, assistant_id: str, owner: Owner) -> None: ...

    async def search(
        self,
        owner: Owner,
        search: Search,
        own: Sequence[Assistant],
        *,
        limit: int,
        offset: int,
        sort_by: str = "created_at",
        descending: bool = True,
    ) -> list[Assistant]:
        """`own`: those of the graphs, which are found like the kept ones."""

    async def count(self, owner: Owner, search: Search, own: Sequence[Assistant]) -> int: ...


def contains(whole: Any, part: Any) -> bool:
    """Whether JSON holds JSON, as PostgreSQL's `@>` has it."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and contains(whole[k], v) for k, v in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(contains(item, v) for item in whole) for v in part)
    return bool(whole == part)


def matches(assistant: Assistant, owner: Owner, search: Search) -> bool:
    """Whether a search finds the assistant, given that it is the owner's or a graph's own."""
    return (
        search.graph_id in (None, assistant.graph_id)
        and (search.name is None or search.name.lower() in assistant.name.lower())
        and contains(assistant.metadata, search.metadata)
        and owner.admits(assistant.metadata)
    )


def changed(assistant: Assistant, version: Version) -> Assistant:
    """The assistant as it is in this version."""
    names = ("graph_id", "name", "description", "config", "context", "metadata", "version")
    return replace(assistant, **{name: getattr(version, name) for name in names}, updated_at=now())
