"""What Pulumi's own engine says of a change, by ``pulumi preview --json``, beside what this preview says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from preview.change.diff import Change, PlanDiff, Status
from sandbox.common.errors import InputError

_STATUS: Mapping[str, Status | None] = {
    "create": Status.CREATED,
    "import": Status.CREATED,
    "update": Status.UPDATED,
    "delete": Status.DELETED,
    "replace": Status.REPLACED,
    "create-replacement": Status.REPLACED,
    "delete-replaced": Status.REPLACED,
    "import-replacement": Status.REPLACED,
    "read-replacement": Status.REPLACED,
    "same": None,
    "read": None,
    "refresh": None,
    "discard": None,
    "discard-replaced": None,
    "remove-pending-replace": None,
}
"""The engine's operations (pulumi/sdk/go/common/display/events.go), and what they are called here."""
# Default tags reach every AWS resource by these; the report says so once, of the provider.
_TAGS = frozenset({"tags", "tagsAll"})
_AWS_PROVIDER = "pulumi:providers:aws"
_STACK = "pulumi:pulumi:Stack"


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class _State(_Model):
    type: str
    custom: bool = False


class _Step(_Model):
    """A step of ``pulumi preview --json``: ``PreviewStep`` of pulumi/sdk/go/common/display/preview.go."""

    op: str
    urn: str
    old_state: _State | None = None
    new_state: _State | None = None
    diff_reasons: tuple[str, ...] | None = None
    replace_reasons: tuple[str, ...] | None = None
    detailed_diff: Mapping[str, Any] | None = None

    @property
    def counts(self) -> bool:
        """Whether it is of a resource that a provider makes, and that is not the engine's own."""
        type_, _, name = self.urn.rpartition("::")
        state = self.new_state or self.old_state
        default = ":pulumi:providers:" in type_ and name.startswith("default")
        return bool(state and state.custom) and _STACK not in type_ and not default

    @property
    def properties(self) -> frozenset[str]:
        """The properties that differ, at the top."""
        return frozenset(map(_top, (*(self.detailed_diff or ()), *(self.diff_reasons or ()))))


class _Diagnostic(_Model):
    message: str = ""
    severity: str = ""


class _Preview(_Model):
    steps: tuple[_Step, ...]
    diagnostics: tuple[_Diagnostic, ...] = Field(default=())


@dataclass(frozen=True)
class Said:
    """What one of the two says of a resource."""

    status: Status | None
    """None where nothing happens to it."""
    properties: tuple[str, ...] = ()
    """Those that change, at the top; why, of a resource that is replaced."""

    def __str__(self) -> str:
        what = self.status.value if self.status else "unchanged"
        return f"{what} ({', '.join(self.properties)})" if self.properties else what


@dataclass(frozen=True)
class Disagreement:
    """A resource of which the two say different things."""

    urn: str
    name: str
    type: str
    preview: Said
    pulumi: Said

    def __str__(self) -> str:
        return f"{self.name}: Pulumi says {self.pulumi}, this report {self.preview}"


@dataclass(frozen=True)
class EngineComparison:
    """What Pulumi's own preview says, compared."""

    file: str
    resources: int
    """How many resources change by Pulumi's preview."""
    disagreements: tuple[Disagreement, ...]

    def __str__(self) -> str:
        if not self.disagreements:
            return f"says the same of all resources that change by it ({self.resources})"
        return f"says otherwise of {len(self.disagreements)} resource{'s' if len(self.disagreements) > 1 else ''}"


@dataclass(frozen=True)
class EnginePreview:
    """A file of ``pulumi preview --json``."""

    file: str
    steps: Mapping[str, tuple[_Step, ...]]
    """By URN; a replacement has three."""

    def compared(self, diff: PlanDiff) -> EngineComparison:
        """Where it differs from this preview's comparison of the same change."""
        ours = {change.resource.urn: change for change in diff.changes if change.status is not Status.MOVED}
        tagged = any(
            change.resource.type == _AWS_PROVIDER
            and any(d.path.startswith("defaultTags") for d in change.differences)
            for change in ours.values()
        )
        found = []
        changed = 0
        for urn in dict.fromkeys((*self.steps, *ours)):
            theirs = _engine_says(self.steps.get(urn, ()))
            changed += theirs.status is not None
            mine = _preview_says(ours.get(urn))
            if not _agree(mine, theirs, tagged=tagged):
                found.append(Disagreement(urn, urn.rpartition("::")[2], _type(urn), mine, theirs))
        return EngineComparison(self.file, changed, tuple(sorted(found, key=lambda each: each.urn)))


def read(path: Path, project: str, stack: str) -> EnginePreview:
    """The preview of a stack by Pulumi itself.

    Raises:
        InputError: it cannot be read, is no such preview, failed, or is of another stack.
    """
    name = f"--pulumi-preview {path}"
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"{name} cannot be read: {reason}") from None
    try:
        preview = _Preview.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise InputError(
            f"{name} is not what `pulumi preview --json` prints: {where + ': ' if where else ''}{problem['msg']}."
            f" Write it with: pulumi preview --json --stack {stack} > {path.name}"
        ) from None
    failed = [" ".join(d.message.split()) for d in preview.diagnostics if d.severity == "error" and d.message]
    if failed:
        raise InputError(f"{name} is of a preview that failed: {failed[0]}")
    steps: dict[str, tuple[_Step, ...]] = {}
    begins = f"urn:pulumi:{stack}::{project}::"
    for number, step in enumerate(preview.steps):
        if step.op not in _STATUS:
            raise InputError(f"{name}: steps.{number}.op: {step.op!r} is no operation that is known here")
        if not step.urn.startswith(begins):
            raise InputError(
                f"{name}: steps.{number}.urn: {step.urn} is not of the stack {stack} of the project {project}"
            )
        if step.counts:
            steps[step.urn] = (*steps.get(step.urn, ()), step)
    return EnginePreview(str(path), steps)


def _engine_says(steps: tuple[_Step, ...]) -> Said:
    statuses = {_STATUS[step.op] for step in steps} - {None}
    if not statuses:
        return Said(None)
    status = Status.REPLACED if len(statuses) > 1 else statuses.pop()
    if status is Status.REPLACED:
        reasons = {_top(reason) for step in steps for reason in step.replace_reasons or ()}
        return Said(status, tuple(sorted(reasons)))
    if status is Status.UPDATED:
        return Said(status, tuple(sorted({path for step in steps for path in step.properties})))
    return Said(status)


def _preview_says(change: Change | None) -> Said:
    if change is None:
        return Said(None)
    if change.status is Status.REPLACED:
        return Said(
            change.status, tuple(sorted({_top(reason) for reason in change.reasons if " " not in reason}))
        )
    if change.status is Status.UPDATED:
        return Said(change.status, tuple(sorted({_top(d.path) for d in change.differences})))
    return Said(change.status)


def _agree(mine: Said, theirs: Said, *, tagged: bool) -> bool:
    """Properties are compared only where both name some: a provider need not say which differ."""
    if tagged and mine.status is None and theirs.status is Status.UPDATED:
        return set(theirs.properties) <= _TAGS
    if mine.status is not theirs.status:
        return False
    mentioned, engines = set(mine.properties) - _TAGS, set(theirs.properties) - _TAGS
    return not mentioned or not engines or mentioned == engines


def _top(path: str) -> str:
    """``spec`` of ``spec.template`` and of ``spec[0]``."""
    return path.split(".")[0].split("[")[0]


def _type(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]
