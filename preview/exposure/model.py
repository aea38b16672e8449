"""The vocabulary of exposure: who reaches whom, by what, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

INTERNET = "internet"
"""Where a path begins that no resource stands at."""


class Relation(StrEnum):
    """What an edge says of its two ends."""

    CONNECTS = "connects to"
    """Packets get there."""
    RUNS_AS = "runs as"
    """A workload has an identity."""
    READS = "reads"
    """An identity may read a secret."""
    USES = "may use"
    """An identity may do something in AWS."""


@dataclass(frozen=True)
class Edge:
    """A step from one resource to another."""

    source: str
    """A URN, or ``INTERNET``."""
    target: str
    """A URN; of what is no part of the stack its ARN, or the addresses of its network."""
    relation: Relation
    by: str
    """Ports, hosts, actions: ``443/tcp for support.example.com``."""
    why: tuple[str, ...] = ()
    """What allows it, a resource or a rule each."""
    origins: tuple[str, ...] = ()
    """The networks that it is open to, where that is not everybody."""

    @property
    def leaves_the_stack(self) -> bool:
        """Whether it ends at something that the stack did not make."""
        return not self.target.startswith("urn:")


@dataclass(frozen=True)
class Exposure:
    """The graph of a whole stack."""

    edges: tuple[Edge, ...]
    open_but_unreachable: tuple[str, ...] = ()
    """What a rule opens to the internet although no route leads there."""

    @property
    def beyond(self) -> list[Edge]:
        """What leads out of the stack: to other networks than the internet, and to AWS."""
        return [edge for edge in self.edges if edge.leaves_the_stack]

    @cached_property
    def _into(self) -> dict[str, list[Edge]]:
        return _grouped((edge.target, edge) for edge in self.edges)

    @cached_property
    def _out_of(self) -> dict[str, list[Edge]]:
        return _grouped((edge.source, edge) for edge in self.edges)

    def of(self, relation: Relation) -> list[Edge]:
        """The edges of a kind."""
        return [edge for edge in self.edges if edge.relation is relation]

    def into(self, urn: str) -> list[Edge]:
        """Who reaches ``urn`` in one step."""
        return self._into.get(urn, [])

    def out_of(self, urn: str) -> list[Edge]:
        """Whom ``urn`` reaches in one step."""
        return self._out_of.get(urn, [])

    def paths_to(self, urn: str) -> list[tuple[Edge, ...]]:
        """Every way to ``urn``, each from its beginning."""
        found: list[tuple[Edge, ...]] = []
        waiting: list[tuple[Edge, ...]] = [(edge,) for edge in self.into(urn)]
        while waiting:
            path = waiting.pop(0)
            passed = {edge.target for edge in path}
            before = [edge for edge in self.into(path[0].source) if edge.source not in passed]
            waiting += [(edge, *path) for edge in before]
            if not before:
                found.append(path)
        return found


def _grouped(pairs: Iterable[tuple[str, Edge]]) -> dict[str, list[Edge]]:
    groups: dict[str, list[Edge]] = {}
    for urn, edge in pairs:
        groups.setdefault(urn, []).append(edge)
    return groups
