"""Stack files for tests: the repository's own, and small changes of them."""

import copy
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def settings_of(stack: str) -> dict[str, Any]:
    """``langgraph-agents:settings`` of ``Pulumi.<stack>.yaml``."""
    document = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
    settings: dict[str, Any] = document["config"]["langgraph-agents:settings"]
    return settings


def changed(stack: str, path: str, value: Any) -> dict[str, Any]:
    """The settings of ``stack`` with one value set, by a path such as ``agents.0.replicas.min``."""
    settings = copy.deepcopy(settings_of(stack))
    *parents, last = path.split(".")
    at: Any = settings
    for step in parents:
        at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
    if isinstance(at, list):
        at[int(last)] = value
    else:
        at[last] = value
    return settings
