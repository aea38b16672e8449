"""What would change from one plan to another."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from preview.change.stateful import LOST, RESTORABLE, is_guarded, is_stateful, lost
from preview.recording.plan import Plan, PlannedResource
from preview.recording.replacement import replacing
from preview.recording.values import Difference, differing, is_at_or_below
from sandbox.engine.steps import What


class Status(StrEnum):
    """What happens to a resource, in the order of how much it takes away."""

    DELETED = What.DELETED.value
    REPLACED = What.REPLACED.value
    UPDATED = What.UPDATED.value
    MOVED = What.MOVED.value
    CREATED = What.CREATED.value


SIGNS: Mapping[Status, str] = {
    Status.CREATED: "+",
    Status.UPDATED: "~",
    Status.REPLACED: "±",
    Status.DELETED: "-",
    Status.MOVED: "→",
}

# Inputs that fix a physical name: AWS will not have two of a name at once.
_NAMES = ("name", "identifier", "replicationGroupId", "userId", "userGroupId", "nodeGroupName")


@dataclass(frozen=True)
class Change:
    """What happens to one resource."""

    status: Status
    before: PlannedResource | None
    after: PlannedResource | None
    differences: tuple[Difference, ...] = ()
    """The properties that change."""
    reasons: tuple[str, ...] = ()
    """Why it is replaced rather than updated."""
    notes: tuple[str, ...] = ()
    """What a reviewer should know besides."""

    @property
    def resource(self) -> PlannedResource:
        """As it will be, or as it was where it goes."""
        resource = self.after or self.before
        if resource is None:
            raise ValueError("a change is of something")
        return resource

    @property
    def beside(self) -> bool:
        """Whether what replaces it is there before it goes."""
        if self.status is not Status.REPLACED or self.before is None or self.after is None:
            return False
        return not _deleted_first(self.before, self.after)

    @property
    def guarded(self) -> bool:
        """Whether it concerns a resource that is there already, and holds state or is protected."""
        return self.before is not None and is_guarded(self.before)

    @property
    def irrecoverable(self) -> bool:
        """Whether what is lost cannot be had back, be it restored or made anew."""
        return bool(self.loses) and self.resource.type not in RESTORABLE

    @property
    def loses(self) -> str:
        """What is lost for good; "" where nothing is."""
        if self.status in (Status.DELETED, Status.REPLACED) and self.before is not None:
            return lost(self.before)
        return ""


@dataclass(frozen=True)
class PlanDiff:
    """All changes, those first that deserve to be read first."""

    before: Plan
    after: Plan
    changes: tuple[Change, ...]

    @cached_property
    def former(self) -> Mapping[str, str | None]:
        """What each resource was called: by its URN now; None where it is new."""
        return _former_urns(self.before, self.after)

    @property
    def counts(self) -> Mapping[Status, int]:
        """How many resources there are of each status."""
        counted = Counter(change.status for change in self.changes)
        return {status: counted[status] for status in Status}

    @property
    def headline(self) -> str:
        """``+1 ~2 ±0 -0``, as the first line of the report shows it."""
        counts = self.counts
        shown = [Status.CREATED, Status.UPDATED, Status.REPLACED, Status.DELETED]
        line = " ".join(f"{SIGNS[status]}{counts[status]}" for status in shown)
        return f"{line} →{counts[Status.MOVED]}" if counts[Status.MOVED] else line

    def of(self, *statuses: Status) -> list[Change]:
        """The changes of these statuses."""
        return [change for change in self.changes if change.status in statuses]


def compare(before: Plan, after: Plan) -> PlanDiff:
    """What ``pulumi up`` would do to a stack that stands as ``before``.

    Components count for nothing: they are the folders that resources lie in.
    """
    former = _former_urns(before, after)
    kept = set(former.values())
    gone = [r for r in before.resources.values() if r.urn not in kept and r.custom]
    new = [r for r in after.resources.values() if former[r.urn] is None and r.custom]
    changes = [Change(Status.CREATED, None, resource) for resource in new]
    changes += [Change(Status.DELETED, r, None, notes=tuple(_farewell(r, new, before))) for r in gone]
    for resource in after.resources.values():
        urn = former[resource.urn]
        if urn is not None and resource.custom:
            change = _change(before.resources[urn], resource, after)
            if change is not None:
                changes.append(change)
    return PlanDiff(before, after, tuple(sorted(changes, key=_urgency)))


def _former_urns(before: Plan, after: Plan) -> dict[str, str | None]:
    """What each resource was called: by its URN, else by the first alias that is there; None where it is new."""
    return {
        resource.urn: next(
            (urn for urn in (resource.urn, *resource.aliases) if urn in before.resources), None
        )
        for resource in after.resources.values()
    }


def _change(old: PlannedResource, new: PlannedResource, after: Plan) -> Change | None:
    provider = after.resources.get(new.provider.rpartition("::")[0])
    differences = tuple(
        difference
        for difference in differing(old.inputs, new.inputs)
        if not any(is_at_or_below(difference.path, ignored) for ignored in new.ignore_changes)
    )
    reasons = replacing(
        new.type,
        old.inputs,
        new.inputs,
        provider.inputs if provider else None,
        new.ignore_changes,
        new.replace_on_changes,
    )
    if old.provider.rpartition("::")[2] != new.provider.rpartition("::")[2]:
        reasons.append("its provider is replaced")
    notes = list(_notes(old, new, bool(reasons), differences, after))
    if reasons:
        return Change(Status.REPLACED, old, new, differences, tuple(reasons), tuple(notes))
    if differences or old.protect != new.protect:
        return Change(Status.UPDATED, old, new, differences, notes=tuple(notes))
    if old.urn != new.urn:
        return Change(Status.MOVED, old, new, notes=tuple(notes))
    return None


def _notes(
    old: PlannedResource,
    new: PlannedResource,
    replaced: bool,
    differences: Sequence[Difference],
    after: Plan,
) -> Iterator[str]:
    if old.urn != new.urn:
        yield f"was {_title(old)}"
    if old.protect and not new.protect:
        yield "is no longer protected"
    if new.protect and not old.protect:
        yield "becomes protected"
    if replaced and old.protect:
        yield "is protected: `pulumi up` refuses to replace it"
    if replaced and _deleted_first(old, new):
        yield "its name is fixed, so the old one goes before the new one comes"
    if new.type == "pulumi:providers:aws" and any(d.path.startswith("defaultTags") for d in differences):
        tagged = sum(r.package == "aws" for r in after.resources.values())
        yield f"its default tags go on the stack's AWS resources ({tagged}), in place"


def _deleted_first(old: PlannedResource, new: PlannedResource) -> bool:
    if new.delete_before_replace:
        return True
    name = _physical_name(new)
    return name is not None and name == _physical_name(old) and _namespace(new) == _namespace(old)


def _farewell(resource: PlannedResource, new: Sequence[PlannedResource], before: Plan) -> Iterator[str]:
    if resource.protect:
        yield "is protected: `pulumi up` refuses to delete it"
    if resource.retain_on_delete:
        yield "stays in the cloud, no longer managed"
    if not is_stateful(resource):
        return
    successor = next((other for other in new if _is_renamed(resource, other)), None)
    if successor is not None:
        yield (
            f"{_title(successor)} looks like it under another name, and starts empty:"
            f' to keep this one, give it aliases=[pulumi.Alias(name="{resource.name}")]'
        )


# What has no name of its own is taken for the same when it agrees in so many properties, and in most of all.
_ENOUGH, _MOST = 3, 0.8


def _is_renamed(gone: PlannedResource, new: PlannedResource) -> bool:
    """Whether a new resource looks like one that goes: it has its name in AWS or Kubernetes, or its properties."""
    if gone.type != new.type:
        return False
    name = _physical_name(gone)
    if name is not None:
        return name == _physical_name(new)
    keys = gone.inputs.keys() | new.inputs.keys()
    equal = sum(1 for key in keys if gone.inputs.get(key) == new.inputs.get(key))
    return equal >= _ENOUGH and equal >= _MOST * len(keys)


def _physical_name(resource: PlannedResource) -> str | None:
    metadata = resource.inputs.get("metadata")
    named = metadata if isinstance(metadata, Mapping) else resource.inputs
    return next((named[key] for key in _NAMES if key in named), None)


def _namespace(resource: PlannedResource) -> str | None:
    metadata = resource.inputs.get("metadata")
    return metadata.get("namespace") if isinstance(metadata, Mapping) else None


def _urgency(change: Change) -> tuple[bool, bool, int, int, str]:
    """What loses state first, the most of it before all; then what else concerns it, then the rest."""
    kinds = list(LOST)
    weight = kinds.index(change.resource.type) if change.resource.type in LOST else len(kinds)
    status = list(Status).index(change.status)
    return (not change.loses, not change.guarded, weight, status, change.resource.urn)


def _title(resource: PlannedResource) -> str:
    return f"{resource.kind} {resource.name}"
