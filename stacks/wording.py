"""What pydantic finds in a stack file, in the file's own words: what to write, and where.

Pydantic speaks of Python: tuples, instances, Nones. Whoever writes a stack file knows lists, objects and texts.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from stacks.problems import Problem, dotted
from stacks.vocabulary import Model, model_in

Path = list[int | str]
Written = Callable[[Path, object], str | None]
"""The text of a number in the file, by its path in the settings and its value; None where it is not known."""

# Where pydantic says that it is a key of an object that is wrong, and not the value.
_KEY = "[key]"


def field_problems(
    error: ValidationError, model: type[Model], raw: Mapping[str, Any], written: Written
) -> Iterator[Problem]:
    """Every problem that ``error`` holds, each place once.

    Args:
        model: what ``raw`` was validated as.
        raw: the settings as they stand in the file, without the defaults laid under each agent.
        written: how a number is written.
    """
    seen: set[str] = set()
    for detail in error.errors(include_url=False):
        if _follows_from_another(detail):
            continue
        path = _where_it_stands([step for step in detail["loc"] if step != _KEY], raw)
        field = dotted(path)
        if field in seen:
            continue
        seen.add(field)
        missing = detail["type"] == "missing"
        value = detail["input"]
        text = written(path, value)
        remedy = _remedy(detail, model, path, text)
        yield Problem(field, None if missing else text or value, remedy)


def _follows_from_another(detail: Any) -> bool:
    """Whether there is this problem only because of another: a list whose items are wrong, a value taken from one."""
    if detail["type"] == "too_short":
        return bool(len(detail["input"]) >= detail["ctx"]["min_length"])
    return bool(detail["type"] == "default_factory_not_called")


def _where_it_stands(path: Path, raw: Mapping[str, Any]) -> Path:
    """A value that an agent has from the defaults is wrong there, once, and not in each agent."""
    shared: Path = ["defaults", *path[2:]]
    if path[:1] == ["agents"] and len(path) > 2 and not _has(raw, path) and _has(raw, shared):
        return shared
    return path


def _has(data: Any, path: Path) -> bool:
    try:
        for step in path:
            data = data[step]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _remedy(detail: Any, model: type[Model], path: Path, text: str | None) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return "is missing: add it"
    if kind == "extra_forbidden":
        known = _keys(_model_at(model, path[:-1]))
        return f"is not a setting here. Known: {known}" if known else "is not a setting here: remove it"
    wanted = _wanted(kind, context, model, path)
    if value is None:
        return f"is empty: {wanted}{_or_remove(model, path)}"
    if kind == "string_type" and isinstance(value, bool):
        word = str(value).lower()
        return f'YAML reads this as true or false: to mean the text, put it in quotes, "{word}"'
    if kind == "string_type" and isinstance(value, int | float):
        quoted = text or str(value)
        return _against(quoted, model, path) or f'YAML reads this as a number: put it in quotes, "{quoted}"'
    return wanted


def _against(text: str, model: type[Model], path: Path) -> str | None:
    """What is wrong with a number, quoted or not."""
    field = _field_at(model, path)
    try:
        if field is not None:
            TypeAdapter(field.rebuild_annotation()).validate_python(text)
    except ValidationError as error:
        (detail, *_) = error.errors(include_url=False)
        return _remedy(detail, model, path, None)
    return None


def _wanted(kind: str, context: Mapping[str, Any], model: type[Model], path: Path) -> str:
    """What to write, by the kind of pydantic's error."""
    if kind in ("tuple_type", "list_type"):
        return "write a list, [a, b] or each item on a line of its own after a hyphen"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        keys = _keys(_model_at(model, path))
        return f"write an object with some of {keys}" if keys else "write an object, name: text"
    if kind.startswith("bool"):
        return "write true or false, without quotes"
    if kind == "enum":
        return f"use {context['expected'].replace(chr(39), '')}"
    if kind.startswith("int") or kind in ("greater_than_equal", "less_than_equal"):
        return f"write a whole number, without quotes{_bounds(model, path, context)}"
    if kind == "too_short":
        return f"write at least {_items(context['min_length'])}"
    if kind == "string_too_short":
        return f"write at least {context['min_length']} characters"
    if kind == "string_too_long":
        return f"write at most {context['max_length']} characters"
    if kind.startswith("string"):
        return "write a text"
    if kind == "invalid_key":
        return "is not a setting here: names are texts"
    return "is not what belongs here: docs/configuration.md says what does"


def _items(number: int) -> str:
    return "one item" if number == 1 else f"{number} items"


def _bounds(model: type[Model], path: Path, context: Mapping[str, Any]) -> str:
    field = _field_at(model, path)
    bounds = {**context}
    for item in field.metadata if field else ():
        for name in ("ge", "le"):
            if (bound := getattr(item, name, None)) is not None:
                bounds[name] = bound
    return f": {bounds['ge']} to {bounds['le']}" if {"ge", "le"} <= bounds.keys() else ""


def _or_remove(model: type[Model], path: Path) -> str:
    field = _field_at(model, path)
    return ", or remove the line" if field is not None and not field.is_required() else ""


def _keys(model: type[Model] | None) -> str:
    return ", ".join(f.alias or name for name, f in model.model_fields.items()) if model else ""


def _field_at(model: type[Model], path: Path) -> FieldInfo | None:
    """The field whose value ``path`` names; None where it names an item of a list, or nothing."""
    if not path or isinstance(path[-1], int):
        return None
    holder = _model_at(model, path[:-1])
    return _named(holder, path[-1]) if holder else None


def _model_at(model: type[Model], path: Path) -> type[Model] | None:
    """The model of the object at ``path``."""
    found: type[Model] | None = model
    for step in path:
        if isinstance(step, int):
            continue
        field = _named(found, step) if found else None
        found = model_in(field.annotation) if field else None
    return found


def _named(model: type[Model], key: str) -> FieldInfo | None:
    return next((field for field in model.model_fields.values() if field.alias == key), None)
