"""LangGraph's Valkey saver with a key prefix, honest errors and deletion without KEYS.

The saver of langgraph-checkpoint-aws answers "no checkpoint" when the server is away, and a run would then
start its conversation anew; here the error gets through. Its keys have no prefix, so two agents could not
share a server, and it deletes by scanning the whole key space.
"""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
)
from langgraph_checkpoint_aws.checkpoint.valkey import AsyncValkeySaver  # type: ignore[import-untyped]
from valkey.asyncio import Valkey

from langgraph_agents_service.observability import metrics
from langgraph_agents_service.persistence.checkpointers.serializer import Serializer, naming_fields
from langgraph_agents_service.persistence.valkey_client import patiently


class PrefixedValkeySaver(AsyncValkeySaver):  # type: ignore[misc]  # the package has no type marker
    """AsyncValkeySaver below a key prefix. Raises valkey.exceptions.ValkeyError when the server stays away."""

    def __init__(
        self, client: Valkey, *, prefix: str, ttl_seconds: int, serializer: Serializer | None = None
    ) -> None:
        super().__init__(client, ttl=ttl_seconds, serde=serializer or Serializer())
        self._prefix = prefix

    # Only the thread id is inside the hash tag, so that a thread lives in one slot of a cluster.
    def _make_checkpoint_key(self, thread_id: str, checkpoint_ns: str, checkpoint_id: str) -> str:
        return f"{self._prefix}{super()._make_checkpoint_key(thread_id, checkpoint_ns, checkpoint_id)}"

    def _make_writes_key(self, thread_id: str, checkpoint_ns: str, checkpoint_id: str) -> str:
        return f"{self._prefix}{super()._make_writes_key(thread_id, checkpoint_ns, checkpoint_id)}"

    def _make_thread_key(self, thread_id: str, checkpoint_ns: str) -> str:
        return f"{self._prefix}{super()._make_thread_key(thread_id, checkpoint_ns)}"

    def _namespaces_key(self, thread_id: str) -> str:
        return f"{self._prefix}namespaces:{{{thread_id}}}"

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        metrics.series(metrics.checkpointer_operations, "put").inc()
        where = (
            str(config["configurable"]["thread_id"]),
            config["configurable"].get("checkpoint_ns", ""),
            checkpoint["id"],
        )
        with naming_fields(self.serde, checkpoint["channel_values"].items()):
            document = orjson.dumps(self._serialize_checkpoint_data(config, checkpoint, metadata))
        await patiently(partial(self._put, *where, document))
        names = ("thread_id", "checkpoint_ns", "checkpoint_id")
        return {"configurable": dict(zip(names, where, strict=True))}

    async def _put(self, thread_id: str, namespace: str, checkpoint_id: str, document: bytes) -> None:
        """Unlike the base class in a way that can be repeated when the answer of the server was lost."""
        newest_first = self._make_thread_key(thread_id, namespace)
        namespaces = self._namespaces_key(thread_id)
        async with self.client.pipeline() as pipe:
            pipe.set(
                self._make_checkpoint_key(thread_id, namespace, checkpoint_id), document, ex=int(self.ttl)
            )
            pipe.lrem(newest_first, 1, checkpoint_id)
            pipe.lpush(newest_first, checkpoint_id)
            pipe.expire(newest_first, int(self.ttl))
            pipe.sadd(namespaces, namespace)
            pipe.expire(namespaces, int(self.ttl))
            await pipe.execute()

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        metrics.series(metrics.checkpointer_operations, "put_writes").inc()
        with naming_fields(self.serde, writes):
            await patiently(partial(super().aput_writes, config, writes, task_id, task_path))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        metrics.series(metrics.checkpointer_operations, "get").inc()
        thread_id = str(config["configurable"]["thread_id"])
        namespace = config["configurable"].get("checkpoint_ns", "")
        return await patiently(partial(self._get, thread_id, namespace, get_checkpoint_id(config)))

    async def _get(self, thread_id: str, namespace: str, asked: str | None) -> CheckpointTuple | None:
        if asked is None:
            newest = await self.client.lindex(self._make_thread_key(thread_id, namespace), 0)
            if newest is None:
                return None
            checkpoint_id = newest.decode()
        else:
            checkpoint_id = asked
        async with self.client.pipeline(transaction=False) as pipe:
            pipe.get(self._make_checkpoint_key(thread_id, namespace, checkpoint_id))
            pipe.get(self._make_writes_key(thread_id, namespace, checkpoint_id))
            document, writes = await pipe.execute()
        if document is None:
            return None
        found: RunnableConfig = {
            "configurable": {
                "thread_id": thread_id,
                "checkpoint_ns": namespace,
                "checkpoint_id": checkpoint_id,
            }
        }
        entry: CheckpointTuple = self._deserialize_checkpoint_data(
            orjson.loads(document),
            self._parse_writes_blob(writes),
            thread_id,
            namespace,
            checkpoint_id,
            found,
        )
        return entry

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        metrics.series(metrics.checkpointer_operations, "list").inc()
        # The base class would list nothing, instead of failing, while the server is away.
        await self.client.ping()
        async for entry in super().alist(config, filter=filter, before=before, limit=limit):
            yield entry

    async def _all(self, thread_id: str) -> list[CheckpointTuple]:
        """The checkpoints of all namespaces, newest first in each."""
        found = []
        for namespace in await self.client.smembers(self._namespaces_key(thread_id)):
            where = {"thread_id": thread_id, "checkpoint_ns": namespace.decode()}
            found += [entry async for entry in self.alist({"configurable": where})]
        return found

    async def forget_run(self, thread_id: str, run_id: str) -> None:
        """Delete the checkpoints that a run wrote."""
        for entry in await self._all(thread_id):
            metadata: Any = entry.metadata
            if metadata.get("run_id") == run_id:
                where = entry.config["configurable"]
                namespace, checkpoint_id = where.get("checkpoint_ns", ""), where["checkpoint_id"]
                await self.client.lrem(self._make_thread_key(thread_id, namespace), 0, checkpoint_id)
                await self.client.unlink(
                    self._make_checkpoint_key(thread_id, namespace, checkpoint_id),
                    self._make_writes_key(thread_id, namespace, checkpoint_id),
                )

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        for entry in reversed(await self._all(source_thread_id)):
            where = entry.config["configurable"]
            to = {"thread_id": target_thread_id, "checkpoint_ns": where.get("checkpoint_ns", "")}
            parent = (entry.parent_config or {}).get("configurable", {})
            versions = entry.checkpoint["channel_versions"]
            made = await self.aput(
                {"configurable": {**to, "checkpoint_id": parent.get("checkpoint_id")}},
                entry.checkpoint,
                entry.metadata,
                versions,
            )
            for task_id in {write[0] for write in entry.pending_writes or ()}:
                writes = [(write[1], write[2]) for write in entry.pending_writes or () if write[0] == task_id]
                await self.aput_writes(made, writes, task_id)

    async def adelete_thread(self, thread_id: str) -> None:
        metrics.series(metrics.checkpointer_operations, "delete").inc()
        keys = [self._namespaces_key(thread_id)]
        for namespace in await self.client.smembers(keys[0]):
            thread_key = self._make_thread_key(thread_id, namespace.decode())
            keys.append(thread_key)
            for checkpoint_id in await self.client.lrange(thread_key, 0, -1):
                where = (thread_id, namespace.decode(), checkpoint_id.decode())
                keys += [self._make_checkpoint_key(*where), self._make_writes_key(*where)]
        for start in range(0, len(keys), 500):
            await self.client.unlink(*keys[start : start + 500])
