"""Pulumi's wire format (protobuf Structs with marked secrets) to Python values and back, in one pass each.

``json_format.MessageToDict`` does the half of it in several times the time, which a thousand agents would notice.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2

from preview.recording.plan import Secret

# The wire format of a secret (Pulumi's deployment protocol, "signatures").
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The properties, with ``Secret`` for what is marked. Keys are sorted: the wire keeps no order."""
    return {key: _from_value(value) for key, value in sorted(struct.fields.items())}


def with_outputs(inputs: struct_pb2.Struct | None, added: Mapping[str, Any]) -> struct_pb2.Struct:
    """``inputs``, already on the wire, and what goes over them."""
    struct = struct_pb2.Struct()
    if inputs is not None:
        struct.CopyFrom(inputs)
    struct.update(_wire(dict(added)))
    return struct


def is_wire_secret(value: Any) -> bool:
    """Whether ``value`` stands for a secret on the wire or in the engine's own record."""
    return isinstance(value, dict) and value.get(_SIGNATURE) == _SECRET


def plain(value: Any) -> Any:
    """``value`` with secrets unwrapped."""
    if isinstance(value, Secret):
        return value.value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def has_secret(value: Any) -> bool:
    """Whether a secret stands anywhere in ``value``."""
    if isinstance(value, dict):
        return any(has_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(has_secret(item) for item in value)
    return isinstance(value, Secret)


def _from_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "struct_value":
        fields = value.struct_value.fields
        items = {key: _from_value(fields[key]) for key in sorted(fields)}
        if is_wire_secret(items):
            return Secret(plain(items.get("value")))
        return items
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "bool_value":
        return value.bool_value
    if kind == "number_value":
        # A Struct has one kind of number; Pulumi's properties mean whole ones by whole ones.
        number = value.number_value
        return int(number) if number.is_integer() else number
    return None


def _wire(value: Any) -> Any:
    if isinstance(value, Secret):
        return {_SIGNATURE: _SECRET, "value": value.value}
    if isinstance(value, dict):
        return {key: _wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_wire(item) for item in value]
    return value
