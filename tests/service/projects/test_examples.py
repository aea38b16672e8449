"""The input that `make agent` shows for a graph."""

from typing import Any

import pytest

from langgraph_agents_service.example import example

LOOP = {
    "$ref": "#/$defs/Node",
    "$defs": {"Node": {"type": "object", "properties": {"n": {"$ref": "#/$defs/Node"}}}},
}


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"type": "string"}, "Hello"),
        (
            {"type": "object", "properties": {"messages": {"type": "array"}}},
            {"messages": [{"role": "user", "content": "Hello"}]},
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
                "required": ["a"],
            },
            {"a": 1},
        ),
        ({"type": "object", "properties": {"a": {"default": None, "type": "string"}}}, {"a": "Hello"}),
        ({"properties": {"kind": {"enum": ["tea", "cake"]}, "n": {"default": 3}}}, {"kind": "tea", "n": 3}),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ({}, {}),
    ],
)
def test_an_example_fits_its_schema(schema: dict[str, Any], shown: Any) -> None:
    assert example(schema) == shown


def test_a_type_that_holds_itself_comes_to_an_end() -> None:
    assert "n" in example(LOOP)
