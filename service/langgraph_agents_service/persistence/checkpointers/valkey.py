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
from langgraph_agents_service.persistence.valkey_commands import Commands

# One command each, of which nothing is seen before all of it is done. They may be repeated.

_PUT = """
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[4])
redis.call('LREM', KEYS[2], 1, ARGV[2])
redis.call('LPUSH', KEYS[2], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('SADD', KEYS[3], ARGV[3])
redis.call('EXPIRE', KEYS[3], ARGV[4])"""

# What a task has written already stays, but for LangGraph's own channels, whose index is negative.
_PUT_WRITES = """
local known = redis.call('GET', KEYS[1])
local writes = ARGV[1]
if known then
  local merged, places = cjson.decode(known), {}
  for place, write in ipairs(merged) do places[write.task_id .. ' ' .. write.idx] = place end
  for _, write in ipairs(cjson.decode(writes)) do
    local name = write.task_id .. ' ' .. write.idx
    if not places[name] then
      merged[#merged + 1] = write
      places[name] = #merged
    elseif write.idx < 0 then
      merged[places[name]] = write
    end
  end
  writes = cjson.encode(merged)
end
redis.call('SET', KEYS[1], writes, 'EX', ARGV[2])"""

# The latest checkpoint, or that of an id, with its writes.
_GET = """
local name = ARGV[1]
if name == '' then name = redis.call('LINDEX', KEYS[1], 0) end
if not name then return {false, false, false} end
return {name, redis.call('GET', ARGV[2] .. name), redis.call('GET', ARGV[3] .. name)}"""


class PrefixedValkeySaver(AsyncValkeySaver):  # type: ignore[misc]  # the package has no type marker
    """AsyncValkeySaver below a key prefix. Raises valkey.exceptions.ValkeyError when the server stays away."""

    def __init__(
        self, client: Valkey, *, prefix: str, ttl_seconds: int, serializer: Serializer | None = None
    ) -> None:
        super().__init__(client, ttl=ttl_seconds, serde=serializer or Serializer())
        self._prefix = prefix
        self._commands = Commands(client)

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
        keys = (
            self._make_checkpoint_key(thread_id, namespace, checkpoint_id),
            self._make_thread_key(thread_id, namespace),
            self._namespaces_key(thread_id),
        )
        values = (document, checkpoint_id, namespace, int(self.ttl))
        await self._commands.run(("EVAL", _PUT, len(keys), *keys, *values))

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        metrics.series(metrics.checkpointer_operations, "put_writes").inc()
        where = config["configurable"]
        key = self._make_writes_key(
            str(where["thread_id"]), where.get("checkpoint_ns", ""), where["checkpoint_id"]
        )
        with naming_fields(self.serde, writes):
            document = orjson.dumps(self._serialize_writes_data(writes, task_id))
        if writes:
            command = ("EVAL", _PUT_WRITES, 1, key, document, int(self.ttl))
            await patiently(partial(self._commands.run, command))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        metrics.series(metrics.checkpointer_operations, "get").inc()
        thread_id = str(config["configurable"]["thread_id"])
        namespace = config["configurable"].get("checkpoint_ns", "")
        return await patiently(partial(self._get, thread_id, namespace, get_checkpoint_id(config)))

    async def _get(self, thread_id: str, namespace: str, asked: str | None) -> CheckpointTuple | None:
        values = (
            asked or "",
            self._make_checkpoint_key(thread_id, namespace, ""),
            self._make_writes_key(thread_id, namespace, ""),
        )
        command = ("EVAL", _GET, 1, self._make_thread_key(thread_id, namespace), *values)
        ((name, document, writes),) = await self._commands.run(command)
        if document is None:
            return None
        checkpoint_id = name.decode()
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
        """Delete the checkpoints that a run wrote, and wait for what it still writes."""
        await self._commands.settle()
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
