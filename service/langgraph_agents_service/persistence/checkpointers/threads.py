"""What LangGraph's savers cannot do: forget one run of a thread, and copy a thread."""

from copy import deepcopy
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_agents_service.persistence.checkpointers.postgres import GroupCommitSaver

Saver = BaseCheckpointSaver[Any]


async def forget_run(saver: Saver, thread_id: str, run_id: str) -> None:
    """Delete the checkpoints that a run wrote, and wait for what it still writes. In PostgreSQL they go with the run's
    entry, in one transaction."""
    if isinstance(saver, GroupCommitSaver):
        await saver.settle()
    elif isinstance(saver, InMemorySaver):
        for namespace, kept in saver.storage.get(thread_id, {}).items():
            for checkpoint_id, (_, metadata, _) in list(kept.items()):
                if saver.serde.loads_typed(metadata).get("run_id") == run_id:
                    del kept[checkpoint_id]
                    saver.writes.pop((thread_id, namespace, checkpoint_id), None)
    else:
        from langgraph_agents_service.persistence.checkpointers.valkey import PrefixedValkeySaver

        if isinstance(saver, PrefixedValkeySaver):
            await saver.forget_run(thread_id, run_id)


async def copy_thread(saver: Saver, source: str, target: str) -> None:
    """Give a new thread the checkpoints of another one."""
    if isinstance(saver, InMemorySaver):
        saver.storage[target] = deepcopy(saver.storage[source])
        for (thread_id, namespace, checkpoint_id), writes in list(saver.writes.items()):
            if thread_id == source:
                saver.writes[(target, namespace, checkpoint_id)] = dict(writes)
        for (thread_id, *rest), blob in list(saver.blobs.items()):
            if thread_id == source:
                saver.blobs[(target, *rest)] = blob  # type: ignore[index]
    else:
        await saver.acopy_thread(source, target)
