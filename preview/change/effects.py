"""What each changed property does, by the table of the emulated providers; what the table lacks is not known."""

from collections.abc import Iterator
from dataclasses import dataclass

from preview.change.data import deleted_sooner
from preview.change.diff import Change, Status
from preview.recording.plan import Plan
from sandbox.emulated import changes
from sandbox.emulated.changes import Does, Row

_ORDER = list(Does)


@dataclass(frozen=True)
class Effect:
    """What changes of one resource do that have the same row of the table."""

    name: str
    """The resource's."""
    properties: tuple[str, ...]
    """The paths that change."""
    row: Row | None
    """None where it is not known what they do."""
    in_window: bool = False
    """Whether it waits for the maintenance window."""

    def __str__(self) -> str:
        """``failover, 2 minutes, in the maintenance window``."""
        if self.row is None:
            return "not known"
        parts = [self.row.does.value]
        if self.row.minutes:
            parts.append(f"{self.row.minutes} minute{'s' if self.row.minutes > 1 else ''}")
        if self.in_window:
            parts.append("in the maintenance window")
        return ", ".join(parts)

    @property
    def told(self) -> str:
        """What a report says of it; "" of what nobody notices."""
        if self.row is None or (self.row.does in (Does.IN_PLACE, Does.REPLACED) and not self.row.says):
            return ""
        says = f": {self.row.says}" if self.row.says else ""
        return f"{_tops(self.properties)}: {self}{says}"


def effects(change: Change, after: Plan) -> tuple[Effect, ...]:
    """What the changed properties of a resource that stays do."""
    old, new = change.before, change.after
    if old is None or new is None or change.status is Status.MOVED:
        return ()
    provider = after.resources.get(new.provider.rpartition("::")[0])
    context = provider.inputs if provider else {}
    found: dict[Row | None, list[str]] = {}
    for difference in change.differences:
        row = changes.row(new.type, difference.path, old.inputs, new.inputs, context)
        found.setdefault(row, []).append(difference.path)
    at_once = bool(new.inputs.get("applyImmediately"))
    return tuple(
        Effect(new.name, tuple(paths), row, bool(row and row.in_window and not at_once))
        for row, paths in found.items()
    )


def worst(found: tuple[Effect, ...]) -> Effect | None:
    """The effect that takes the most away; one that is not known before all that is not refused."""

    def weight(effect: Effect) -> float:
        return _ORDER.index(effect.row.does) if effect.row else _ORDER.index(Does.REFUSED) - 0.5

    return max(found, key=weight, default=None)


def is_refused(found: tuple[Effect, ...]) -> bool:
    """Whether AWS will not do it: then nothing else happens to the resource either."""
    return any(effect.row and effect.row.does is Does.REFUSED for effect in found)


@dataclass(frozen=True)
class Refusal:
    """A change that is not done, however often it is tried."""

    what: str
    why: str
    instead: str
    source: str
    """The page that says so."""


def refusals(change: Change, found: tuple[Effect, ...]) -> Iterator[Refusal]:
    """What AWS or Pulumi's protection will refuse of a change."""
    for effect in found:
        if effect.row and effect.row.does is Does.REFUSED:
            what = f"{effect.name}: {_tops(effect.properties)}"
            yield Refusal(what, effect.row.says, effect.row.instead, effect.row.source)
    protected = change.before is not None and change.before.protect
    if protected and change.status in (Status.DELETED, Status.REPLACED):
        verb = "deleted" if change.status is Status.DELETED else "replaced"
        yield Refusal(
            f"{change.resource.name}: {verb}",
            "it is protected, and `pulumi up` stops",
            "keep it, or give up what it holds on purpose: `pulumi state unprotect` with its URN",
            "https://www.pulumi.com/docs/iac/concepts/options/protect/",
        )


def one_way_doors(change: Change, found: tuple[Effect, ...]) -> Iterator[str]:
    """What of a change cannot be undone."""
    if is_refused(found):
        return
    for effect in found:
        if effect.row and effect.row.one_way:
            yield f"{effect.name}, {_tops(effect.properties)}: {effect.row.one_way}"
    yield from deleted_sooner(change)
    if change.irrecoverable:
        verb = "deleted" if change.status is Status.DELETED else "replaced"
        yield f"{change.resource.name} is {verb}: {change.loses}"


def unknown(found: tuple[Effect, ...]) -> Iterator[str]:
    """Properties of which nothing says what their change does."""
    for effect in found:
        if effect.row is None:
            yield from (f"{effect.name}: {path}" for path in effect.properties)


def _tops(paths: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(path.split("[")[0] for path in paths))
