"""The engine's record of what is deployed, read from its file: three commands of the CLI take two seconds more."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.providers.wire import is_secret

_STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Checkpoint:
    """What a stack came to the last time."""

    resources: list[dict[str, Any]]

    @property
    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; what is secret in them reads `[secret]`."""
        root = next((r for r in self.resources if r["type"] == _STACK), {})
        return {key: _masked(value) for key, value in (root.get("outputs") or {}).items()}


def read(path: Path) -> Checkpoint:
    """The record in a file of the engine's file backend; an empty one when nothing was deployed yet."""
    if not path.exists():
        return Checkpoint([])
    latest = json.loads(path.read_text())["checkpoint"].get("latest") or {}
    return Checkpoint(latest.get("resources") or [])


def _masked(value: Any) -> Any:
    if is_secret(value):
        return "[secret]"
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value
