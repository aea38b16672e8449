"""How long a deployment takes, the first one or one change: the longest path through what waits for what."""

import functools
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from graphlib import TopologicalSorter
from importlib.resources import files
from typing import Any

import yaml

from preview.change import entrance
from preview.change.diff import Change, PlanDiff, Status
from preview.change.effects import effects
from preview.recording.plan import Plan, PlannedResource
from sandbox.emulated.changes import Does
from sandbox.engine.steps import Timed, What

# Savings below this are noise beside the spread of the figures themselves, seconds.
_WORTH_MENTIONING = 10.0


@dataclass(frozen=True)
class Step:
    """When a resource is made, in seconds from the start."""

    urn: str
    name: str
    type: str
    start: float
    seconds: float
    critical: bool
    """Whether everything takes longer when this does."""

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclass(frozen=True)
class Cut:
    """What a step of the critical chain costs, and what would shorten it."""

    step: Step
    saves: float
    """Seconds that the whole would be shorter if this took no time: less than the step where another chain is
    nearly as long."""
    how: str
    """What shortens it; "" where nothing is known."""


@dataclass(frozen=True)
class Timing:
    """An estimate of a first deployment. An update takes the part of it that changes."""

    total: float
    """Seconds."""
    chain: tuple[Step, ...]
    """The critical chain, from its first step to its last, without what takes no time."""
    cuts: tuple[Cut, ...]
    """What to cut, the largest saving first."""
    schedule: tuple[Step, ...]
    """Every resource that takes time, by its start; Pulumi starts each as soon as what it waits for is there."""
    as_of: date
    """When the figures were written down."""


@dataclass(frozen=True)
class UpdateStep(Timed):
    """When the update comes to a resource that changes."""

    critical: bool
    """Whether the whole takes longer when this does."""
    noticed: tuple[str, ...]
    """How callers can notice it."""
    after: tuple[int, ...]
    """The steps that it waits for, by their place in the order."""


@dataclass(frozen=True)
class UpdateTiming:
    """What one update does, in its order."""

    total: float
    """Seconds."""
    steps: tuple[UpdateStep, ...]
    """Every resource that changes, by its start."""
    later: tuple[str, ...]
    """What happens after it, in a maintenance window."""
    as_of: date
    """When the figures were written down."""


@dataclass(frozen=True)
class _Graph:
    """What takes how long, and waits for what; by URN, in an order in which nothing comes before what it waits for."""

    seconds: Mapping[str, float]
    waits_for: Mapping[str, frozenset[str]]

    def ends(self, without: str = "") -> dict[str, float]:
        """When each is done; ``without`` takes no time."""
        ends: dict[str, float] = {}
        for urn, seconds in self.seconds.items():
            started = max((ends[other] for other in self.waits_for[urn]), default=0.0)
            ends[urn] = started + (0.0 if urn == without else seconds)
        return ends


def estimate(plan: Plan) -> Timing:
    """Estimate a first deployment of a plan, as if each resource took its typical time."""
    table = _table()
    graph = _graph(plan, table)
    ends = graph.ends()
    total = max(ends.values(), default=0.0)
    critical = _critical(graph, ends)
    steps = {
        urn: _step(plan.resources[urn], end, graph.seconds[urn], urn in critical) for urn, end in ends.items()
    }
    chain = tuple(steps[urn] for urn in critical if graph.seconds[urn])
    return Timing(
        total=total,
        chain=chain,
        cuts=_cuts(graph, chain, total, table),
        schedule=tuple(sorted((s for s in steps.values() if s.seconds), key=lambda s: (s.start, s.urn))),
        as_of=table["asOf"],
    )


