"""The JSON schema of a chart's values, which Helm checks before it renders."""

from collections.abc import Mapping
from typing import Any

_WHOLE = {"type": "integer", "minimum": 1}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_QUANTITY = {"type": ["string", "number"]}
_RESOURCES = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        what: {"type": "object", "additionalProperties": _QUANTITY} for what in ("requests", "limits")
    },
}
# What a type alone does not say, by the value's path, or by the last part of it.
_BY_PATH: Mapping[str, Mapping[str, Any]] = {
    "secrets.source": {"enum": ["secretsManager", "existingSecret", "externalSecret"]},
    "secrets.secretStoreRef": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"kind": {"enum": ["SecretStore", "ClusterSecretStore"]}, "name": {"type": "string"}},
    },
    "image.digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "image.repository": {"type": "string", "minLength": 1},
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "service.type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    "service.port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "podDisruptionBudget.maxUnavailable": {"type": ["integer", "string"]},
    "lifetimes.preStop": {"type": "integer", "minimum": 0},
    "affinity": {"type": "object"},
}
_BY_NAME: Mapping[str, Mapping[str, Any]] = {
    "resources": _RESOURCES,
    "config": _TEXTS,
    "annotations": _TEXTS,
    "serviceAccountAnnotations": _TEXTS,
    "nodeSelector": _TEXTS,
    "entries": _TEXTS,
    "migrationEntries": _TEXTS,
    "data": _TEXTS,
    "behavior": {"type": "object"},
    "minReplicas": {"type": "integer", "minimum": 0},
    "targetCPUUtilizationPercentage": {"type": "integer", "minimum": 1},
    "targetMemoryUtilizationPercentage": {"type": "integer", "minimum": 1},
}


def schema(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the values may be: no others than these, each of the type of its default."""
    return {"$schema": "http://json-schema.org/draft-07/schema#", **_of(values, "")}


def _of(value: Any, path: str) -> dict[str, Any]:
    known = _BY_PATH.get(path) or _BY_NAME.get(path.rpartition(".")[2])
    if known is not None:
        return dict(known)
    if isinstance(value, Mapping):
        properties = {key: _of(each, f"{path}.{key}".removeprefix(".")) for key, each in value.items()}
        # Helm hands `global` to every chart.
        above = {} if path else {"global": {"type": "object"}}
        return {"type": "object", "additionalProperties": False, "properties": {**properties, **above}}
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return dict(_WHOLE)
    return {"type": "array"} if isinstance(value, list) else {"type": "string"}
