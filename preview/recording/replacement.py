"""Which changes make a new resource instead of changing the one there is."""

from collections.abc import Mapping
from typing import Any

from preview.recording.values import differing, is_at_or_below
from sandbox import emulated
from sandbox.emulated import changes


def replacing(
    type_: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    provider: Mapping[str, Any] | None = None,
    ignored: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
) -> list[str]:
    """The changed properties that make a new resource, as paths.

    Args:
        provider: the inputs of the resource's provider, which may allow more.
        ignored: the resource's ``ignoreChanges``.
        also: its ``replaceOnChanges``.

    Raises:
        emulated.UnknownType: nothing is known of the type.
    """
    if before == after:
        return []
    if type_.startswith(("kubernetes:", "pulumi:providers:")):
        tops = [*changes.replaced(type_, before, after, provider or {}), *also]
    else:
        tops = [*emulated.replaced(type_, before, after), *also]
    changed = [difference.path for difference in differing(before, after)]
    return [
        path
        for path in changed
        if not any(is_at_or_below(path, top) for top in ignored)
        and any(top == "*" or is_at_or_below(path, top) for top in tops)
    ]
