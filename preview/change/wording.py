"""How values, edges and resources are put into words; the same in every report."""

import json
from collections.abc import Mapping
from typing import Any

from preview.exposure import INTERNET, Edge, Relation
from preview.recording.plan import Plan, PlannedResource, Secret
from preview.recording.values import ABSENT

_LONGEST = 80


def value(shown: Any, longest: int = _LONGEST) -> str:
    """A property's value on one line; a long one is cut in its middle, where it is most alike."""
    if shown is ABSENT:
        return "(none)"
    if isinstance(shown, Secret):
        return "[secret]"
    text = shown if isinstance(shown, str) else json.dumps(shown, default=repr, ensure_ascii=False)
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    half = (longest - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def properties(inputs: Mapping[str, Any]) -> str:
    """All properties, as they are read best."""
    return json.dumps(inputs, default=repr, indent=2, ensure_ascii=False, sort_keys=True)


def title(resource: PlannedResource) -> str:
    """``Instance database-instance``."""
    return f"{resource.kind} {resource.name}"


def edge(said: Edge, *plans: Plan) -> str:
    """A sentence on a connection; names come from the first plan that has them."""
    ends = [_end(urn, *plans) for urn in (said.source, said.target)]
    by = f" ({said.by})" if said.relation is not Relation.RUNS_AS else ""
    origins = f", from {', '.join(said.origins)} only" if said.origins else ""
    return f"{ends[0]} {said.relation} {ends[1]}{by}{origins}"


def count(number: int, noun: str) -> str:
    """``1 finding``, ``2 findings``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def _end(urn: str, *plans: Plan) -> str:
    if urn == INTERNET:
        return "the internet"
    return next((plan.resources[urn].name for plan in plans if urn in plan.resources), urn)
