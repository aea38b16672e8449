"""The one reader of a stack file, ``Pulumi.<stack>.yaml``: whoever looks at one reads it here, and reads the same.

It reads YAML as the engine does: only ``true`` and ``false`` are booleans, ``no``, ``on`` and ``1:30`` are text, and so
are dates; a key that stands twice in one object is refused.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

Place = Sequence[str | int]
"""Where a value stands: keys and indexes, from the top of the file."""

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class StackFileError(Exception):
    """A file that cannot be read; the message names it, says what is wrong and what to do."""


@dataclass(frozen=True)
class StackFile:
    """A stack file as data."""

    path: Path
    content: dict[str, Any]
    numbers: Mapping[tuple[str | int, ...], str] = field(default_factory=dict, repr=False)
    """Each number as it is written, by its place: ``1.30`` and ``1.3`` are one number, and two versions."""

    @property
    def config(self) -> dict[str, Any]:
        """What stands under ``config:``."""
        config: dict[str, Any] = self.content.get("config") or {}
        return config

    def written(self, place: Place, value: object) -> str | None:
        """The text of the number ``value`` in the file; None when the file has no such number at ``place``."""
        found: Any = self.content
        try:
            for step in place:
                found = found[step]
        except (KeyError, IndexError, TypeError):
            return None
        return self.numbers.get(tuple(place)) if found == value else None


def read(path: Path) -> StackFile:
    """Read a YAML file that holds an object.

    Raises:
        StackFileError: it cannot be read, is not YAML, holds something else, or has a key twice.
    """
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        try:
            node = loader.get_single_node()
            twice = list(_twice(node))
            # Places of numbers are found before, for `<<` is resolved in the nodes themselves.
            numbers = dict(_numbers(node))
            _keys_are_text(node)
            content = None if node is None or twice else loader.construct_document(node)
        finally:
            loader.dispose()
    except OSError as error:
        raise StackFileError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise StackFileError(f"{path} is not YAML: {error}") from None
    if twice:
        raise StackFileError("\n".join(f"{path}: {problem}" for problem in twice))
    if content is not None and not isinstance(content, dict):
        kind = "list" if isinstance(content, list) else "single value"
        raise StackFileError(f"{path} holds a {kind}: it has to be an object, with `config:` in it")
    if content and not isinstance(content.get("config") or {}, dict):
        raise StackFileError(f"{path}: config is no object: write settings under it, such as aws:region")
    return StackFile(path, content or {}, numbers)


class _Loader(_Base):  # type: ignore[misc]
    """YAML 1.2's numbers and booleans, which the engine's reader has, for YAML 1.1's."""


class _Dumper(yaml.SafeDumper):
    """Puts every text in quotes that either version of YAML reads as something else."""


_REPLACED = ("bool", "int", "float")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in _REPLACED]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}
for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0x[0-9a-fA-F_]+|0b[01_]+|0o[0-7_]+|[0-9][0-9_]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    for _reads_or_writes in (_Loader, _Dumper):
        _reads_or_writes.add_implicit_resolver(
            f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), list(_first)
        )


def _number(loader: Any, node: Any) -> int | float | str:
    """As the engine hands it over: JSON does not tell 3.0 from 3, and what no float holds stays a text."""
    plain = node.value.replace("_", "").lower()
    # 0 stands for what the prefix says; a leading zero is an old way to say octal.
    for base in (0, 8):
        try:
            return int(plain, base)
        except ValueError:
            continue
    number: float = loader.construct_yaml_float(node)
    if math.isinf(number) and "inf" not in plain:
        return str(node.value)
    return int(number) if number.is_integer() else number


def _day_or_time(loader: Any, node: Any) -> str:
    """As the engine hands it over: the text that Go makes of it."""
    try:
        found = loader.construct_yaml_timestamp(node)
    except ValueError:
        return str(node.value)
    zone = f"{found:%z}" if isinstance(found, datetime) and found.utcoffset() else "+0000"
    return f"{found:%Y-%m-%d %H:%M:%S} {zone} {'UTC' if zone == '+0000' else zone}"


_Loader.add_constructor("tag:yaml.org,2002:int", _number)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _day_or_time)


def text(content: Mapping[str, Any]) -> str:
    """The text of a stack file that reads as ``content``."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False)


def _children(node: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), value
    elif isinstance(node, yaml.SequenceNode):
        yield from enumerate(node.value)


def _twice(node: Any, place: str = "") -> Iterator[str]:
    """Each key that stands twice in one object, with both lines."""
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in first:
                where = f" of {place}" if place else ""
                yield f"{name}{where} stands in line {first[name]} and again in line {line}: keep one"
            first.setdefault(name, line)
    for step, child in _children(node):
        below = f"{place}[{step}]" if isinstance(step, int) else f"{place}.{step}" if place else step
        yield from _twice(child, below)


def _keys_are_text(node: Any) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                key.tag = "tag:yaml.org,2002:str"
    for _, child in _children(node):
        _keys_are_text(child)


def _numbers(node: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(node, yaml.ScalarNode) and node.tag.rpartition(":")[2] in ("int", "float"):
        yield place, node.value
    for step, child in _children(node):
        yield from _numbers(child, (*place, step))
