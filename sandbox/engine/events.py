"""Reads the engine's events while it works: its progress, and its errors."""

import re
from collections import Counter
from dataclasses import dataclass, field

from pulumi.automation.events import EngineEvent, OpType, StepEventMetadata

from sandbox.common.console import Step

# The engine's own marks for colours.
_COLOUR = re.compile(r"<\{%.*?%\}>")

# Parts of a replacement, which is counted as one.
_PARTS = {OpType.CREATE_REPLACEMENT, OpType.DELETE_REPLACED}


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

    @property
    def changed(self) -> dict[str, int]:
        """Those of `changes` that are changes."""
        return {op: count for op, count in self.changes.items() if op != "same"}

    def __call__(self, event: EngineEvent) -> None:
        if event.resource_pre_event:
            self.step.update(detail=_label(event.resource_pre_event.metadata))
        if event.res_outputs_event:
            self._done(event.res_outputs_event.metadata)
        if event.diagnostic_event and event.diagnostic_event.severity == "error":
            self._error(event.diagnostic_event.message, event.diagnostic_event.urn)

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
