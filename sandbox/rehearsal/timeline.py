"""The preview's time line of a change, and beside it what was seen of each step."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.engine.steps import Measured, What, minutes, title, when

_ROOT = Path(__file__).resolve().parents[2]
# Findings and what would be refused are reported by the preview itself.
_PREVIEWED = (0, 1)
# What the API server does, and the builds of images; answers of the others are emulated and say nothing of time.
_REAL = ("kubernetes:", "docker-build:")
_EMULATED = frozenset({"kubernetes:helm.sh/v3:Release"})
_LAST = (What.DELETED, What.CLEARED)
# Events of the engine arrive late by so much.
_ALIKE_SECONDS = 0.5


@dataclass(frozen=True)
class Told:
    """When a step is, and what callers notice of it."""

    start: float
    """Seconds from the first step."""
    seconds: float
    noticed: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A step of the change, by the preview and as it was seen."""

    urn: str
    name: str
    type: str
    what: What
    expected: Told | None
    """None where the preview does not have it."""
    seen: Told | None
    """None where it was not done."""
    emulated: bool
    """Whether how long it takes here says nothing of how long it takes on AWS."""

    @property
    def title(self) -> str:
        """As the preview's time line has it."""
        return title(self.name, self.what)


@dataclass(frozen=True)
class Timeline:
    """The steps of a change, in the order in which they were seen."""

    steps: tuple[Step, ...] = ()
    besides: int = 0
    """How many requests failed, or runs were lost, while none of these steps was under way."""
    otherwise: tuple[str, ...] = ()
    """Where what was seen is not what the preview says."""

    @property
    def real(self) -> list[Step]:
        """The steps whose time means something, where they were done."""
        return [step for step in self.steps if step.seen and not step.emulated]

    @property
    def emulated(self) -> list[Step]:
        """The others that were done."""
        return [step for step in self.steps if step.seen and step.emulated]

    @property
    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """For a table: when, how long, how long by the preview, what, and what callers noticed."""
        return [
            (
                when(step.seen.start),
                minutes(step.seen.seconds),
                minutes(step.expected.seconds) if step.expected else "",
                step.title,
                "; ".join(step.seen.noticed),
            )
            for step in self.real
            if step.seen
        ]


def foreseen(base: str, stack: str, project: Path) -> "list[Mapping[str, Any]] | str":
    """The steps that the preview's time line has, or why there is no preview.

    Args:
        base: the commit that is changed from.
        stack: the stack.
        project: the folder of the Pulumi project, as it is now.
    """
    with tempfile.TemporaryDirectory(prefix="rehearsal-preview-") as out:
        command = [sys.executable, "-m", "preview", "--json", "--stack", stack, "--project", str(project)]
        command += ["--base", base, "--out", out]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    try:
        told = json.loads(done.stdout)
    except ValueError:
        return done.stderr.strip() or f"it ended with {done.returncode}"
    if done.returncode not in _PREVIEWED:
        return str(told.get("error"))
    steps: list[Mapping[str, Any]] = told["comparison"]["timing"]["steps"]
    return steps


def timeline(
    expected: Sequence[Mapping[str, Any]],
    measured: Sequence[Measured],
    harmed: Sequence[float] = (),
) -> Timeline:
    """Put what was seen beside what was expected.

    Args:
        expected: `foreseen`.
        measured: what the engine did.
        harmed: when requests failed or runs were lost, in seconds from the first step.
    """
    keys = [(str(step["urn"]), What(step["what"])) for step in expected]
    # What only gets another URN is no step of the engine's.
    foretold = {key: told for key, told in zip(keys, expected, strict=True) if key[1] is not What.MOVED}
    done = {(step.urn, step.what): step for step in measured}
    steps = [_step(what, foretold.get((urn, what)), seen, harmed) for (urn, what), seen in done.items()]
    steps += [
        _step(what, told, None, ()) for (urn, what), told in foretold.items() if (urn, what) not in done
    ]
    real = [done[step.urn, step.what] for step in steps if step.seen and not step.emulated]
    besides = sum(not any(_is_under_way(step, at) for step in real) for at in harmed)
    pairs = [(keys[number], key) for key, told in foretold.items() for number in told["after"]]
    return Timeline(tuple(steps), besides, (*_otherwise(steps), *_early(pairs, done)))


def _step(what: What, told: Mapping[str, Any] | None, seen: Measured | None, harmed: Sequence[float]) -> Step:
    urn, name, type_ = (
        (seen.urn, seen.name, seen.type)
        if seen
        else (str((told or {})[key]) for key in ("urn", "name", "type"))
    )
    emulated = not type_.startswith(_REAL) or type_ in _EMULATED
    met = sum(_is_under_way(seen, at) for at in harmed) if seen and not emulated else 0
    noticed = (f"{met} request{'s' if met > 1 else ''} or run{'s' if met > 1 else ''} failed",) if met else ()
    return Step(
        urn=urn,
        name=name,
        type=type_,
        what=what,
        expected=Told(told["start"], told["seconds"], tuple(told["noticed"])) if told else None,
        seen=Told(round(seen.start, 1), round(seen.seconds, 1), noticed) if seen else None,
        emulated=emulated,
    )


def _is_under_way(step: Measured, at: float) -> bool:
    return step.start <= at <= step.start + step.seconds


def _otherwise(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        if not step.expected:
            yield f"{step.title}: the preview does not say so"
        elif not step.seen:
            yield f"{step.title}, says the preview: it was not"
        elif step.seen.noticed and not step.expected.noticed:
            yield f"{step.title}: callers noticed, and the preview says that they cannot"


def _early(
    pairs: Sequence[tuple[tuple[str, What], tuple[str, What]]], done: Mapping[tuple[str, What], Measured]
) -> Iterator[str]:
    """Steps that did not wait for what they wait for by the preview, and deletions that were not last."""
    for awaited, key in pairs:
        first, then = done.get(awaited), done.get(key)
        if first and then and _is_before(then, first):
            yield f"{title(then.name, then.what)} before {title(first.name, first.what)}, and the preview says after"
    last = max((step for step in done.values() if step.what not in _LAST), key=_end, default=None)
    for step in done.values():
        if last and step.what in _LAST and _is_before(step, last):
            yield f"{title(step.name, step.what)} before {title(last.name, last.what)}, and the preview says after"


def _is_before(step: Measured, other: Measured) -> bool:
    """Whether it began clearly before the other one was done."""
    return step.start + _ALIKE_SECONDS < _end(other)


def _end(step: Measured) -> float:
    return step.start + step.seconds
