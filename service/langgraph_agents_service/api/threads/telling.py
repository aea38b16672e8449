"""What runs publish, as events of LangGraph's event streaming protocol (`langchain_protocol` has its types)."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field

from langgraph_agents_service.api.schemas import Body
from langgraph_agents_service.persistence.registry.base import Run, RunStatus
from langgraph_agents_service.runs.wire import INTERRUPTS

Event = dict[str, Any]

CHANNELS = (
    "values",
    "updates",
    "messages",
    "tools",
    "lifecycle",
    "input",
    "checkpoints",
    "tasks",
    "custom",
)


def _known(channel: str) -> str:
    if channel in CHANNELS or (channel.startswith("custom:") and channel != "custom:"):
        return channel
    raise ValueError(f"there is no channel {channel!r}; it is one of {', '.join(CHANNELS)}, or custom:<name>")


class Subscription(Body):
    """Which events of a thread somebody wants."""

    channels: list[Annotated[str, AfterValidator(_known)]] = Field(min_length=1, max_length=100)
    namespaces: list[list[str]] | None = Field(
        None, max_length=1000, description="What the namespaces of events begin with."
    )
    depth: int | None = Field(None, ge=0, description="How far below these they may be.")
    since: int | None = Field(None, ge=0, lt=2**63, description="Only events with a greater `seq`.")

    @property
    def states_alone(self) -> bool:
        """What a client listens to beside its other streams, to know how its runs go."""
        return set(self.channels) <= {"lifecycle", "input"}

    def wants(self, event: Event) -> bool:
        return self._has_channel(event) and (
            not self.namespaces or any(self._is_below(event, above) for above in self.namespaces)
        )

    def _has_channel(self, event: Event) -> bool:
        method, data = event["method"], event["params"]["data"]
        if method == "custom" and f"custom:{data.get('name')}" in self.channels:
            return True
        return ("input" if method == "input.requested" else method) in self.channels

    def _is_below(self, event: Event, above: list[str]) -> bool:
        """A name without an id, as `agent`, stands for each of its tasks, as `agent:1f2e`."""
        namespace = event["params"]["namespace"]
        below = len(namespace) - len(above)
        return (
            below >= 0
            and (self.depth is None or below <= self.depth)
            and all(part in (own, own.partition(":")[0]) for own, part in zip(namespace, above, strict=False))
        )


_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_PER_MILLISECOND = 4096


def first_seq(run: Run) -> int:
    """The `seq` below those of a run. They rise over all runs of a thread on any process, and are the same whenever
    they are told: the milliseconds until the run was made leave room for the number of the event within the run. Below
    2^53 until 2089, because JavaScript counts no further."""
    return int((run.created_at - _EPOCH).total_seconds() * 1000) * _PER_MILLISECOND


class Telling:
    """The protocol's events of one run, of what it publishes, in order."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._count = 0
        self._status = ""
        self._asked: set[str] = set()

    def of(self, name: str, data: bytes) -> Iterator[Event]:
        """None for what has no place in the protocol: parts of messages as other runs stream them, for example."""
        method, *namespace = name.split("|")
        value = orjson.loads(data)
        if method == "metadata" and not self._status:
            yield self._lifecycle("running")
        elif method == "error":
            yield self._lifecycle("failed", error=value.get("message"))
        elif method == "values":
            yield from self._of_values(namespace, value)
        elif (method == "updates" and INTERRUPTS not in value) or (
            method == "messages" and isinstance(value, dict)
        ):
            yield self._event(method, namespace, value)
        elif method == "checkpoints":
            yield self._event(method, namespace, _checkpoint(value))
        elif method in ("tasks", "tools", "lifecycle"):
            yield self._event(method, namespace, value)
        elif method == "custom":
            yield self._event(method, namespace, {"payload": value})
        elif method.startswith("custom:"):
            named = {"name": method.removeprefix("custom:"), "payload": value}
            yield self._event("custom", namespace, named)

    def end(self, status: RunStatus) -> Iterator[Event]:
        """How the run ended, if it has not been told."""
        if self._status == "running":
            ends = {RunStatus.SUCCESS: "completed", RunStatus.INTERRUPTED: "interrupted"}
            yield self._lifecycle(ends.get(status, "failed"))

    def _of_values(self, namespace: list[str], value: Any) -> Iterator[Event]:
        if not isinstance(value, dict):
            yield self._event("values", namespace, value)
            return
        asked = False
        for interrupt in value.pop(INTERRUPTS, ()):
            if interrupt["id"] not in self._asked:
                self._asked.add(interrupt["id"])
                asked = True
                # `payload` is the protocol's name, `value` the one that the Python SDK looks for.
                question = dict.fromkeys(("payload", "value"), interrupt["value"])
                yield self._event("input.requested", namespace, {"interrupt_id": interrupt["id"], **question})
        if asked and self._status == "running":
            yield self._lifecycle("interrupted")
        if value:
            yield self._event("values", namespace, value)

    def _lifecycle(self, status: str, **more: Any) -> Event:
        self._status = status
        return self._event("lifecycle", [], {"event": status, "graph_name": self._run.graph_id, **more})

    def _event(self, method: str, namespace: list[str], data: Any) -> Event:
        self._count += 1
        return {
            "type": "event",
            "event_id": f"{self._run.run_id}-{self._count}",
            "seq": first_seq(self._run) + self._count,
            "method": method,
            "params": {"namespace": namespace, "timestamp": int(time.time() * 1000), "data": data},
        }


def _checkpoint(value: Any) -> Any:
    """Of a checkpoint as LangGraph streams it, what the protocol tells: where one could go on from."""

    def id_of(config: Any) -> Any:
        return ((config or {}).get("configurable") or {}).get("checkpoint_id")

    metadata = value.get("metadata") or {}
    told = {"id": id_of(value.get("config")), "step": metadata.get("step"), "source": metadata.get("source")}
    parent = id_of(value.get("parent_config"))
    return {**told, "parent_id": parent} if parent else told
