"""What a change of a property does to a resource, by ``changes.yaml``: the one table for the emulated providers, which
decide by it what they replace, and for the preview, which tells by it what a change means."""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any

import yaml

Properties = Mapping[str, Any]


class Does(StrEnum):
    """What a change does, from what nobody notices to what is not done."""

    IN_PLACE = "in place"
    RESTART = "restart"
    FAILOVER = "failover"
    OUTAGE = "outage"
    MOVES_PODS = "moves pods"
    REPLACED = "replaced"
    REFUSED = "refused"


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    properties: tuple[str, ...]
    does: Does
    source: str
    """The page that says so."""
    condition: str = ""
    says: str = ""
    """What it does to pods, addresses, connections and data."""
    in_window: bool = False
    """Whether it waits for the maintenance window."""
    minutes: int = 0
    """How long it is noticed, or takes."""
    instead: str = ""
    """What to do instead of what is refused."""
    one_way: str = ""
    """Why it cannot be undone; "" where it can."""
    callers: str = ""
    """How requests can fail meanwhile; "" where they cannot, or where that depends on more than the property."""
    replaces: bool = False
    """Whether the provider makes a new resource."""


def types() -> frozenset[str]:
    """The types that the table has."""
    return frozenset(_table()["types"])


def rows(type_: str) -> tuple[Row, ...]:
    """The rows of a type, the first that holds first; those of its package last."""
    return _rows(type_)


def row(type_: str, path: str, old: Properties, new: Properties, context: Properties) -> Row | None:
    """What a change of the property at ``path`` does; None where it is not known.

    Args:
        path: in Pulumi's notation, such as ``spec.template.spec.containers[0].image``.
        old: the inputs before, ``new`` those after.
        context: inputs of its provider, which may allow more.
    """
    for candidate in _rows(type_):
        for name in candidate.properties:
            if _is_within(path, name) and _holds(candidate, name, old, new, context):
                return candidate
    return None


def replaced(type_: str, old: Properties, new: Properties, context: Properties) -> list[str]:
    """The properties of the table that differ and make a new resource."""
    found: dict[str, None] = {}
    for candidate in _rows(type_):
        for name in candidate.properties:
            differs = _at(old, name) != _at(new, name)
            if differs and candidate.replaces and _holds(candidate, name, old, new, context):
                found[name] = None
    return list(found)


@dataclass(frozen=True)
class _Change:
    """What a condition looks at."""

    before: Any
    """The property before."""
    after: Any
    old: Properties
    """The inputs before."""
    new: Properties
    context: Properties


def _holds(candidate: Row, name: str, old: Properties, new: Properties, context: Properties) -> bool:
    if not candidate.condition:
        return True
    return _CONDITIONS[candidate.condition](_Change(_at(old, name), _at(new, name), old, new, context))


def _is_within(path: str, name: str) -> bool:
    return path == name or path.startswith((f"{name}.", f"{name}["))


def _at(properties: Properties, name: str) -> Any:
    value: Any = properties
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _numbers(version: object) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", str(version)))


def _lower(change: _Change) -> bool:
    old, wanted = _numbers(change.before), _numbers(change.after)
    # 17 stands for the newest of 17, so that only what both name is compared.
    shared = min(len(old), len(wanted))
    return bool(shared) and wanted[:shared] < old[:shared]


def _another_major(change: _Change) -> bool:
    return _numbers(change.before)[:1] != _numbers(change.after)[:1]


def _skips_a_minor(change: _Change) -> bool:
    old, wanted = _numbers(change.before), _numbers(change.after)
    return len(old) > 1 and len(wanted) > 1 and (wanted[0] != old[0] or wanted[1] > old[1] + 1)


def _both(change: _Change, name: str) -> bool:
    """Whether it is switched on before and after: what only comes, or goes, does not help meanwhile."""
    return bool(change.old.get(name)) and bool(change.new.get(name))


_CONDITIONS: Mapping[str, Callable[[_Change], bool]] = {
    "lower": _lower,
    "a minimum above the number of nodes": lambda change: (
        (change.after or {}).get("minSize", 0) > (change.before or {}).get("desiredSize", 0)
    ),
    "comes": lambda change: bool(change.after) and not change.before,
    "TLS becomes required": lambda change: change.after == "required",
    "one and then another": lambda change: bool(change.before and change.after),
    "shorter": lambda change: len(change.after or ()) < len(change.before or ()),
    "none stays": lambda change: not set(change.before or ()) & set(change.after or ()),
    "another major version": _another_major,
    "another major version that is not allowed": lambda change: (
        _another_major(change) and not change.new.get("allowMajorVersionUpgrade")
    ),
    "skips a minor version": _skips_a_minor,
    "has a standby": lambda change: _both(change, "multiAz"),
    "has replicas": lambda change: _both(change, "automaticFailoverEnabled"),
    "runs its nodes": lambda change: bool((change.new.get("computeConfig") or {}).get("enabled")),
    "from Valkey to Redis OSS": lambda change: (change.before, change.after) == ("valkey", "redis"),
    "ConfigMaps are replaced": lambda change: (
        str(change.context.get("enableConfigMapMutable")).lower() != "true"
    ),
}


@functools.cache
def _rows(type_: str) -> tuple[Row, ...]:
    table = _table()
    entry = table["types"].get(type_, {})
    package = table["packages"].get(type_.split(":", 1)[0], {})
    return (*_entry(entry, entry.get("source", "")), *_entry(package, entry.get("source", "")))


def _entry(entry: Mapping[str, Any], source: str) -> Iterator[Row]:
    for written in entry.get("rows", ()):
        does = Does(written["does"])
        yield Row(
            properties=tuple(written["properties"]),
            does=does,
            source=written.get("source", source),
            condition=written.get("if", ""),
            says=written.get("says", ""),
            in_window=written.get("when") == "window",
            minutes=written.get("minutes", 0),
            instead=written.get("instead", ""),
            one_way=written.get("one way", ""),
            callers=written.get("callers", ""),
            replaces=written.get("replaces", does is Does.REPLACED),
        )
    yield Row(tuple(entry.get("replaced", ())), Does.REPLACED, source, replaces=True)
    yield Row(tuple(entry.get("in place", ())), Does.IN_PLACE, source)


@functools.cache
def _table() -> Mapping[str, Any]:
    text = (files(__package__) / "changes.yaml").read_text()
    # The C parser takes a tenth of the time, and reads no more than plain values either.
    table: Mapping[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return table
