"""Property values between the engine's protocol and plain Python.

Numbers that are whole become `int`, since Kubernetes refuses `3.0` for an integer. A value that is not known yet
stays the engine's placeholder string; `is_known` tells whether a tree has none.
"""

from collections.abc import Collection, Mapping
from typing import Any

from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value

Properties = dict[str, Any]

# From the engine's protocol: what marks a map as a typed value, and the mark of a secret.
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105

# The engine's placeholders for a bool, number, string, array, asset, archive and object that are not known yet.
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_PLACEHOLDERS = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        UNKNOWN,
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)


def decode(properties: Struct) -> Properties:
    """The properties of a request, without the marks of secrets."""
    return {key: _decode(value) for key, value in properties.fields.items()}


def encode(properties: Mapping[str, Any], secrets: Collection[str] = ()) -> Struct:
    """Properties for an answer; those named in `secrets` are marked so that the engine encrypts them."""
    return Struct(
        fields={
            key: _secret(_encode(value)) if key in secrets else _encode(value)
            for key, value in properties.items()
        }
    )


def is_secret(value: Any) -> bool:
    """Whether a value, as the engine writes it, is one that it keeps encrypted."""
    return isinstance(value, Mapping) and value.get(_SIGNATURE) == _SECRET


def is_known(value: Any) -> bool:
    """Whether no part of a value is still to be computed."""
    if isinstance(value, Mapping):
        return all(is_known(item) for item in value.values())
    if isinstance(value, list):
        return all(is_known(item) for item in value)
    return not (isinstance(value, str) and value in _PLACEHOLDERS)


def _decode(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            fields = value.struct_value.fields
            if _SIGNATURE in fields and fields[_SIGNATURE].string_value == _SECRET:
                return _decode(fields["value"])
            return decode(value.struct_value)
        case "list_value":
            return [_decode(item) for item in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _encode(value: Any) -> Value:
    match value:
        case None:
            return Value(null_value=NullValue.NULL_VALUE)
        case bool():
            return Value(bool_value=value)
        case int() | float():
            return Value(number_value=value)
        case str():
            return Value(string_value=value)
        case Mapping():
            return Value(struct_value=encode(value))
        case list() | tuple():
            return Value(list_value=ListValue(values=[_encode(item) for item in value]))
        case _:
            raise TypeError(f"{type(value).__name__} is no property value: {value!r}")


def _secret(value: Value) -> Value:
    return Value(struct_value=Struct(fields={_SIGNATURE: Value(string_value=_SECRET), "value": value}))
