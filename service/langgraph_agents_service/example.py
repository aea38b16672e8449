"""An input that a graph takes, as far as the schema of its input tells."""

from typing import Any

_BY_TYPE: dict[str, Any] = {"string": "Hello", "integer": 1, "number": 1.5, "boolean": True, "null": None}


def example(schema: dict[str, Any]) -> Any:
    """Something that this JSON schema allows; messages are told by their name."""
    return _example(schema, schema, depth=0)


def _example(schema: dict[str, Any], whole: dict[str, Any], *, depth: int) -> Any:
    if depth > 8:  # a type that holds itself
        return None
    if reference := schema.get("$ref"):
        found = whole.get("$defs", {}).get(str(reference).rpartition("/")[2], {})
        return _example(found, whole, depth=depth + 1)
    for known in ("default", "const"):
        if schema.get(known) is not None:  # fields that may be left out say that they are null
            return schema[known]
    if schema.get("enum"):
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return _example(schema[choice][0], whole, depth=depth + 1)
    kind = schema.get("type")
    if kind == "array":
        return []
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        asked = [name for name in properties if name in schema.get("required", properties)] or list(
            properties
        )
        return {
            name: [{"role": "user", "content": "Hello"}]
            if name == "messages"
            else _example(properties[name], whole, depth=depth + 1)
            for name in asked
        }
    return _BY_TYPE.get(str(kind), {} if depth == 0 else "Hello")
