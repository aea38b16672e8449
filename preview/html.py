"""``report.html``: one file, for people who would rather look. It loads nothing and sends nothing."""

import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from preview import figures, wording
from preview.diff import Change
from preview.exposure import INTERNET, Edge, Relation
from preview.picture import WIDTH, draw
from preview.plan import Plan, PlannedResource
from preview.review import Review

_TEMPLATES = Path(__file__).parent / "templates"
# Above this, the properties would make a file that browsers open unwillingly.
_MOST_WITH_PROPERTIES = 2_000
# Of a thousand agents each list would have thousands of lines that say the same.
_LONGEST_LIST = 60


def render(review: Review) -> str:
    """The whole file."""
    plan = review.plan
    links = {urn: f"r-{hashlib.sha256(urn.encode()).hexdigest()[:10]}" for urn in plan.resources}
    environment = _environment(review)
    picture = environment.get_template("picture.svg.j2").render(
        picture=draw(plan, review.exposure),
        plan=plan,
        width=WIDTH,
        links={**links, **{f"all:{r.type}": "resources" for r in review.resources}},
    )
    comparison = review.comparison
    return environment.get_template("report.html.j2").render(
        review=review,
        plan=plan,
        comparison=comparison,
        changes=comparison.diff.changes if comparison else (),
        links=links,
        css=Markup((_TEMPLATES / "report.css").read_text()),
        script=Markup((_TEMPLATES / "report.js").read_text()),
        picture=Markup(picture),
        figures=_figures(review),
        sections=_sections(review),
        exposed=[e for e in review.exposure.edges if e.source == INTERNET or e.by.startswith("https://")][
            :_LONGEST_LIST
        ],
        stores=_to_stores(review)[:_LONGEST_LIST],
        reads=review.exposure.of(Relation.READS)[:_LONGEST_LIST],
        cost=Markup(environment.get_template("cost.html.j2").render(**figures.cost_chart(review))),
        time=Markup(environment.get_template("time.html.j2").render(**figures.timeline(review))),
        groups=_groups(plan),
        with_properties=len(review.resources) <= _MOST_WITH_PROPERTIES,
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
        "value": wording.value,
        "properties": wording.properties,
        "code_spans": _code_spans,
        "search_text": lambda resource: _search_text(review.plan, resource),
    }
    return environment


def _figures(review: Review) -> list[dict[str, Any]]:
    """The numbers on top."""
    failed = bool(review.findings)
    found = [
        {"value": figures.total(review.cost), "label": "a month", "link": "cost", "style": ""},
        {
            "value": figures.duration(review.timing.total),
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
        first = {"value": comparison.diff.headline, "label": "changes", "link": "changes", "style": ""}
        second = {
            "value": failures or "None",
            "label": "ways for requests to fail",
            "link": "changes",
            "style": "bad" if failures else "good",
        }
        return [first, second, *found]
    agents = {"value": len(review.plan.agents), "label": "agents", "link": "architecture", "style": ""}
    resources = {"value": len(review.resources), "label": "resources", "link": "resources", "style": ""}
    return [agents, resources, *found]


def _sections(review: Review) -> list[tuple[str, str]]:
    first = [("changes", "Changes")] if review.comparison else []
    return [
        *first,
        ("architecture", "Architecture"),
        ("exposure", "Exposure"),
        ("policies", "Policies"),
        ("cost", "Cost"),
        ("time", "Time"),
        ("resources", "Resources"),
    ]


def _to_stores(review: Review) -> list[Edge]:
    kinds = ("aws:rds/instance:Instance", "aws:elasticache/replicationGroup:ReplicationGroup")
    urns = {resource.urn for resource in review.plan.of_type(*kinds)}
    return [edge for edge in review.exposure.of(Relation.CONNECTS) if edge.target in urns]


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


__all__ = ["Change", "render"]
