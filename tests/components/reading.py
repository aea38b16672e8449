"""How tests read a recording."""

import json
from collections.abc import Mapping
from typing import Any

from preview.recording.plan import PlannedResource, Secret
from preview.recording.recorder import Recording


def statements(resource: PlannedResource, field: str = "policy") -> list[Mapping[str, Any]]:
    """The statements of a policy document among a resource's inputs."""
    document = json.loads(resource.inputs[field])
    assert document["Version"] == "2012-10-17"
    return list(document["Statement"])


def waits_for(recording: Recording, resource: PlannedResource) -> set[str]:
    """The names of the resources that one waits for directly."""
    return {recording.resources[urn].name for urn in resource.dependencies if urn in recording.resources}


def closure(recording: Recording, resource: PlannedResource) -> set[str]:
    """All that ``resource`` waits for, directly or not."""
    found: set[str] = set()
    todo = list(resource.dependencies)
    while todo:
        urn = todo.pop()
        if urn not in found:
            found.add(urn)
            todo += recording.resources[urn].dependencies
    return found


def protected(recording: Recording) -> set[str]:
    """The names of the resources that cannot be deleted."""
    return {resource.name for resource in recording.resources.values() if resource.protect}


def is_secret(value: Any) -> bool:
    """Whether the program marked a value as secret."""
    return isinstance(value, Secret)
