"""Money and time, as they are shown: ranges, differences, bars."""

from typing import Any

from preview.change.timing import Step, Timing, UpdateStep, UpdateTiming
from preview.cost import CostReport, Range
from preview.report.review import Review
from sandbox.engine.steps import minutes, title, when

_BARS = 40
_CUTS = 5
_STEPS = 25
# A step of the chain that takes less than this part of the whole is not worth its name.
_WORTH_NAMING = 0.03
_NOTHING = 0.005
# Below this, cents matter.
_SMALL = 10
_MINUS = "-"


def money(amount: Range) -> str:
    """``$310.20``, or ``$310 to $402`` where it depends on use."""
    if amount.high - amount.low < _NOTHING:
        return f"${amount.low:,.2f}"
    digits = 2 if amount.high < _SMALL else 0
    return f"${amount.low:,.{digits}f} to ${amount.high:,.{digits}f}"


def briefly(amount: Range) -> str:
    """``$310-402``, with the dash of a range: where there is little room."""
    if round(amount.low) == round(amount.high):
        return f"${amount.low:,.0f}"
    return f"${amount.low:,.0f}\N{EN DASH}{amount.high:,.0f}"


def difference(amount: Range) -> str:
    """``+$42.10``, ``-$12 to +$8``, ``±$0``."""
    if abs(amount.low) < _NOTHING and abs(amount.high) < _NOTHING:
        return "±$0"
    if abs(amount.high - amount.low) < _NOTHING:
        return _signed(amount.low, 2)
    return " to ".join(_signed(end, 0) for end in sorted((amount.low, amount.high)))


def total(report: CostReport | None) -> str:
    """What a stack costs a month."""
    return money(report.total) if report else "an unknown sum"


def change(before: CostReport | None, after: CostReport) -> str:
    """What it costs more."""
    return difference(after.difference(before)) if before else "not comparable"


def cost_rows(before: CostReport | None, after: CostReport) -> list[tuple[str, str, str]]:
    """Component, amount and change: only what changes where there is a base, everything where there is none."""
    if before is None:
        return [(name, money(amount), "") for name, amount in after.by_component.items()]
    return [
        (c.component, money(c.after) if c.after else "gone", difference(c.difference))
        for c in after.changes(before)
    ]


def cost_lines(review: Review) -> list[str]:
    """For a terminal."""
    comparison, report = review.comparison, review.cost
    lines = [f"{total(report)} a month"]
    if comparison:
        lines = [f"{change(comparison.cost, report)}: {total(comparison.cost)} → {total(report)} a month"]
    rows = cost_rows(comparison.cost if comparison else None, report)
    width = max((len(name) for name, _, _ in rows), default=0)
    lines += [f"  {name:<{width}}  {amount}  {changed}".rstrip() for name, amount, changed in rows[:12]]
    return [*lines, *report.notes]


def cost_chart(review: Review) -> dict[str, Any]:
    """For the report in HTML: a bar a component, and what each agent is the reason of."""
    report, comparison = review.cost, review.comparison
    most = max((amount.high for amount in report.by_component.values()), default=0) or 1
    before = comparison.cost if comparison else None
    changed = {c.component: difference(c.difference) for c in report.changes(before)} if before else {}
    return {
        "total": total(report),
        "change": change(before, report) if comparison else "",
        "rows": [
            {
                "name": name,
                "low_share": _percent(amount.low / most),
                "high_share": _percent(amount.high / most),
                "text": money(amount) + (f" ({changed[name]})" if name in changed else ""),
            }
            for name, amount in list(report.by_component.items())[:_BARS]
        ],
        "agents": [
            {"name": name, "own": money(cost.own), "nodes": money(cost.nodes)}
            for name, cost in list(report.agents.items())[:_BARS]
        ],
        "notes": report.notes,
        "assumptions": [*report.assumptions, *report.not_included],
    }


def duration(review: Review) -> str:
    """How long a first deployment takes."""
    return minutes(review.timing.total)


def time_lines(review: Review) -> list[str]:
    """For a terminal: the whole, the chain that decides it, and what to cut."""
    timing = review.timing
    chain = " → ".join(
        f"{step.name} ({minutes(step.seconds)})" for step in timing.chain if _counts(step, timing)
    )
    cuts = [
        f"{cut.step.name}: {minutes(cut.saves)} less without it{f'; {cut.how}' if cut.how else ''}"
        for cut in timing.cuts[:_CUTS]
    ]
    return [f"{duration(review)}, by typical times as of {timing.as_of}", f"longest chain: {chain}", *cuts]


def update_rows(update: UpdateTiming) -> list[tuple[str, str, str, str]]:
    """When, how long, what, and how callers can notice: the steps that take long, and those that can be noticed."""
    return [
        (
            when(step.start),
            minutes(step.seconds),
            title(step.name, step.what),
            "; ".join(step.noticed),
        )
        for step in _longest(update)
    ]


def _longest(update: UpdateTiming) -> list[UpdateStep]:
    """Those that can be noticed and those that take long, as many as a report has room for, in their order."""
    longest = sorted(update.steps, key=lambda step: (not step.noticed, -step.seconds, step.urn))[:_STEPS]
    return sorted(longest, key=lambda step: (step.start, -step.seconds, step.urn, step.what))


def update_lines(update: UpdateTiming) -> list[str]:
    """For a terminal."""
    lines = [
        f"{begins:>12}  {lasts:>6}  {what}{f': callers can notice, {noticed}' if noticed else ''}"
        for begins, lasts, what, noticed in update_rows(update)
    ]
    if (left := len(update.steps) - len(lines)) > 0:
        lines.append(f"and {left} shorter steps")
    return [*lines, *(f"later, {sentence}" for sentence in update.later)]


def update_bars(update: UpdateTiming) -> dict[str, Any]:
    """For the report in HTML: a bar for each of the steps that ``update_rows`` has."""
    whole = update.total or 1
    longest = _longest(update)
    return {
        "total": minutes(update.total),
        "bars": [
            {
                "name": title(step.name, step.what),
                "critical": step.critical and step.seconds > 0,
                "left": _percent(step.start / whole),
                "width": _percent(step.seconds / whole),
                "text": minutes(step.seconds),
                "noticed": step.noticed,
            }
            for step in longest
        ],
        "left": max(0, len(update.steps) - len(longest)),
        "later": update.later,
    }


def timeline(review: Review) -> dict[str, Any]:
    """For the report in HTML: a bar for each step that takes long, in the order in which they begin."""
    timing = review.timing
    whole = timing.total or 1
    shown = sorted(timing.schedule, key=lambda step: (not step.critical, -step.seconds, step.urn))[:_BARS]
    return {
        "total": duration(review),
        "bars": [
            {
                "name": step.name,
                "critical": step.critical,
                "left": _percent(step.start / whole),
                "width": _percent(step.seconds / whole),
                "text": minutes(step.seconds),
            }
            for step in sorted(shown, key=lambda step: (step.start, -step.seconds, step.urn))
        ],
        "cuts": [
            {"name": cut.step.name, "saves": minutes(cut.saves), "how": cut.how}
            for cut in timing.cuts[:_CUTS]
        ],
        "notes": [f"Typical times as of {timing.as_of}; the real ones vary by the half."],
    }


def _counts(step: Step, timing: Timing) -> bool:
    return step.seconds >= timing.total * _WORTH_NAMING


def _signed(amount: float, digits: int) -> str:
    return f"{_MINUS if amount < 0 else '+'}${abs(amount):,.{digits}f}"


def _percent(share: float) -> float:
    return round(100 * share, 2)
