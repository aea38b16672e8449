"""How a run is shown to those who ask, and told to those who wait."""

from langgraph_agents_service.persistence.registry.base import Json, Run


def document(run: Run) -> Json:
    """A run as the API shows it."""
    asked = run.payload
    return {
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "assistant_id": run.assistant_id,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "status": run.status,
        "metadata": run.metadata,
        "multitask_strategy": run.multitask_strategy,
        "kwargs": {
            "input": asked.get("input"),
            "command": asked.get("command"),
            "config": _config(run),
            "context": asked.get("context"),
            "checkpoint": asked.get("checkpoint"),
            "stream_mode": asked.get("stream_mode"),
            "subgraphs": asked.get("stream_subgraphs", False),
            "resumable": run.record_events,
            "interrupt_before": asked.get("interrupt_before"),
            "interrupt_after": asked.get("interrupt_after"),
            "durability": asked.get("durability"),
            "feedback_keys": asked.get("feedback_keys"),
            "temporary": asked.get("temporary", False),
        },
    }


def _config(run: Run) -> Json:
    given = run.payload.get("config") or {}
    names = {
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "graph_id": run.graph_id,
        "assistant_id": run.assistant_id,
    }
    return {
        **given,
        "metadata": run.metadata,
        "configurable": {**(given.get("configurable") or {}), **names},
    }
