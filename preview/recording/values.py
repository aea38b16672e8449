"""Where two values differ, as property paths in Pulumi's notation."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_PLAIN_KEY = re.compile(r"[A-Za-z_][\w-]*")


class _Absent:
    def __repr__(self) -> str:
        return "(none)"


ABSENT: Any = _Absent()
"""Stands for a property that is not there."""


@dataclass(frozen=True)
class Difference:
    """One property that differs."""

    path: str
    """Such as ``spec.template.spec.containers[0].image`` or ``metadata.annotations["a/b"]``."""
    before: Any
    after: Any
    """``ABSENT`` where there is none."""


def differing(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """The innermost differences of two values; documents in JSON are looked into."""
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys()):
            yield from differing(before.get(key, ABSENT), after.get(key, ABSENT), _within(path, key))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old = before[index] if index < len(before) else ABSENT
            new = after[index] if index < len(after) else ABSENT
            yield from differing(old, new, f"{path}[{index}]")
    elif (documents := _documents(before, after)) is not None:
        yield from differing(*documents, path)
    else:
        yield Difference(path, before, after)


def is_at_or_below(path: str, top: str) -> bool:
    """Whether ``path`` is ``top`` or a property within it."""
    return path == top or path.startswith((f"{top}.", f"{top}["))


def _within(path: str, key: str) -> str:
    if not _PLAIN_KEY.fullmatch(key):
        return f"{path}[{json.dumps(key)}]"
    return f"{path}.{key}" if path else key


def _documents(before: Any, after: Any) -> tuple[Any, Any] | None:
    """Both as parsed JSON, where both are objects or lists in JSON and differ in more than their spelling."""
    if (
        not (isinstance(before, str) and isinstance(after, str))
        or before[:1] not in "{["
        or after[:1] not in "{["
    ):
        return None
    try:
        parsed = json.loads(before), json.loads(after)
    except ValueError:
        return None
    return parsed if parsed[0] != parsed[1] and type(parsed[0]) is type(parsed[1]) else None
