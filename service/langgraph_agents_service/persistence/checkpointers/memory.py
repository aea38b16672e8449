"""LangGraph's saver in memory, whose errors name the field that cannot be kept."""

from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_agents_service.persistence.checkpointers.serializer import naming_fields


class MemorySaver(InMemorySaver):
    """Raises UnserializableError."""

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        with naming_fields(self.serde, checkpoint["channel_values"].items()):
            return super().put(config, checkpoint, metadata, new_versions)

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        with naming_fields(self.serde, writes):
            super().put_writes(config, writes, task_id, task_path)
