"""Reads the engine's events while it works: its progress, and its errors."""

import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pulumi.automation.events import EngineEvent, OpType, StepEventMetadata

from sandbox.common.console import Step
from sandbox.engine.steps import Measured, What

# The engine's own marks for colours.
_COLOUR = re.compile(r"<\{%.*?%\}>")

# Parts of a replacement, which is counted as one.
_PARTS = {OpType.CREATE_REPLACEMENT, OpType.DELETE_REPLACED}

_WHAT: Mapping[OpType, What] = {
    OpType.CREATE: What.CREATED,
    OpType.UPDATE: What.UPDATED,
    OpType.CREATE_REPLACEMENT: What.REPLACED,
    OpType.DELETE: What.DELETED,
    OpType.DISCARD: What.DELETED,
    OpType.DELETE_REPLACED: What.CLEARED,
    OpType.DISCARD_REPLACED: What.CLEARED,
}
"""The engine's operations on a resource, in the preview's words; the others are no steps of their own."""


@dataclass
class Watch:
    """Follows one operation of the engine."""

    step: Step
    total: int | None = None
    """How many resources are expected."""
    errors: list[str] = field(default_factory=list)
    """In order, each once, with the name of the resource that it is about."""
    changes: Counter[str] = field(default_factory=Counter)
    """Finished resources by operation, such as create or update; `same` for those left alone."""
    touched: list[str] = field(default_factory=list)
    """What changed, a line each: operation, type and name."""
    _begun: dict[tuple[str, What], float] = field(default_factory=dict)
    _ended: dict[tuple[str, What], Measured] = field(default_factory=dict)
    """By URN; they start by Unix time."""

    @property
    def changed(self) -> dict[str, int]:
        """Those of `changes` that are changes."""
        return {op: count for op, count in self.changes.items() if op != "same"}

    @property
    def began(self) -> float:
        """When the first step was begun, Unix time; 0 where there was none."""
        return min((step.start for step in self._ended.values()), default=0.0)

    @property
    def steps(self) -> list[Measured]:
        """What was done to resources that providers make, by its beginning.

        As the preview has it: what is deleted before its successor is made is replaced in one step.
        """
        steps = dict(self._ended)
        for (urn, what), made in self._ended.items():
            old = self._ended.get((urn, What.CLEARED))
            if what is What.REPLACED and old and old.start < made.start:
                del steps[urn, What.CLEARED]
                seconds = made.start + made.seconds - old.start
                steps[urn, what] = replace(made, start=old.start, seconds=seconds)
        whole = [replace(step, start=step.start - self.began) for step in steps.values()]
        return sorted(whole, key=lambda step: (step.start, step.urn))

    def __call__(self, event: EngineEvent) -> None:
        if event.resource_pre_event:
            self.step.update(detail=_label(event.resource_pre_event.metadata))
            self._begin(event.resource_pre_event.metadata)
        if event.res_outputs_event:
            self._end(event.res_outputs_event.metadata)
            self._done(event.res_outputs_event.metadata)
        if event.diagnostic_event and event.diagnostic_event.severity == "error":
            self._error(event.diagnostic_event.message, event.diagnostic_event.urn)

    def _begin(self, metadata: StepEventMetadata) -> None:
        if metadata.op in _WHAT:
            self._begun[metadata.urn, _WHAT[metadata.op]] = time.time()

    def _end(self, metadata: StepEventMetadata) -> None:
        state = metadata.new or metadata.old
        name = _name(metadata.urn)
        # A provider that the program does not name is the engine's own.
        own = metadata.type.startswith("pulumi:providers:") and name.startswith("default")
        if metadata.op not in _WHAT or not state or not state.custom or own:
            return
        key = metadata.urn, _WHAT[metadata.op]
        ended = time.time()
        began = self._begun.get(key, ended)
        self._ended[key] = Measured(metadata.urn, name, metadata.type, key[1], began, ended - began)

    def _done(self, metadata: StepEventMetadata) -> None:
        if metadata.op in _PARTS:
            return
        self.changes[metadata.op.value] += 1
        if metadata.op is not OpType.SAME:
            self.touched.append(f"{metadata.op.value} {_label(metadata)}")
        self.step.update(done=self.changes.total(), total=self.total, detail=_label(metadata))

    def _error(self, message: str, urn: str | None) -> None:
        text = _COLOUR.sub("", message).strip()
        # The engine closes with a summary that repeats nothing of use.
        if not text or text in {"update failed", "preview failed"}:
            return
        label = f"{_name(urn)}: " if urn and "pulumi:pulumi:Stack" not in urn else ""
        if all(text not in known for known in self.errors):
            self.errors.append(label + text)


def _label(metadata: StepEventMetadata) -> str:
    return f"{metadata.type} {_name(metadata.urn)}"


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]
