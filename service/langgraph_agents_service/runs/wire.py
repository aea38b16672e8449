"""How LangGraph's values and streams look on the wire of the Agent Server API."""

import json
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import asdict, is_dataclass
from datetime import timedelta
from math import isfinite
from typing import Any

import orjson
from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message
from langgraph.types import Interrupt
from pydantic import BaseModel, TypeAdapter

STREAM_MODES = {
    "values": "values",
    "updates": "updates",
    "messages": "messages",
    "messages-tuple": "messages",
    "custom": "custom",
    "tasks": "tasks",
    "checkpoints": "checkpoints",
    "debug": "debug",
}
"""The API's stream modes, and LangGraph's mode that each is made from."""


INTERRUPTS = "__interrupt__"
"""Where values have what waits for an answer."""

_DURATION = TypeAdapter(timedelta)
"""ISO 8601, as LangGraph's server has durations."""

EVENTS = "events"
"""The mode of all events of all that a graph runs, which LangGraph streams in another way."""


def dumps(value: Any) -> bytes:
    """JSON of whatever a graph keeps in its state; what has no JSON form becomes its text."""
    option = orjson.OPT_NON_STR_KEYS
    if "numpy" in sys.modules:  # orjson would import it to look for arrays: 0.15 s and 12 MB for nothing
        option |= orjson.OPT_SERIALIZE_NUMPY
    try:
        return orjson.dumps(value, default=_plain, option=option)
    except TypeError:  # integers beyond 64 bits, lone surrogates
        # `?` for half a pair, as it is kept.
        return json.dumps(_deep(value), default=_deep_plain, ensure_ascii=False).encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, tuple):
        return value._asdict() if hasattr(value, "_asdict") else list(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, BaseException):
        return {"error": type(value).__name__, "message": str(value)}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b64encode(value).decode()
    if isinstance(value, timedelta):
        return _DURATION.dump_python(value, mode="json")
    return str(value)


def _deep(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _deep(item) for key, item in value.items()}
    if isinstance(value, float) and not isfinite(value):
        return None  # as orjson has it
    return [_deep(item) for item in value] if isinstance(value, (list, tuple)) else value


def _deep_plain(value: Any) -> Any:
    return _deep(_plain(value))


class Translator:
    """Turns what `astream` yields into named events with JSON data.

    `modes` are the API's stream modes. `values` is asked of LangGraph in any case, because the last of them is
    the outcome of the run; they become events only where the client wants them.
    """

    def __init__(self, modes: Sequence[str], *, subgraphs: bool) -> None:
        self._wanted = frozenset(modes)
        self._subgraphs = subgraphs
        self._messages: dict[str, BaseMessage] = {}
        self.modes: list[Any] = sorted({"values", *(STREAM_MODES[mode] for mode in modes if mode != EVENTS)})
        self.values: Any = None
        self.interrupts: dict[str, Interrupt] = {}
        """By their ids. LangGraph tells those of parallel tasks one after the other."""
        self.stopped = False
        """Whether the graph said that it stops, be it for nobody's answer."""

    def events(self, chunk: Any) -> Iterator[tuple[str, bytes]]:
        namespace, mode, data = chunk if self._subgraphs else ((), *chunk)
        if mode == "values" and not namespace:
            self.values = data
            if isinstance(data, dict) and INTERRUPTS in data:
                self.stopped = True
                self.interrupts |= {interrupt.id: interrupt for interrupt in data[INTERRUPTS]}
        if mode == "messages":
            yield from self._of_message(data, namespace)
        elif mode in self._wanted:
            yield "|".join((mode, *namespace)), dumps(data)

    def told(self, interrupts: Sequence[Interrupt]) -> bool:
        """Whether the last values have all of these."""
        last = self.values.get(INTERRUPTS, ()) if isinstance(self.values, dict) else ()
        return {interrupt.id for interrupt in interrupts} <= {interrupt.id for interrupt in last}

    def _of_message(self, data: tuple[BaseMessage, dict[str, Any]], namespace: tuple[str, ...]) -> Any:
        message, metadata = data
        if "messages-tuple" in self._wanted:
            yield "|".join(("messages", *namespace)), dumps([message, metadata])
        if "messages" not in self._wanted:
            return
        key = message.id or ""
        known = self._messages.get(key)
        if known is None:
            yield "messages/metadata", dumps({key: {"metadata": metadata}})
        if isinstance(message, BaseMessageChunk):
            whole = known + message if isinstance(known, BaseMessageChunk) else message
            self._messages[key] = whole
            yield "messages/partial", dumps([message_chunk_to_message(whole)])
        else:
            self._messages[key] = message
            yield "messages/complete", dumps([message])


def sse(event: str, data: bytes, seq: int | str | None = None) -> bytes:
    """One server-sent event. JSON from `dumps` has no line breaks, so one data line holds it."""
    number = b"" if seq is None else b"id: %s\r\n" % str(seq).encode()
    return b"event: %s\r\ndata: %s\r\n%s\r\n" % (event.encode(), data, number)
