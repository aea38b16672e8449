"""What a Kubernetes object, or the refusal of one, says by itself, without a request to the server."""

import re

from sandbox.cluster.api import ApiError, Object
from sandbox.providers.wire import Properties

_AUTONAMED = "pulumi.com/autonamed"
_FORCE = "pulumi.com/patchForce"


# How the server says that a field cannot be changed, over all kinds; its status has no code for it.
_IMMUTABLE = re.compile(
    r"immutable|may not (change|be changed)|cannot (be )?change|[Uu]pdates to .* (is|are) forbidden"
    r"|fields other than .* are forbidden",
    re.DOTALL,
)


def autonamed(inputs: Properties, name: str) -> Properties:
    """An object under a name that was made for it, and marked so."""
    metadata = dict(inputs.get("metadata") or {})
    annotations = {**(metadata.get("annotations") or {}), _AUTONAMED: "true"}
    return {**inputs, "metadata": {**metadata, "name": name, "annotations": annotations}}


def kept_name(old: Properties | None) -> str | None:
    """The name that was made for an object before, if one was."""
    return str(old["metadata"]["name"]) if old and is_autonamed(old) else None


def is_autonamed(inputs: Properties) -> bool:
    """Whether its name was made for it."""
    return bool((inputs["metadata"].get("annotations") or {}).get(_AUTONAMED) == "true")


def is_forced(inputs: Properties) -> bool:
    """Whether it takes fields over that another manager owns."""
    return bool((inputs["metadata"].get("annotations") or {}).get(_FORCE) == "true")


def is_immutable(error: ApiError) -> bool:
    """Whether the server refuses to change something in place."""
    return error.reason in {"Invalid", "Forbidden"} and bool(_IMMUTABLE.search(str(error)))


def immutable_properties(error: ApiError) -> set[str]:
    """The top-level properties that it refuses to change."""
    return {field.partition(".")[0] for field, message in error.causes if _IMMUTABLE.search(message)}


def address(manifest: Properties) -> tuple[str, str, str, str]:
    """apiVersion, kind, namespace and name. The namespace is of no consequence for kinds that have none."""
    metadata = manifest["metadata"]
    return manifest["apiVersion"], manifest["kind"], metadata.get("namespace") or "default", metadata["name"]


def another_name(name: str) -> str:
    """A name of the same length, since names have limits."""
    return f"{name[:-1]}{'1' if name[-1] == '0' else '0'}"


def identity(inputs: Properties) -> tuple[str, ...]:
    """What makes an object another one; a new version of the same API does not."""
    api_version, *rest = address(inputs)
    return (api_version.rpartition("/")[0], *rest)


def title(manifest: Properties) -> str:
    """Kind, namespace and name, as `kubectl` has them."""
    metadata = manifest["metadata"]
    within = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{manifest['kind']} {within}{metadata['name']}"


def refusal(inputs: Properties, error: ApiError) -> str:
    """The server's refusal of an object, in its own words, with the remedy where there is one."""
    remedy = ""
    if error.reason == "Conflict":
        remedy = f' (annotate it with {_FORCE}: "true" to take the fields over)'
    return f"{title(inputs)}: the API server refuses it: {error}{remedy}"


def why_it_stays(live: Object) -> str:
    """What holds an object that is being deleted."""
    finalizers = [*live["metadata"].get("finalizers", ()), *live.get("spec", {}).get("finalizers", ())]
    conditions = (live.get("status") or {}).get("conditions") or []
    words = [c["message"] for c in conditions if c.get("status") == "True" and c.get("message")]
    return f"finalizers {', '.join(finalizers) or 'none'}. {' '.join(words)}".strip()
