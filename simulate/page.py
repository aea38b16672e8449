"""A replay as one page: pods, queue, latency and nodes over time, the stack's own settings beside the document's."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import preview.report
from preview.cost import Range
from simulate.assumptions import SENTENCES
from simulate.metrics import ResourceTarget
from simulate.replay import AgentOutcome, Outcome, quantile
from simulate.stack import Fleet, Scaling
from simulate.summary import rows
from simulate.trace import Trace

# The look is that of the preview's report.
_TEMPLATES = [Path(__file__).parent / "templates", Path(preview.report.__file__).parent / "templates"]
_WIDTH, _HEIGHT, _LEFT, _ABOVE, _BELOW = 600, 150, 42, 8, 18
_POINTS = 300
_BUCKETS = 96
_TIMES = 8
_HOUR, _MINUTE = 3600, 60
# Seconds between two times that are named.
_TICKS = [*(n * _MINUTE for n in (1, 5, 15, 30)), *(n * _HOUR for n in (1, 2, 3, 6, 12, 24))]


@dataclass(frozen=True)
class _Line:
    name: str
    style: str
    """A class of ``simulate.css``: ``area`` or ``line``, and ``second`` for the other colour."""
    points: Sequence[tuple[float, float]]
    """Seconds and values."""
    steps: bool = True
    """Whether a value holds until the next."""


def render(scaling: Scaling, trace: Trace, outcomes: Sequence[Outcome]) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    own = outcomes[0]
    ended = [run.latency for agent in own.agents for run in agent.ended]
    return environment.get_template("simulate.html.j2").render(
        stack=scaling.stack,
        trace=trace.name,
        hours=duration(trace.seconds),
        scalers=[outcome.name for outcome in outcomes],
        figures=[
            {"value": f"{sum(agent.submitted for agent in own.agents):,}", "label": "runs"},
            {"value": duration(quantile(ended, 0.95)), "label": "take 95 % of them at most"},
            {
                "value": f"{max(sum(waiting) for waiting in _together(own)):,}",
                "label": "wait at most at once",
            },
            {"value": f"{min(own.nodes)} to {max(own.nodes)}", "label": "nodes"},
            {"value": f"${own.nodes_daily:,.2f}", "label": "a day for the nodes"},
        ],
        rows=[{"label": label, "values": values} for label, values in rows(outcomes)],
        other=money(scaling.other_daily),
        agents=[
            _agent(fleet, trace, [outcome.agents[number] for outcome in outcomes], outcomes)
            for number, fleet in enumerate(scaling.fleets)
        ],
        groups="; ".join(
            f"{group.least} to {group.nodes.nodes} x {group.nodes.size}, ${group.hourly:.3f} an hour each"
            for group in scaling.groups
        ),
        nodes=_beside(
            outcomes,
            "nodes",
            trace,
            lambda outcome: [
                _Line("ready", "area", list(zip(outcome.seconds, outcome.nodes, strict=True))),
                _Line(
                    "pods without one",
                    "line second",
                    list(zip(outcome.seconds, outcome.without_node, strict=True)),
                ),
            ],
        ),
        assumptions=[*SENTENCES, *scaling.notes],
    )


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``24 h``."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:g} h"


def money(amount: Range) -> str:
    """USD, ``$34 to $48``."""
    return f"${amount.low:,.0f} to ${amount.high:,.0f}"


def _together(outcome: Outcome) -> list[tuple[int, ...]]:
    return list(zip(*(agent.series.waiting for agent in outcome.agents), strict=True))


def _agent(
    fleet: Fleet, trace: Trace, own: Sequence[AgentOutcome], outcomes: Sequence[Outcome]
) -> dict[str, Any]:
    agents = dict(zip((outcome.name for outcome in outcomes), own, strict=True))

    def over_time(
        values: Callable[[AgentOutcome], Sequence[int]],
    ) -> Callable[[Outcome], list[tuple[float, float]]]:
        return lambda outcome: list(
            zip(agents[outcome.name].series.seconds, values(agents[outcome.name]), strict=True)
        )

    ready, wanted = over_time(lambda a: a.series.ready), over_time(lambda a: a.series.wanted)
    waiting, executing = over_time(lambda a: a.series.waiting), over_time(lambda a: a.series.executing)
    return {
        "name": fleet.agent,
        "settings": _settings(fleet),
        "charts": [
            _beside(
                outcomes,
                "pods",
                trace,
                lambda o: [_Line("ready", "area", ready(o)), _Line("wanted", "line", wanted(o))],
            ),
            _beside(
                outcomes,
                "runs",
                trace,
                lambda o: [_Line("execute", "area", executing(o)), _Line("wait", "line second", waiting(o))],
            ),
            _beside(
                outcomes,
                "seconds from request to end",
                trace,
                lambda o: [
                    _Line(
                        "95 % take at most", "line second", _latency(agents[o.name], trace, 0.95), steps=False
                    ),
                    _Line("half of them", "line", _latency(agents[o.name], trace, 0.5), steps=False),
                ],
            ),
        ],
    }


def _settings(fleet: Fleet) -> str:
    spec = fleet.spec
    targets = [
        f"{target.resource} {target.percent} %"
        if isinstance(target, ResourceTarget)
        else f"{target.per_pod / 1000:g} open runs a pod"
        for target in spec.targets
    ]
    least = fleet.scaled.least if fleet.scaled else spec.least
    return (
        f"{fleet.deployment}: {least} to {spec.most} pods of {fleet.workload.size}, {fleet.places} places each;"
        f" {', '.join(targets)}; {'KEDA and ' if fleet.scaled else ''}HorizontalPodAutoscaler"
    )


def _latency(agent: AgentOutcome, trace: Trace, share: float) -> list[tuple[float, float]]:
    """By when runs ended; nothing where none did."""
    width = trace.seconds / _BUCKETS
    buckets: dict[int, list[float]] = {}
    for run in agent.ended:
        buckets.setdefault(int(run.at / width), []).append(run.latency)
    return [((bucket + 0.5) * width, quantile(found, share)) for bucket, found in sorted(buckets.items())]


def _beside(
    outcomes: Sequence[Outcome], title: str, trace: Trace, lines_of: Callable[[Outcome], Sequence[_Line]]
) -> list[dict[str, Any]]:
    """A chart for each outcome, all on one scale."""
    every = [lines_of(outcome) for outcome in outcomes]
    top = max((value for lines in every for line in lines for _, value in line.points), default=0)
    return [
        _chart(title, outcome.name, lines, trace, top) for outcome, lines in zip(outcomes, every, strict=True)
    ]


def _chart(title: str, who: str, lines: Sequence[_Line], trace: Trace, top: float) -> dict[str, Any]:
    ceiling = _round_up(top)
    below = _HEIGHT - _BELOW

    def x(second: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT) * second / trace.seconds, 1)

    def y(value: float) -> float:
        return round(below - (below - _ABOVE) * value / ceiling, 1)

    def path(line: _Line) -> str:
        points = [(x(second), y(value)) for second, value in _thinned(line.points)]
        if not points:
            return ""
        if line.steps:
            points = [points[0], *(p for a, b in itertools.pairwise(points) for p in ((b[0], a[1]), b))]
        if line.style.startswith("area"):
            points = [(points[0][0], y(0)), *points, (points[-1][0], y(0))]
        return "M" + "L".join(f"{left:g} {high:g}" for left, high in points)

    every = next((step for step in _TICKS if trace.seconds / step <= _TIMES), _TICKS[-1])
    return {
        "title": title,
        "who": who,
        "top": f"{top:g}",
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": _LEFT,
        "above": _ABOVE,
        "below": below,
        "legend": [(line.name, line.style) for line in lines],
        "times": [
            (x(second), f"{second / _HOUR:g} h" if every >= _HOUR else f"{second // _MINUTE} min")
            for second in range(every, math.ceil(trace.seconds), every)
        ],
        "levels": [(y(level), f"{level:g}") for level in (0, ceiling / 2, ceiling)],
        "paths": [(line.style, path(line)) for line in lines],
    }


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """No more points than a chart has room for: the highest of each stretch."""
    if len(points) <= _POINTS:
        return list(points)
    step = -(-len(points) // _POINTS)
    stretches = [points[first : first + step] for first in range(0, len(points), step)]
    return [(stretch[0][0], max(value for _, value in stretch)) for stretch in stretches]


def _round_up(top: float) -> float:
    """The next number that is easily read."""
    size = 1.0
    while True:
        for factor in (1, 2, 4, 6, 10):
            if top <= factor * size:
                return factor * size
        size *= 10
