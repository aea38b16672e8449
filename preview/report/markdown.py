"""``report.md``: the comment on a pull request, within the length that a comment may have."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from preview.change import wording
from preview.change.diff import SIGNS, Change, Status
from preview.change.effects import effects
from preview.exposure import INTERNET
from preview.recording.plan import Plan, PlannedResource
from preview.report import figures
from preview.report.review import Comparison, Review

LIMIT = 65_536
"""Characters of a GitHub comment."""

_CUT = "\n\n> {count} left out: a comment holds {limit:,} characters. The report in `build/preview/{stack}` is whole.\n"
_LONGEST_LIST = 50


def render(review: Review, limit: int = LIMIT) -> str:
    """The report, cut from its least important end to ``limit`` characters."""
    sections = list(_sections(review))
    kept: list[str] = []
    room = limit - len(_CUT) - 40
    for section in sections:
        if room < len(section) + 2:
            break
        room -= len(section) + 2
        kept.append(section)
    text = "\n\n".join(kept)
    if left := len(sections) - len(kept):
        text += _CUT.format(count=wording.count(left, "section"), limit=limit, stack=review.plan.stack)
    return f"{text}\n"


def _sections(review: Review) -> Iterator[str]:
    """The most important first."""
    say = _macros(review)
    if review.comparison and _warns(review.comparison):
        yield str(say.warnings(review.comparison.impact)).strip()
    yield say.headline(review, figures)
    if review.comparison and review.comparison.engine:
        yield str(say.engine(review.comparison.engine)).strip()
    yield say.introduction(review, figures)
    if review.comparison:
        yield from _changes(review, review.comparison, say)
    else:
        yield from _whole(review, say)


def _warns(comparison: Comparison) -> bool:
    impact = comparison.impact
    return bool(impact.errors or impact.refused or impact.one_way or impact.out_of_reach)


def _changes(review: Review, comparison: Comparison, say: Any) -> Iterator[str]:
    changes = comparison.diff.changes
    guarded = [change for change in changes if change.guarded]
    for number in range(0, len(guarded), _LONGEST_LIST):
        yield say.guarded(guarded[number : number + _LONGEST_LIST])
    if changes:
        yield say.impact(comparison.impact)
        yield say.update(comparison.timing, figures)
    yield from _findings(review, say)
    if rows := figures.cost_rows(comparison.cost, review.cost):
        yield say.cost(rows[:_LONGEST_LIST])
    for name, own in _by_component(comparison.diff.before, review.plan, changes):
        for number in range(0, len(own), _LONGEST_LIST):
            yield say.component(name, own[number : number + _LONGEST_LIST], _tally(own))


def _whole(review: Review, say: Any) -> Iterator[str]:
    yield from _findings(review, say)
    edges = [e for e in review.exposure.edges if e.source == INTERNET or e.by.startswith("https://")]
    yield say.exposed(edges[:_LONGEST_LIST], review.exposure.open_but_unreachable)
    if review.nodes:
        yield say.nodes(review.nodes)
    if beyond := review.exposure.beyond:
        yield say.beyond(beyond[:_LONGEST_LIST])
    yield say.cost(figures.cost_rows(None, review.cost)[:_LONGEST_LIST])
    groups: dict[str, list[PlannedResource]] = {}
    for resource in review.resources:
        groups.setdefault(review.plan.top_component(resource) or "(no component)", []).append(resource)
    for name, own in sorted(groups.items()):
        yield say.whole(name, own)


def _findings(review: Review, say: Any) -> Iterator[str]:
    for number in range(0, len(review.findings), _LONGEST_LIST):
        yield say.findings(review.findings[number : number + _LONGEST_LIST])


def _by_component(before: Plan, after: Plan, changes: Sequence[Change]) -> list[tuple[str, list[Change]]]:
    groups: dict[str, list[Change]] = {}
    for change in changes:
        plan = after if change.after else before
        groups.setdefault(plan.top_component(change.resource) or "(no component)", []).append(change)
    return sorted(groups.items())


def _tally(changes: Sequence[Change]) -> str:
    counted = Counter(change.status for change in changes)
    return " ".join(f"{SIGNS[status]}{counted[status]}" for status in reversed(Status) if counted[status])


def _macros(review: Review) -> Any:
    # Not HTML: what could be taken for markup is taken out by the filters below.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    plans = [review.plan, *([review.comparison.diff.before] if review.comparison else [])]
    environment.globals["signs"] = SIGNS
    environment.filters |= {
        "cell": _cell,
        "code": _code,
        "codes": lambda values: ", ".join(map(_code, values)),
        "count": wording.count,
        "effects": lambda change: effects(change, review.plan),
        "edge": lambda edge: wording.edge(edge, *plans),
        "sentence": _sentence,
        "short_list": _short_list,
        "text": _text,
        "value": wording.value,
    }
    return environment.get_template("report.md.j2").module


def _code(value: str) -> str:
    """Inline code, in which nothing is markup and nobody is mentioned."""
    return f"`{wording.value(str(value)).replace('`', chr(39)).replace('|', '¦')}`"


def _text(value: str) -> str:
    """Plain text without HTML, links or mentions of people."""
    return _unmentioned(re.sub(r"[<>\[\]*_]", r"\\\g<0>", str(value)))


def _cell(value: str) -> str:
    """Text in a table."""
    return _unmentioned(" ".join(str(value).split()).replace("|", "\\|").replace("<", "\\<"))


def _unmentioned(text: str) -> str:
    """With a space of no width after each @, which then calls nobody."""
    return text.replace("@", "@\u200b")


def _short_list(values: Sequence[str]) -> str:
    shown = ", ".join(map(_code, values[:4]))
    return f"{shown} and {len(values) - 4} more" if len(values) > 4 else shown


def _sentence(change: Change) -> str:
    parts = [f"**Lost: {change.loses}.**"] if change.loses else []
    if change.reasons:
        parts.append(f"replaced because of {', '.join(map(_code, change.reasons[:5]))}.")
    elif change.differences:
        parts.append(f"{_short_list([d.path for d in change.differences])}.")
    parts += [f"{note}." for note in change.notes]
    return " ".join(parts) or "new"
