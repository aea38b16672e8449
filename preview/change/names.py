"""Names that are not given twice: of Kubernetes objects, and of secrets as long as a deleted one can be restored."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from preview.change.diff import Change, PlanDiff, Status
from preview.change.effects import Refusal
from preview.recording.plan import PlannedResource

_SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105
_PAGE = "https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_delete-secret.html"
_AT_ONCE = "aws secretsmanager delete-secret --force-delete-without-recovery --secret-id"
# Where a stack file or program does not say, https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
_DAYS = 30


def refusals(diff: PlanDiff) -> Iterator[Refusal]:
    """New secrets under the names of those that go in the same deployment."""
    going = {_name(secret): change for change in _secrets(diff) if (secret := change.before) is not None}
    for change in diff.of(Status.CREATED, Status.REPLACED):
        new = change.after
        if new is None or new.type != _SECRET or _name(new) not in going:
            continue
        old = going[_name(new)]
        if old is not change:
            yield Refusal(
                f"{new.name}: created",
                f"its name {_name(new)} is that of {old.resource.name}, which goes after the new one is made",
                f"delete the old one first ({_AT_ONCE} {_name(new)}), or keep it: give the new one an alias with its"
                " URN",
                "https://www.pulumi.com/docs/iac/concepts/options/aliases/",
            )
        elif days := _days(old.before):
            yield Refusal(
                f"{new.name}: replaced",
                f"its name {_name(new)} is taken for {days} days after the old one is deleted",
                "keep what replaces it; or deploy secretRecoveryDays: 0 first, and this change after it, where its"
                " value may go",
                _PAGE,
            )


def overwritten(diff: PlanDiff) -> Iterator[str]:
    """Kubernetes objects that are made under the names of those that go, and go with them."""
    going = {address for change in diff.of(Status.DELETED) if any(address := _address(change.resource))}
    made = [change.resource for change in diff.of(Status.CREATED) if _address(change.resource) in going]
    if made:
        yield (
            f"{', '.join(sorted(resource.name for resource in made))}: made under the names of objects that are there"
            " already and that are deleted at the end of the update, which is the end of these. Give each an alias with"
            " the URN of the one that goes"
        )


def _address(resource: PlannedResource) -> tuple[str, str, str]:
    """Kind, namespace and name of a Kubernetes object whose name the program gives; empty of everything else."""
    metadata = resource.inputs.get("metadata")
    if resource.package != "kubernetes" or not isinstance(metadata, Mapping) or not metadata.get("name"):
        return ("", "", "")
    return resource.type, str(metadata.get("namespace") or ""), str(metadata["name"])


def notes(diff: PlanDiff) -> Iterator[str]:
    """Whose names cannot be had back for a while, and who may have come back too early."""
    gone = [change.before for change in diff.of(Status.DELETED) if change.before is not None]
    for names, days in _by_folder(gone):
        yield (
            f"the secrets {names} can be restored for {days} days after they are deleted, and AWS gives their names to"
            f" nobody meanwhile. To have them again before that, restore them (aws secretsmanager restore-secret) and"
            f" pulumi import them, or delete them for good ({_AT_ONCE})"
        )
    # A stack that is new has deleted nothing.
    made = [change.resource for change in diff.of(Status.CREATED)] if diff.before.resources else []
    for names, days in _by_folder(made):
        yield (
            f"the secrets {names} are refused by AWS if some of these names were deleted in the last {days} days:"
            f" before you deploy, restore those (aws secretsmanager restore-secret) and pulumi import them, or delete"
            f" them for good ({_AT_ONCE})"
        )


def _by_folder(resources: Iterable[PlannedResource]) -> Iterator[tuple[str, int]]:
    """The names of secrets that can be restored, those of a folder together, and for how many days."""
    folders: dict[tuple[str, int], list[str]] = {}
    for resource in resources:
        if resource.type == _SECRET and (days := _days(resource)):
            folder, slash, last = _name(resource).rpartition("/")
            folders.setdefault((folder + slash, days), []).append(last)
    for (folder, days), names in folders.items():
        yield f"{folder}{{{', '.join(sorted(names))}}}" if len(names) > 1 else f"{folder}{names[0]}", days


def _secrets(diff: PlanDiff) -> Iterator[Change]:
    for change in diff.of(Status.DELETED, Status.REPLACED):
        if change.resource.type == _SECRET:
            yield change


def _name(secret: PlannedResource) -> str:
    return str(secret.inputs.get("name") or secret.urn)


def _days(secret: PlannedResource | None) -> int:
    inputs: Mapping[str, Any] = secret.inputs if secret else {}
    return int(inputs.get("recoveryWindowInDays", _DAYS))
