"""A review and its parts as JSON, for programs."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from preview.change.diff import Change
from preview.change.effects import Effect, effects
from preview.recording.plan import Plan, PlannedResource, Secret
from preview.recording.values import ABSENT
from preview.report.explain import Explanation
from preview.report.review import Review


def review_as_json(review: Review, files: dict[str, str]) -> str:
    """What the terminal shows, whole.

    Args:
        files: where the files of the preview are, by what they are.
    """
    comparison = review.comparison
    document: dict[str, Any] = {
        "project": review.plan.project,
        "stack": review.plan.stack,
        "region": review.plan.region,
        "production": review.plan.production,
        "agents": review.plan.agents,
        "resources": len(review.resources),
        "files": files,
        "findings": review.findings,
        "cost": review.cost,
        "timing": review.timing,
        "nodes": review.nodes,
        "exposure": review.exposure,
        "stateful": [resource.urn for resource in review.stateful],
        "comparison": None,
    }
    if comparison:
        document["comparison"] = {
            "base": comparison.base,
            "counts": comparison.diff.counts,
            "changes": [_change(change, comparison.diff.after) for change in comparison.diff.changes],
            "impact": comparison.impact,
            "cost": comparison.cost,
            "timing": comparison.timing,
            "pulumi": comparison.engine,
        }
    return _text(document)


def explanations_as_json(explanations: list[Explanation]) -> str:
    """Everything that ``explain`` prints."""
    return _text([{**_fields(e), "resource": _brief(e.resource)} for e in explanations])


def _change(change: Change, after: Plan) -> dict[str, Any]:
    return {
        "status": change.status,
        "urn": change.resource.urn,
        "was": change.before.urn if change.before else None,
        "type": change.resource.type,
        "name": change.resource.name,
        "guarded": change.guarded,
        "lost": change.loses,
        "reasons": change.reasons,
        "notes": change.notes,
        "differences": [_fields(difference) for difference in change.differences],
        "effects": [_effect(effect) for effect in effects(change, after)],
    }


def _effect(effect: Effect) -> dict[str, Any]:
    row = effect.row
    return {
        "properties": effect.properties,
        "does": row.does if row else "not known",
        "when": "window" if effect.in_window else "at once",
        "minutes": row.minutes if row else None,
        "says": row.says if row else "",
        "instead": row.instead if row else "",
        "one_way": row.one_way if row else "",
        "source": row.source if row else "",
    }


def _brief(resource: PlannedResource) -> dict[str, Any]:
    return {key: getattr(resource, key) for key in ("urn", "type", "name", "id", "protect", "source")}


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _text(document: object) -> str:
    return json.dumps(document, default=_plain, indent=2, ensure_ascii=False) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, Secret):
        return "[secret]"
    if value is ABSENT:
        return None
    if isinstance(value, PlannedResource):
        return value.urn
    if dataclasses.is_dataclass(value):
        return _fields(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
