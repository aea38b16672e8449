"""Conditions on metadata, as the handlers of `langgraph_sdk.Auth` return them, for the registries' own queries.

A filter is kept as alternatives, each of which holds if all its conditions do, so that one form of SQL serves all.
"""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

MAX_NESTING = 2
"""Of `$or` and `$and`, as LangGraph's server has it."""

MAX_ALTERNATIVES = 256


class FilterError(ValueError):
    """The handler's answer is not a filter. The message says what is wrong with it, and names no values."""


@dataclass(frozen=True, slots=True)
class Condition:
    key: str
    operator: Literal["eq", "contains"]
    value: Any
    """For `contains` the list of what the metadata's list has to hold."""

    def holds(self, metadata: dict[str, Any]) -> bool:
        if self.key not in metadata:
            return False
        found = metadata[self.key]
        if self.operator == "eq":
            return _same(found, self.value)
        return isinstance(found, list) and all(any(_same(item, v) for item in found) for v in self.value)


@dataclass(frozen=True, slots=True)
class Filter:
    alternatives: tuple[tuple[Condition, ...], ...]

    def admits(self, metadata: dict[str, Any]) -> bool:
        return any(all(c.holds(metadata) for c in conditions) for conditions in self.alternatives)

    def document(self) -> list[list[list[Any]]]:
        """As JSON, for `admitted`."""
        return [[[c.key, c.operator, c.value] for c in conditions] for conditions in self.alternatives]

    def contained(self) -> dict[str, Any]:
        """What the metadata holds in any case, for an index to find; not all that the filter says."""
        if len(self.alternatives) != 1:
            return {}
        return {c.key: c.value for c in self.alternatives[0] if c.operator == "eq"}


def parse(given: dict[str, Any]) -> Filter | None:
    """The filter that a handler returned; None if it is empty. Raises FilterError."""
    if not given:
        return None
    try:
        text = orjson.dumps(given)
    except (TypeError, ValueError):
        raise FilterError("a filter holds plain JSON values") from None
    if b"\\u0000" in text:
        raise FilterError("a filter holds the character U+0000")
    return Filter(tuple(tuple(conditions) for conditions in _alternatives(given, 0)))


def admitted(only: str, metadata: str) -> str:
    """The SQL that says whether the filter `only` (an expression; NULL: none) admits `metadata`."""
    return f"""({only} IS NULL OR EXISTS (
      SELECT 1 FROM jsonb_array_elements({only}) AS a(conditions) WHERE NOT EXISTS (
        SELECT 1 FROM jsonb_array_elements(a.conditions) AS c(condition)
        WHERE NOT COALESCE(CASE c.condition ->> 1
          WHEN 'eq' THEN ({metadata} -> (c.condition ->> 0)) = (c.condition -> 2)
          ELSE jsonb_typeof({metadata} -> (c.condition ->> 0)) = 'array'
               AND ({metadata} -> (c.condition ->> 0)) @> (c.condition -> 2) END, false))))"""  # noqa: S608


def _alternatives(given: Any, nesting: int) -> list[list[Condition]]:
    if not isinstance(given, dict):
        raise FilterError("$or and $and hold filters")
    if nesting > MAX_NESTING:
        raise FilterError(f"$or and $and are nested deeper than {MAX_NESTING}")
    found: list[list[Condition]] = [[]]
    for key, value in given.items():
        if key in ("$or", "$and"):
            if not isinstance(value, list) or len(value) < 2:
                raise FilterError(f"{key} is not a list of at least two filters")
            groups = [_alternatives(group, nesting + 1) for group in value]
            if key == "$or":
                found = _both(found, [conditions for group in groups for conditions in group])
            else:
                for group in groups:
                    found = _both(found, group)
        elif not isinstance(key, str) or key.startswith("$"):
            raise FilterError("the operators are $or, $and, and of a field $eq and $contains")
        else:
            found = _both(found, [[_condition(key, value)]])
    return found


def _both(left: list[list[Condition]], right: list[list[Condition]]) -> list[list[Condition]]:
    if len(left) * len(right) > MAX_ALTERNATIVES:
        raise FilterError(f"it comes to more than {MAX_ALTERNATIVES} alternatives")
    return [[*one, *other] for one in left for other in right]


def _condition(key: str, value: Any) -> Condition:
    if not isinstance(value, dict):
        return Condition(key, "eq", value)
    if list(value) == ["$eq"]:
        return Condition(key, "eq", value["$eq"])
    if list(value) == ["$contains"]:
        wanted = value["$contains"]
        wanted = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
        if any(isinstance(item, (dict, list, tuple)) for item in wanted):
            raise FilterError("$contains takes a value or a list of values")
        return Condition(key, "contains", wanted)
    raise FilterError("the condition of a field is a value, or one of $eq and $contains")


def _same(left: Any, right: Any) -> bool:
    """Equal as JSON, where true is not 1."""
    if isinstance(left, (dict, list, tuple)) or isinstance(right, (dict, list, tuple)):
        return orjson.dumps(left, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
            right, option=orjson.OPT_SORT_KEYS
        )
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)