def estimate_update(diff: PlanDiff, failures: Iterable[str] = ()) -> UpdateTiming:
    """Estimate the update from one plan to the other.

    Pulumi makes and changes what it can side by side, each when what it waits for is done, and deletes at the end: what
    goes, and what was replaced by something beside it. That goes in rounds, each when the one before is done, and what
    depends on the most others is in the first (`ScheduleDeletes` of pulumi/pkg/resource/deploy/step_generator.go).

    Args:
        failures: how requests can fail, by sentences that begin with the name of a resource.
    """
    table = _table()
    changed = {change.after.urn: change for change in diff.changes if change.after is not None}
    seconds = {
        urn: _update_seconds(changed[urn], diff.after, table) if urn in changed else 0.0
        for urn in diff.after.resources
    }
    waits_for = {
        urn: frozenset(_awaited(diff.after, resource)) for urn, resource in diff.after.resources.items()
    }
    # Names of steps of their own: the new one of a replaced resource has the same URN.
    leaving = {f"{_DELETED}{old.urn}": old for old in _leaving(diff)}
    seconds |= {key: _seconds_of(old, "delete", table) for key, old in leaving.items()}
    done: Iterable[str] = diff.after.resources
    for number, round_ in enumerate(_rounds(diff)):
        # One that all of a round wait for, instead of each of them for all before it.
        begins = f"{_DELETED}{number}"
        seconds[begins], waits_for[begins] = 0.0, frozenset(done)
        waits_for |= dict.fromkeys(round_, frozenset((begins,)))
        done = (begins, *round_)
    order = list(TopologicalSorter(waits_for).static_order())
    graph = _Graph({key: seconds[key] for key in order}, waits_for)
    ends = graph.ends()
    critical = _critical(graph, ends)
    said: dict[str, list[str]] = {}
    for sentence in failures:
        said.setdefault(sentence.partition(" ")[0], []).append(sentence)
    # What callers notice of these, they notice later.
    waiting = {
        change.resource.urn
        for change in diff.changes
        if any(effect.in_window for effect in effects(change, diff.after))
    }

    gone = {change.resource.urn for change in diff.of(Status.DELETED)}
    whats = {urn: What(change.status) for urn, change in changed.items()}
    whats |= {key: What.DELETED if old.urn in gone else What.CLEARED for key, old in leaving.items()}
    resources = {**{urn: diff.after.resources[urn] for urn in changed}, **leaving}

    def place(key: str) -> tuple[float, float, str, str]:
        return ends[key] - seconds[key], -seconds[key], resources[key].urn, whats[key]

    ordered = sorted(whats, key=place)
    places = {key: number for number, key in enumerate(ordered)}
    awaited = _awaited_steps(graph, places)

    def step(key: str) -> UpdateStep:
        resource = resources[key]
        return UpdateStep(
            urn=resource.urn,
            name=resource.name,
            type=resource.type,
            what=whats[key],
            start=ends[key] - seconds[key],
            seconds=seconds[key],
            critical=key in critical,
            noticed=() if resource.urn in waiting else tuple(said.get(resource.name, ())),
            after=tuple(sorted(places[other] for other in awaited[key])),
        )

    return UpdateTiming(
        total=max(ends.values(), default=0.0),
        steps=tuple(map(step, ordered)),
        later=tuple(_later(diff)),
        as_of=table["asOf"],
    )


_DELETED = "deleted "


def _rounds(diff: PlanDiff) -> list[list[str]]:
    """What is deleted at the end, in the order in which Pulumi does it: the last round depends on nothing that goes."""
    kept = set(diff.former.values())
    # Components too: they take no time, and what is theirs goes before them.
    components = {r.urn: r for r in diff.before.resources.values() if not r.custom and r.urn not in kept}
    condemned = {**components, **{old.urn: old for old in _leaving(diff)}}
    below = {
        urn: {other for other in (*_awaited(diff.before, old), old.parent) if other in condemned}
        for urn, old in condemned.items()
    }
    height: dict[str, int] = {}
    for urn in TopologicalSorter(below).static_order():
        height[urn] = max((height[other] + 1 for other in below[urn]), default=0)
    rounds: dict[int, list[str]] = {}
    for urn, level in height.items():
        if urn not in components:
            rounds.setdefault(-level, []).append(f"{_DELETED}{urn}")
    return [rounds[level] for level in sorted(rounds)]


def _awaited_steps(graph: _Graph, steps: Container[str]) -> Mapping[str, frozenset[str]]:
    """Of everything, the steps that it waits for, through what takes part in no step; of deletions none."""
    found: dict[str, frozenset[str]] = {}
    for key in graph.seconds:
        others = () if key.startswith(_DELETED) else graph.waits_for[key]
        found[key] = frozenset[str]().union(
            *(frozenset((other,)) if other in steps else found[other] for other in others)
        )
    return found


def _leaving(diff: PlanDiff) -> Iterator[PlannedResource]:
    """What is deleted at the end of the update."""
    for change in diff.changes:
        if change.before is not None and (change.status is Status.DELETED or change.beside):
            yield change.before


