"""Everything about one resource: what made it, what it needs, what needs it, who reaches it."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from preview.exposure import INTERNET, Edge, Exposure, Relation
from preview.recording.plan import Plan, PlannedResource
from sandbox.common.errors import InputError

_SUGGESTIONS = 5
# With many agents as many paths lead to a shared store as there are agents.
_PATHS = 20


@dataclass(frozen=True)
class Explanation:
    """What is known of one resource."""

    resource: PlannedResource
    made_by: tuple[str, ...]
    """The line that made it, and the components around it, innermost first."""
    agent: str
    needs: tuple[str, ...]
    """What it waits for."""
    needed_by: tuple[str, ...]
    """What waits for it."""
    reached: tuple[str, ...]
    """The paths to it, from where each begins."""
    more_paths: int
    """How many paths ``reached`` leaves out."""
    reaches: tuple[str, ...]
    """Where it gets to itself."""


def explain(plan: Plan, exposure: Exposure, name: str) -> list[Explanation]:
    """Explain every resource of a name: a logical name, a URN, or the name of a Kubernetes object or in AWS.

    Raises:
        InputError: there is none; with the names that come closest.
    """
    found = [resource for resource in plan.resources.values() if name in _names(resource)]
    if not found:
        known = sorted({n for resource in plan.resources.values() for n in _names(resource) if ":" not in n})
        close = difflib.get_close_matches(name, known, _SUGGESTIONS) or [n for n in known if name in n]
        hint = f": did you mean {', '.join(close[:_SUGGESTIONS])}?" if close else ""
        raise InputError(f"no resource of the stack {plan.stack} is called {name}{hint}")
    return [_explain(plan, exposure, resource) for resource in found]


def _names(resource: PlannedResource) -> set[str]:
    metadata = resource.outputs.get("metadata")
    physical = metadata.get("name") if isinstance(metadata, dict) else resource.outputs.get("name")
    return {resource.name, resource.urn, *([physical] if isinstance(physical, str) else [])}


def _explain(plan: Plan, exposure: Exposure, resource: PlannedResource) -> Explanation:
    paths = exposure.paths_to(resource.urn)
    return Explanation(
        resource=resource,
        made_by=tuple(_origin(component) for component in (resource, *plan.ancestors(resource))),
        agent=plan.agent(resource),
        needs=_titles(plan, resource.dependencies),
        needed_by=_titles(plan, (r.urn for r in plan.dependents(resource.urn))),
        reached=tuple(_path(plan, path) for path in paths[:_PATHS]),
        more_paths=max(0, len(paths) - _PATHS),
        reaches=tuple(_step(plan, edge) for edge in exposure.out_of(resource.urn)),
    )


def _origin(resource: PlannedResource) -> str:
    return f"{_title(resource)}{f', {resource.source}' if resource.source else ''}"


def _titles(plan: Plan, urns: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(_title(plan.resources[urn]) for urn in urns if urn in plan.resources))


def _path(plan: Plan, path: tuple[Edge, ...]) -> str:
    return " ".join([_end(plan, path[0].source), *(_step(plan, edge) for edge in path)])


def _step(plan: Plan, edge: Edge) -> str:
    by = _by(edge)
    return f"{edge.relation} {_end(plan, edge.target)}{f' ({by})' if by else ''}"


def _by(edge: Edge) -> str:
    said = edge.by if edge.relation is not Relation.RUNS_AS else ""
    origins = f"from {', '.join(edge.origins)} only" if edge.origins else ""
    return "; ".join(filter(None, (said, origins, *edge.why)))


def _end(plan: Plan, urn: str) -> str:
    if urn == INTERNET:
        return "the internet"
    return _title(plan.resources[urn]) if urn in plan.resources else urn


def _title(resource: PlannedResource) -> str:
    return f"{resource.kind} {resource.name}"
