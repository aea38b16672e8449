"""How values of threads become bytes: LangGraph's msgpack, integers of any size, errors that name their field."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import ormsgpack
from langgraph.checkpoint.serde import jsonplus
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_agents_service.persistence.checkpointers import fence

_BIG_INTEGERS = "msgpack-bigint"
"""The type of msgpack that has integers beyond 64 bits; the rest stays readable for LangGraph's own serializer."""

_BIG_INTEGER = 100
"""Their extension code: bytes of a signed integer, the highest first. LangGraph's codes end at 7."""


class UnserializableError(TypeError):
    """A value cannot be kept in a thread; the text names its field and its type."""


class Serializer(JsonPlusSerializer):
    """Raises UnserializableError."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        try:
            return super().dumps_typed(obj)
        except TypeError:
            try:
                return _BIG_INTEGERS, _packed(obj)
            except TypeError as error:
                raise UnserializableError(_why(obj, error)) from error

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        kind, packed = data
        if kind != _BIG_INTEGERS:
            return super().loads_typed(data)

        def unpack(code: int, extension: bytes) -> Any:
            if code == _BIG_INTEGER:
                return int.from_bytes(extension, signed=True)
            return self._unpack_ext_hook(code, extension)

        return ormsgpack.unpackb(packed, ext_hook=unpack, option=ormsgpack.OPT_NON_STR_KEYS)


@contextmanager
def naming_fields(serializer: Any, values: Iterable[tuple[str, Any]]) -> Iterator[None]:
    """While `values`, by the names of their fields, are kept: an error says which of them cannot be. Raises
    RunOverError where nothing may be kept any more."""
    fence.check()
    try:
        yield
    except UnserializableError:
        for name, value in values:
            try:
                serializer.dumps_typed(value)
            except UnserializableError as error:
                raise UnserializableError(f"the field {name!r} cannot be kept: {error}") from error
        raise


def _packed(value: Any) -> bytes:
    # Private names, because LangGraph has no public ones for how it packs what msgpack does not know.
    option = jsonplus._option | ormsgpack.OPT_PASSTHROUGH_BIG_INT
    return ormsgpack.packb(value, default=_default, option=option)


def _default(value: Any) -> Any:
    if isinstance(value, int):
        return ormsgpack.Ext(_BIG_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, signed=True))
    return jsonplus._msgpack_default(value)


def _why(value: Any, error: TypeError) -> str:
    """Where in a value the part is that cannot be packed, and what it is."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    for key, item in items:
        try:
            _packed(item)
        except TypeError as deeper:
            return f"[{key!r}] {_why(item, deeper)}"
    return f"{error} (a {type(value).__name__})"
