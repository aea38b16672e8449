"""The JSON schema of a stack file, stacks/stack.schema.json, for editors: `python -m stacks.schema`.

It holds what can be said of a value by itself: names, types, bounds, patterns. What binds several values is in the
models and rules, and what only a preview knows is there.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from stacks.settings import Settings
from stacks.vocabulary import number_as_text

SCHEMA = Path(__file__).with_name("stack.schema.json")


class _Schema(GenerateJsonSchema):
    """Says of a text what its check says."""

    def get_title_from_name(self, name: str) -> str:
        """Names as the file has them."""
        return name

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        made = super().function_after_schema(schema)
        check = schema["function"]["function"]
        pattern, remedy = getattr(check, "pattern", None), getattr(check, "remedy", None)
        return made if pattern is None else {**made, "pattern": f"^({pattern})$", "errorMessage": remedy}

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        made = super().function_before_schema(schema)
        return (
            {**made, "type": ["string", "number"]}
            if schema["function"]["function"] is number_as_text
            else made
        )


def schema() -> dict[str, Any]:
    """The schema of a whole file: Pulumi's part of it, and ours in full."""
    settings = Settings.model_json_schema(schema_generator=_Schema)
    definitions = settings.pop("$defs")
    secret = {"type": "object", "properties": {"secure": {"type": "string"}}}
    config = {
        "aws:region": {"type": "string", "description": "Where the stack lives."},
        "aws:allowedAccountIds": {
            "type": "array",
            "items": {"type": "string", "pattern": "^[0-9]{12}$"},
            "description": "The AWS accounts that the stack may be deployed to.",
        },
        "langgraph-agents:settings": settings,
        "langgraph-agents:apiKeys": {
            "type": "object",
            "additionalProperties": {"type": "object", "additionalProperties": secret},
            "description": "Values of secrets whose source is config, by agent and name, encrypted by "
            "`pulumi config set --secret --path apiKeys.<agent>.<NAME>`.",
        },
        "langgraph-agents:platform": {
            "type": "string",
            "description": "ORGANIZATION/PROJECT/STACK, whose network, cluster, database and cache are used.",
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A stack of langgraph-agents",
        "type": "object",
        "properties": {
            "config": {"type": "object", "properties": config, "required": ["langgraph-agents:settings"]}
        },
        "required": ["config"],
        "$defs": definitions,
    }


def text() -> str:
    """The file's text."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(text())
    sys.stdout.write(f"wrote {SCHEMA.name}\n")
