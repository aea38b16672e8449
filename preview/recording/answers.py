"""What a registration is answered with: emulated, and the same each time the program runs.

A resource that exists already is answered by what it was called before, so that its ids stay although its name, its
parent or the resources around it changed. One that is replaced is answered as another, so that whatever refers to it
changes too, as it would in the cloud.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from preview.recording.plan import PlannedResource, Secret, masked
from preview.recording.replacement import replacing
from preview.recording.structs import has_secret, plain
from sandbox import emulated

_HELM_RELEASE = "kubernetes:helm.sh/v3:Release"


@dataclass(frozen=True)
class Answer:
    """The id of a resource, and the properties that go over its inputs."""

    id: str
    added: Mapping[str, Any]


def answer(
    request: Any,
    urn: str,
    inputs: Mapping[str, Any],
    before: PlannedResource | None,
    provider: PlannedResource | None,
) -> Answer:
    """Answer for a custom resource.

    Args:
        before: the resource as it was, where it exists.
        provider: what serves it, where the program made that.

    Raises:
        emulated.UnknownType: nothing emulates its type.
    """
    type_, name = request.type, request.name
    if before is not None:
        urn, name = before.urn, before.name
        if before.provider != request.provider or replacing(
            type_,
            before.inputs,
            masked(inputs),
            provider.inputs if provider else None,
            tuple(request.ignoreChanges),
            tuple(request.replaceOnChanges),
        ):
            # Not the same again when it has been replaced before: its former id is a part of it.
            urn = f"{urn}\0{before.id}"
    if type_.startswith("pulumi:providers:"):
        return Answer(_short(urn), {})
    if type_.startswith("kubernetes:") and type_ != _HELM_RELEASE:
        return _kubernetes(name, urn, inputs)
    created = emulated.create(type_, name, plain(inputs), urn)
    added = {
        key: value for key, value in created.outputs.items() if key not in inputs or inputs[key] != value
    }
    if type_.startswith("random:"):
        added = {key: _repeatable(value, f"{urn}\0{key}\0{inputs}") for key, value in added.items()}
    marked = emulated.secret_outputs(type_) | set(request.additionalSecretOutputs)
    marked |= {key for key, value in inputs.items() if has_secret(value)}
    return Answer(
        created.id, {key: Secret(value) if key in marked else value for key, value in added.items()}
    )


def _kubernetes(name: str, urn: str, inputs: Mapping[str, Any]) -> Answer:
    metadata = dict(inputs.get("metadata") or {})
    # pulumi-kubernetes names what has no name: the logical name and a random suffix, here one that repeats.
    metadata.setdefault("name", f"{name}-{_short(urn)}")
    namespace = metadata.get("namespace")
    id_ = f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])
    return Answer(id_, {"metadata": metadata})


def _repeatable(value: Any, seed: str) -> Any:
    """As long as the random value, and the same each time: a plan must not differ from run to run."""
    if not isinstance(value, str):
        return value
    digits = hashlib.shake_256(seed.encode()).hexdigest(len(value) // 2 + 1)
    return digits[: len(value)]


def _short(urn: str) -> str:
    return hashlib.sha256(urn.encode()).hexdigest()[:8]