def _update_seconds(change: Change, after: Plan, table: Mapping[str, Any]) -> float:
    """How long the update is at a resource that is there after it."""
    resource = change.resource
    if change.status is Status.MOVED or not resource.custom:
        return 0.0
    if change.status is Status.CREATED or change.beside:
        return _seconds(resource, table)
    if change.status is Status.REPLACED:
        return _seconds_of(resource, "delete", table) + _seconds(resource, table)
    found = [effect for effect in effects(change, after) if effect.row and not effect.in_window]
    noticed = max((effect.row.minutes * 60.0 for effect in found if effect.row), default=0.0)
    moves = any(effect.row and effect.row.does is Does.MOVES_PODS for effect in found)
    seconds = max(
        _seconds_of(resource, "update", table), noticed, float(table["movesPods"]) if moves else 0.0
    )
    rolling = entrance.roll(change, tuple(found), after)
    if rolling and rolling.gated:
        seconds += rolling.pods * float(table["joins"][rolling.load_balancer])
    return seconds


def _seconds_of(resource: PlannedResource, operation: str, table: Mapping[str, Any]) -> float:
    """Of an update or a deletion: the type's figure, else its package's, which is that of a creation."""
    entry = table["types"].get(resource.type) or {}
    return float(entry.get(operation, table["packages"].get(resource.package, table["default"])))


def _later(diff: PlanDiff) -> Iterator[str]:
    for change in diff.changes:
        for effect in effects(change, diff.after):
            if effect.in_window:
                window = change.resource.inputs.get("maintenanceWindow") or "of AWS's choice"
                yield f"{effect.name}: {effect} ({window})"


def _graph(plan: Plan, table: Mapping[str, Any]) -> _Graph:
    waits_for = {urn: frozenset(_awaited(plan, resource)) for urn, resource in plan.resources.items()}
    order = list(TopologicalSorter(waits_for).static_order())
    return _Graph({urn: _seconds(plan.resources[urn], table) for urn in order}, waits_for)


def _awaited(plan: Plan, resource: PlannedResource) -> Iterable[str]:
    """What Pulumi has to have made before it makes ``resource``: its dependencies, its provider, and its parent where
    that is made by a provider; a component is there at once."""
    provider = resource.provider.rpartition("::")[0]
    for urn in (*resource.dependencies, provider, resource.parent):
        if urn in plan.resources and (urn != resource.parent or plan.resources[urn].custom):
            yield urn


def _seconds(resource: PlannedResource, table: Mapping[str, Any]) -> float:
    if not resource.custom:
        return 0.0
    entry = table["types"].get(resource.type)
    if entry is None:
        return float(table["packages"].get(resource.package, table["default"]))
    for variant in entry.get("when", ()):
        if _matches(variant["inputs"], resource.inputs):
            return float(variant["seconds"])
    return float(entry["seconds"])


def _matches(wanted: Mapping[str, Any], inputs: Any) -> bool:
    return isinstance(inputs, Mapping) and all(
        _matches(value, inputs.get(key)) if isinstance(value, Mapping) else inputs.get(key) == value
        for key, value in wanted.items()
    )


def _critical(graph: _Graph, ends: Mapping[str, float]) -> dict[str, None]:
    """The chain that ends last, in the order in which it is made. Of equal ones it is that of the first URN."""
    chain: list[str] = []
    candidates: Iterable[str] = ends
    while candidates:
        last = min(candidates, key=lambda urn: (-ends[urn], urn))
        chain.append(last)
        candidates = graph.waits_for[last]
    return dict.fromkeys(reversed(chain))


def _cuts(graph: _Graph, chain: Iterable[Step], total: float, table: Mapping[str, Any]) -> tuple[Cut, ...]:
    cuts = []
    for step in chain:
        if step.seconds < _WORTH_MENTIONING:
            continue
        saves = total - max(graph.ends(without=step.urn).values())
        if saves >= _WORTH_MENTIONING:
            how = (table["types"].get(step.type) or {}).get("cut", "")
            cuts.append(Cut(step, saves, how))
    return tuple(sorted(cuts, key=lambda cut: (-cut.saves, cut.step.urn)))


def _step(resource: PlannedResource, end: float, seconds: float, critical: bool) -> Step:
    return Step(
        urn=resource.urn,
        name=resource.name,
        type=resource.type,
        start=end - seconds,
        seconds=seconds,
        critical=critical,
    )


@functools.cache
def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = yaml.safe_load((files(__package__) / "durations.yaml").read_text())
    return table
