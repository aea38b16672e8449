"""The states of threads as the API shows them."""

from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Interrupt, StateSnapshot

from langgraph_agents_service.api.errors import ApiError
from langgraph_agents_service.api.schemas import Checkpoint
from langgraph_agents_service.persistence.registry.base import Thread
from langgraph_agents_service.projects.graphs import AnyGraph
from langgraph_agents_service.service import Service

Document = dict[str, Any]


def config_of(thread_id: str, checkpoint: Checkpoint | None = None) -> RunnableConfig:
    """The config that names a state: a checkpoint of the thread, or its latest one."""
    configurable: Document = {"thread_id": thread_id, "checkpoint_ns": ""}
    if checkpoint is not None:
        configurable["checkpoint_ns"] = checkpoint.checkpoint_ns
        if checkpoint.checkpoint_id is not None:
            configurable["checkpoint_id"] = str(checkpoint.checkpoint_id)
    return {"configurable": configurable}


async def graph_of(service: Service, thread: Thread) -> AnyGraph | None:
    """The graph that the thread has been run with; None if there has been no run yet."""
    graph_id = thread.metadata.get("graph_id")
    graph = service.graphs.find(str(graph_id)) if graph_id else None
    if graph is None:
        if graph_id:
            raise ApiError(
                404, f"the thread belongs to graph {graph_id!r}, which langgraph.json no longer has"
            )
        return None
    return await service.runner.driver.compiled(graph, config_of(thread.thread_id))


async def require_checkpoint(service: Service, thread_id: str, checkpoint: Checkpoint | None) -> None:
    """Raises ApiError 404 if the request names a checkpoint that is not there."""
    if checkpoint is None or checkpoint.checkpoint_id is None or service.saver is None:
        return
    if await service.saver.aget_tuple(config_of(thread_id, checkpoint)) is None:
        raise ApiError(404, f"thread {thread_id} has no checkpoint {checkpoint.checkpoint_id}")


def document(snapshot: StateSnapshot) -> Document:
    tasks = [
        {
            "id": task.id,
            "name": task.name,
            "path": task.path,
            "error": repr(task.error) if task.error else None,
            "interrupts": interrupts(task.interrupts),
            "checkpoint": _checkpoint(task.state) if isinstance(task.state, dict) else None,
            "state": document(task.state) if isinstance(task.state, StateSnapshot) else None,
            "result": task.result,
        }
        for task in snapshot.tasks
    ]
    return {
        "values": snapshot.values,
        "next": list(snapshot.next),
        "tasks": tasks,
        "metadata": snapshot.metadata or {},
        "created_at": snapshot.created_at,
        "checkpoint": (here := _checkpoint(snapshot.config)),
        "parent_checkpoint": (parent := _checkpoint(snapshot.parent_config)),
        "checkpoint_id": here and here["checkpoint_id"],
        "parent_checkpoint_id": parent and parent["checkpoint_id"],
        "interrupts": interrupts(snapshot.interrupts),
    }


def interrupts(given: Sequence[Interrupt]) -> list[Document]:
    """What a state waits for; the id is what `resume` names."""
    return [{"id": interrupt.id, "value": interrupt.value} for interrupt in given]


def _checkpoint(config: RunnableConfig | None) -> Document | None:
    if config is None:
        return None
    where = config.get("configurable", {})
    return {
        "thread_id": where.get("thread_id"),
        "checkpoint_ns": where.get("checkpoint_ns", ""),
        "checkpoint_id": where.get("checkpoint_id"),
        "checkpoint_map": where.get("checkpoint_map"),
    }


def part(document: Document, select: Sequence[str] | None) -> Document:
    """What was asked for of a state: whole fields, or single values as `values.<key>`."""
    if not select:
        return document
    found = {name: value for name, value in document.items() if name in select}
    keys = {name.removeprefix("values.") for name in select if name.startswith("values.")}
    values = document["values"]
    if keys and "values" not in found and isinstance(values, dict):
        found["values"] = {key: value for key, value in values.items() if key in keys}
    return found


def empty(thread_id: str) -> Document:
    """The state of a thread that has not run."""
    return document(
        StateSnapshot(
            values={},
            next=(),
            config=config_of(thread_id),
            metadata=None,
            created_at=None,
            parent_config=None,
            tasks=(),
            interrupts=(),
        )
    )
