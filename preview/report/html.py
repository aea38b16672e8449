"""``report.html``: one file, for people who would rather look. It loads nothing and sends nothing."""

import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from preview.change import wording
from preview.change.diff import Change, Status
from preview.change.effects import effects
from preview.exposure import INTERNET, Edge, Relation
from preview.recording.plan import Plan, PlannedResource
from preview.report import figures
from preview.report.picture import draw
from preview.report.review import Review
from preview.report.shapes import WIDTH

_TEMPLATES = Path(__file__).parent / "templates"
# Above this, the properties would make a file that browsers open unwillingly.
_MOST_WITH_PROPERTIES = 2_000
# Of a thousand agents each list would have thousands of lines that say the same.
_LONGEST_LIST = 60


def render(review: Review) -> str:
    """The whole file."""
    plan = review.plan
    links = {urn: f"r-{hashlib.sha256(urn.encode()).hexdigest()[:10]}" for urn in plan.resources}
    comparison = review.comparison
    return (
        _environment(review)
        .get_template("report.html.j2")
        .render(
            review=review,
            plan=plan,
            comparison=comparison,
            changes=_changes(review),
            links=links,
            picture=draw(plan, review.exposure),
            picture_links={**links, **{f"all:{r.type}": "resources" for r in review.resources}},
            width=WIDTH,
            figures=_figures(review),
            sections=_sections(review),
            exposed=[e for e in review.exposure.edges if e.source == INTERNET or e.by.startswith("https://")][
                :_LONGEST_LIST
            ],
            stores=_to_stores(review)[:_LONGEST_LIST],
            identities=_identities(review)[:_LONGEST_LIST],
            state=_state(review),
            nodes=review.nodes,
            cost=figures.cost_chart(review),
            time=figures.timeline(review),
            update=figures.update_bars(comparison.timing) if comparison else None,
            groups=_groups(plan),
            with_properties=len(review.resources) <= _MOST_WITH_PROPERTIES,
        )
    )


def _environment(review: Review) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    plans = [review.plan, *([review.comparison.diff.before] if review.comparison else [])]
    environment.filters |= {
        "edge": lambda edge: wording.edge(edge, *plans),
        "effects": lambda change: effects(change, review.plan),
        "value": wording.value,
        "properties": wording.properties,
        "code_spans": _code_spans,
        "search_text": lambda resource: _search_text(review.plan, resource),
    }
    return environment


def _figures(review: Review) -> list[dict[str, Any]]:
    """The numbers on top."""
    failed = bool(review.findings)
    found: list[dict[str, Any]] = [
        {
            "value": figures.briefly(review.cost.total),
            "label": _cost_label(review),
            "link": "cost",
            "style": "",
        },
        {
            "value": figures.duration(review),
            "label": "to deploy from nothing",
            "link": "time",
            "style": "",
        },
        {
            "value": len(review.findings) or "None",
            "label": "policy findings",
            "link": "policies",
            "style": "bad" if failed else "good",
        },
    ]
    comparison = review.comparison
    if comparison:
        failures = len(comparison.impact.failures)
        first: dict[str, Any] = {
            "value": comparison.diff.headline,
            "label": "changes",
            "link": "changes",
            "style": "",
        }
        second: dict[str, Any] = {
            "value": failures or "None",
            "label": "points where requests can fail",
            "link": "changes",
            "style": "bad" if failures else "good",
        }
        return [first, second, *found]
    agents = _counted(len(review.plan.agents), "agent", "architecture")
    resources = _counted(len(review.resources), "resource", "resources")
    return [agents, resources, *found]


def _cost_label(review: Review) -> str:
    if review.comparison is None:
        return "a month"
    return f"a month ({figures.change(review.comparison.cost, review.cost)})"


def _changes(review: Review) -> dict[str, Any]:
    """What a reviewer has to read first, and what is only new or gone: by component and status."""
    first: list[Change] = []
    rest: dict[tuple[str, Status], list[Change]] = {}
    comparison = review.comparison
    if comparison is None:
        return {"first": [], "rest": []}
    for change in comparison.diff.changes:
        if change.guarded or change.status not in (Status.CREATED, Status.DELETED):
            first.append(change)
            continue
        plan = review.plan if change.after else comparison.diff.before
        rest.setdefault((plan.top_component(change.resource), change.status), []).append(change)
    return {"first": first, "rest": sorted(rest.items())}


def _counted(number: int, noun: str, link: str) -> dict[str, Any]:
    return {"value": number, "label": wording.count(number, noun).split()[1], "link": link, "style": ""}


def _sections(review: Review) -> list[tuple[str, str]]:
    first = [("changes", "Changes")] if review.comparison else []
    return [
        *first,
        ("architecture", "Architecture"),
        ("exposure", "Exposure"),
        ("policies", "Policies"),
        ("nodes", "Nodes"),
        ("cost", "Cost"),
        ("time", "Time"),
        ("resources", "Resources"),
    ]


def _to_stores(review: Review) -> list[Edge]:
    kinds = (
        "aws:rds/proxy:Proxy",
        "aws:rds/instance:Instance",
        "aws:elasticache/replicationGroup:ReplicationGroup",
    )
    urns = {resource.urn for resource in review.plan.of_type(*kinds)}
    return [edge for edge in review.exposure.of(Relation.CONNECTS) if edge.target in urns]


def _identities(review: Review) -> list[tuple[PlannedResource, tuple[str, ...], list[Edge]]]:
    """Who reads which secrets, and why; secrets that are read for the same reasons together."""
    reads: dict[tuple[str, tuple[str, ...]], list[Edge]] = {}
    for edge in review.exposure.of(Relation.READS):
        reads.setdefault((edge.source, edge.why), []).append(edge)
    return [(review.plan.resources[urn], why, edges) for (urn, why), edges in reads.items()]


def _state(review: Review) -> list[tuple[str, list[PlannedResource]]]:
    """What holds state, by kind."""
    kinds: dict[str, list[PlannedResource]] = {}
    for resource in review.stateful:
        kinds.setdefault(resource.kind, []).append(resource)
    return list(kinds.items())


def _groups(plan: Plan) -> list[tuple[str, list[PlannedResource]]]:
    """The resources by the outermost component around them."""
    groups: dict[str, list[PlannedResource]] = {}
    for resource in plan.resources.values():
        if resource.custom:
            groups.setdefault(plan.top_component(resource), []).append(resource)
    return sorted(groups.items())


def _search_text(plan: Plan, resource: PlannedResource) -> str:
    around = [ancestor.name for ancestor in plan.ancestors(resource)]
    return " ".join([resource.name, resource.type, *around]).lower()


def _code_spans(text: str) -> Markup:
    """Text with `backticks` as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )
