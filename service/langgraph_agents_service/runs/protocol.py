"""Runs that are told as LangGraph's event streaming protocol has it: `client.threads.stream` starts and follows them.

LangGraph makes the protocol's events itself (`astream_events(version="v3")`, from 1.2 on). They are published under the
names that other runs' events have, so that they are recorded, resumed and read on other processes like those.
"""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

from langchain_core._api.beta_decorator import suppress_langchain_beta_warning

from langgraph_agents_service.runs.wire import INTERRUPTS, dumps

PROTOCOL = "protocol"
"""The stream mode of such a run."""

SUPPORTED = find_spec("langgraph.stream") is not None

_MODES = ("updates", "custom", "tasks", "checkpoints", "tools")
"""What LangGraph streams besides values, messages and the lifecycle of subgraphs only where it is asked."""


async def stream(graph: Any, given: Any, config: Any, how: dict[str, Any]) -> AsyncIterator[Any]:
    """The protocol's events, those of all subgraphs included."""
    tasks: deque[Any] = deque()
    mine = {name: value for name, value in how.items() if name not in ("stream_mode", "subgraphs")}
    with suppress_langchain_beta_warning():
        run = await graph.astream_events(
            given, config, version="v3", transformers=[lambda scope: _whole()(scope, tasks)], **mine
        )
    async with run:
        async for event in run:
            while tasks:
                yield tasks.popleft()
            yield event
        while tasks:
            yield tasks.popleft()


@cache
def _whole() -> Any:
    """A transformer that asks for all modes. LangGraph swallows `tasks`, which it makes subgraphs' lifecycle of, so
    that it keeps them aside."""
    from langgraph.stream import StreamTransformer

    class Whole(StreamTransformer):
        required_stream_modes = _MODES

        def __init__(self, scope: tuple[str, ...], tasks: deque[Any]) -> None:
            super().__init__(scope)
            self._tasks = tasks

        def init(self) -> dict[str, Any]:
            return {}

        def process(self, event: Any) -> bool:
            # Those of subgraphs come by here as well; children of this transformer hear of them once more.
            if event["method"] == "tasks" and not self.scope:
                self._tasks.append(event)
            return True

    return Whole


class ProtocolTranslator:
    """Turns the protocol's events into named events with JSON data, in the place of a `Translator`."""

    modes: tuple[str, ...] = ()
    values: Any = None
    """Always None: the outcome is read from the state, since LangGraph tells values and interrupts apart here."""

    def __init__(self) -> None:
        self.interrupts: dict[str, Any] = {}
        self.stopped = False
        self._messages: dict[Any, str] = {}
        """Ids of the messages that are being written, by the run of their model."""

    def events(self, event: Any) -> Iterator[tuple[str, bytes]]:
        method, params = event["method"], event["params"]
        namespace, data = params["namespace"], params["data"]
        if method == "messages":
            data = self._message(data)
            if data is None:
                return
        elif method == "lifecycle":
            namespace = data["namespace"]
        elif method == "values" and params.get("interrupts"):
            data = {**(data if isinstance(data, dict) else {}), INTERRUPTS: list(params["interrupts"])}
        yield "|".join((method, *namespace)), dumps(data)

    def told(self, _interrupts: Any) -> bool:
        return True

    def _message(self, data: Any) -> Any:
        """None for whole messages, which values have as well. Each part says which message it is of: those of nodes
        side by side come mixed."""
        part, metadata = data
        if not isinstance(part, dict):
            return None
        run = metadata.get("run_id")
        if part.get("event") == "message-start":
            self._messages[run] = part.get("id") or part.get("message_id") or ""
        return {**part, "message_id": self._messages.get(run, "")}
