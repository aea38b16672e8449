"""The settings reference, docs/configuration.md, written from the models: `python -m stacks.reference`."""

import enum
import inspect
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from stacks.agent_settings import Agent, AgentDefaults
from stacks.settings import Settings
from stacks.vocabulary import Model, model_in

REFERENCE = Path(__file__).parents[1] / "docs" / "configuration.md"

_INTRODUCTION = """\
# Settings of a stack

A stack file, `Pulumi.<stack>.yaml`, holds under `config:`

- `aws:region`: where the stack lives;
- `aws:allowedAccountIds`, if you like: the AWS accounts that it may be deployed to, in quotes. A deployment with the
  credentials of another account is refused, and so is a secret of another account;
- `langgraph-agents:settings`: everything on this page. All problems of a file are reported at once, before anything
  is changed, each with its field, its value and what to do;
- `langgraph-agents:apiKeys`: values of secrets whose `source` is `config`, by agent and name, encrypted by
  `pulumi config set --secret --path apiKeys.<agent>.<NAME>`;
- `langgraph-agents:platform`, if you like: another stack, ORGANIZATION/PROJECT/STACK, whose network, cluster, database
  and cache the agents use ([existing.md](existing.md#a-platform-of-its-own)).

Only `true` and `false` are booleans, numbers stand without quotes and versions in quotes (`"1.30"`, for `1.30` is the
number 1.3), and a key may stand once in an object.

Editors with a YAML language server complete, explain and check the file as you write it, by
[stacks/stack.schema.json](../stacks/stack.schema.json): the first line of the repository's own stack files names it
(`# yaml-language-server: $schema=stacks/stack.schema.json`).

A setting without a default has to be set. What stands under `defaults` holds for every agent that does not set it
itself; objects merge, lists and values replace.

<!-- Written by `make reference` from stacks/settings.py and stacks/agent_settings.py; a test compares. -->
"""


def reference() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, *_section("settings", Settings, "langgraph-agents:settings")]
    return "\n".join(parts)


def _section(path: str, model: type[Model], title: str) -> Iterator[str]:
    yield f"\n## `{title}`\n"
    yield f"{inspect.getdoc(model)}\n"
    nested: list[tuple[str, type[Model]]] = []
    fields = model.model_fields
    if model is Agent:
        yield "Besides these, everything under `defaults`.\n"
        fields = {name: field for name, field in fields.items() if name not in AgentDefaults.model_fields}
    yield "| setting | what it is | type | default |"
    yield "|---|---|---|---|"
    for name, field in fields.items():
        key = field.alias or name
        inner = model_in(field.annotation)
        if inner is not None:
            below = key if path == "settings" else f"{path}.{key}"
            nested.append((f"{below}[]" if _is_list(field.annotation) else below, inner))
        description = " ".join((field.description or "").split())
        yield f"| `{key}` | {description} | {_type(field)} | {_default(field)} |"
    for below, inner in nested:
        yield from _section(below, inner, below)


def _is_list(annotation: Any) -> bool:
    return typing.get_origin(annotation) is tuple


def _type(field: FieldInfo) -> str:
    text = _name(field.annotation)
    bounds = {type(item).__name__: item for item in field.metadata}
    low = getattr(bounds.get("Ge"), "ge", None)
    high = getattr(bounds.get("Le"), "le", None)
    if low is not None and high is not None:
        return f"{text}, {low} to {high}"
    return text


def _name(annotation: Any) -> str:
    if inspect.isclass(annotation):
        if issubclass(annotation, enum.Enum):
            return " or ".join(f"`{member.value}`" for member in annotation)
        if issubclass(annotation, Model):
            return "object"
        return {str: "text", int: "number", bool: "`true` or `false`"}.get(annotation, annotation.__name__)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return f"list of {_name(args[0])}"
    if origin is dict:
        return "object of text by name"
    if origin in (types.UnionType, typing.Union):
        return _name(next(arg for arg in args if arg is not type(None)))
    if origin is typing.Annotated:
        return _name(args[0])
    return str(annotation)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    if field.default_factory_takes_validated_data:
        return "as said there"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None:
        return "none"
    if isinstance(value, Model):
        return "see below"
    if isinstance(value, tuple):
        return ", ".join(f"`{_text(item)}`" for item in value) or "empty"
    if isinstance(value, dict):
        return "empty"
    return f"`{_text(value)}`"


def _text(value: Any) -> str:
    if isinstance(value, Model):
        pairs = value.model_dump(by_alias=True, exclude_defaults=False, exclude_none=True, mode="json")
        return "{" + ", ".join(f"{key}: {item}" for key, item in pairs.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    REFERENCE.parent.mkdir(exist_ok=True)
    REFERENCE.write_text(reference())
    sys.stdout.write(f"wrote {REFERENCE.name}\n")
