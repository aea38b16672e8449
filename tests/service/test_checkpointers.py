"""The savers against LangGraph's own, and against servers that misbehave."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import Command
from psycopg.rows import dict_row
from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from langgraph_agents_service.persistence.batcher import Batcher
from langgraph_agents_service.persistence.checkpointers import fence
from langgraph_agents_service.persistence.checkpointers.fence import Fence, RunOverError
from langgraph_agents_service.persistence.checkpointers.postgres import NO_CHECKPOINTS, GroupCommitSaver
from langgraph_agents_service.persistence.checkpointers.valkey import PrefixedValkeySaver
from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.persistence.valkey_commands import Commands
from tests.service.graphs import steps

TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


def at(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id}}


async def converse(saver: Any, thread_id: str) -> Any:
    """Runs with steps, an interrupt and its resumption, and a change by hand."""
    chain = steps.builder.compile(checkpointer=saver)
    ask = steps.compiled.copy(update={"checkpointer": saver})
    await chain.ainvoke({"tag": "t"}, at(thread_id), durability="sync")
    await chain.aupdate_state(at(thread_id), {"done": ["extra"]}, as_node="four")
    await ask.ainvoke({}, at(thread_id), durability="sync")
    return await ask.ainvoke(Command(resume="yes"), at(thread_id), durability="sync")


async def test_it_writes_what_langgraphs_own_saver_writes(database: Database, database_uri: str) -> None:
    ours, theirs = str(uuid.uuid4()), str(uuid.uuid4())
    async with await psycopg.AsyncConnection.connect(
        database_uri, autocommit=True, prepare_threshold=0, row_factory=dict_row
    ) as connection:
        stock = AsyncPostgresSaver(connection)
        assert await converse(GroupCommitSaver(database), ours) == await converse(stock, theirs)
        for table in TABLES:
            counts = [
                [
                    tuple(row.values())
                    for row in await database.fetch(
                        f"SELECT {columns}, count(*) FROM {table} WHERE thread_id = %s "  # noqa: S608
                        f"GROUP BY {columns} ORDER BY {columns}",
                        (thread_id,),
                    )
                ]
                for thread_id in (ours, theirs)
                for columns in (
                    ["metadata ->> 'source', metadata ->> 'step', parent_checkpoint_id IS NULL"]
                    if table == "checkpoints"
                    else ["channel, type"]
                )
            ]
            assert counts[0] == counts[1], table
        for reader, writer in ((stock, ours), (GroupCommitSaver(database), theirs)):
            read = [found async for found in reader.alist(at(writer))]
            own = [found async for found in (stock if writer == theirs else reader).alist(at(writer))]
            assert [f.checkpoint for f in read] == [f.checkpoint for f in own]
            latest = await reader.aget_tuple(at(writer))
            assert latest is not None
            assert latest.checkpoint["channel_values"]["done"][-1] == "yes"


async def test_runs_side_by_side_do_not_mix(database: Database) -> None:
    graph = steps.builder.compile(checkpointer=GroupCommitSaver(database))
    threads = [str(uuid.uuid4()) for _ in range(50)]
    await asyncio.gather(*(graph.ainvoke({"tag": t}, at(t)) for t in threads))
    for thread_id in threads:
        state = await graph.aget_state(at(thread_id))
        assert (state.values["tag"], state.values["done"]) == (thread_id, ["one", "two", "three", "four"])


async def test_a_write_that_is_repeated_counts_once_and_control_writes_are_replaced(
    database: Database,
) -> None:
    saver = GroupCommitSaver(database)
    thread_id, checkpoint_id = str(uuid.uuid4()), str(uuid.uuid4())
    where: Any = {
        "configurable": {"thread_id": thread_id, "checkpoint_ns": "", "checkpoint_id": checkpoint_id}
    }
    await asyncio.gather(*(saver.aput_writes(where, [("done", n)], "task") for n in range(3)))
    await saver.aput_writes(where, [("__interrupt__", "a")], "task")
    await saver.aput_writes(where, [("__interrupt__", "b")], "task")
    await saver.aput_writes(where, [], "task")
    rows = await database.fetch(
        "SELECT channel, type, blob FROM checkpoint_writes WHERE thread_id = %s ORDER BY channel",
        (thread_id,),
    )
    values = {row["channel"]: saver.serde.loads_typed((row["type"], row["blob"])) for row in rows}
    assert values == {"__interrupt__": "b", "done": 0}


async def test_an_attempt_that_was_taken_over_keeps_nothing_and_others_beside_it_do(
    database: Database,
) -> None:
    saver = GroupCommitSaver(database)
    lost, kept = [await _held(database) for _ in range(2)]
    await database.fetch("UPDATE agent_runs SET attempt = attempt + 1 WHERE run_id = %s", (lost.run_id,))
    graph = steps.builder.compile(checkpointer=saver)

    async def execute(held: Fence) -> Any:
        fence.current.set(held)
        return await graph.ainvoke({"tag": "t"}, at(held.thread_id))

    outcomes = await asyncio.gather(*(execute(held) for held in (lost, kept)), return_exceptions=True)
    assert isinstance(outcomes[0], RunOverError)
    assert isinstance(outcomes[1], dict)
    assert outcomes[1]["done"] == ["one", "two", "three", "four"]
    for table in TABLES:
        rows = await database.fetch(f"SELECT DISTINCT thread_id FROM {table}")  # noqa: S608
        found = {row["thread_id"] for row in rows}
        assert lost.thread_id not in found
        assert kept.thread_id in found


async def _held(database: Database) -> Fence:
    """A run in the hands of a process."""
    thread_id, run_id, worker_id = (str(uuid.uuid4()) for _ in range(3))
    await database.fetch(
        "INSERT INTO agent_threads (thread_id, owner, metadata, status) VALUES (%s, 'o', '{}', 'busy')",
        (thread_id,),
    )
    await database.fetch(
        "INSERT INTO agent_runs (run_id, thread_id, assistant_id, graph_id, status, worker_id, attempt, payload,"
        " metadata, multitask_strategy, record_events)"
        " VALUES (%s, %s, 'steps', 'steps', 'running', %s, 1, '{}', '{}', 'enqueue', false)",
        (run_id, thread_id, worker_id),
    )
    return Fence(thread_id, run_id, worker_id, 1, threading.Event())


async def test_the_first_look_is_spared_only_once(database: Database) -> None:
    saver = GroupCommitSaver(database)
    thread_id = str(uuid.uuid4())
    await steps.builder.compile(checkpointer=saver).ainvoke({}, at(thread_id))
    config = {"configurable": {"thread_id": thread_id, NO_CHECKPOINTS: [True]}}
    assert await saver.aget_tuple(config) is None  # type: ignore[arg-type]
    assert await saver.aget_tuple(config) is not None  # type: ignore[arg-type]


async def test_who_comes_a_step_later_leaves_in_the_same_batch() -> None:
    batches: list[list[int]] = []

    async def flush(items: list[int]) -> list[int]:
        batches.append(items)
        return items

    batcher = Batcher(flush)

    async def after(steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        await batcher.submit(steps)

    await asyncio.gather(*(after(steps) for steps in range(0, 12, 3)))
    assert batches == [[0, 3, 6, 9]]


async def test_one_bad_item_of_a_batch_fails_alone() -> None:
    async def flush(items: list[int]) -> list[int]:
        if 3 in items:
            raise ValueError("three is bad")
        return [item * 2 for item in items]

    batcher = Batcher(flush)
    results = await asyncio.gather(*(batcher.submit(n) for n in range(5)), return_exceptions=True)
    assert [r for r in results if not isinstance(r, ValueError)] == [0, 2, 4, 8]
    assert isinstance(results[3], ValueError)


@pytest.fixture
async def valkey(valkey_uri: str) -> AsyncIterator[Valkey]:
    client = Valkey.from_url(valkey_uri)
    yield client
    await client.aclose()


async def test_valkey_keys_have_their_prefix_and_their_end(valkey: Valkey) -> None:
    prefix = f"{uuid.uuid4()}:"
    saver = PrefixedValkeySaver(valkey, prefix=prefix, ttl_seconds=100)
    thread_id = str(uuid.uuid4())
    values = await converse(saver, thread_id)
    assert values["done"][-1] == "yes"
    keys = [key async for key in valkey.scan_iter(match=f"*{thread_id}*")]
    assert keys
    for key in keys:
        assert key.decode().startswith(prefix)
        assert 0 < await valkey.ttl(key) <= 100
    await saver.adelete_thread(thread_id)
    assert [key async for key in valkey.scan_iter(match=f"*{thread_id}*")] == []


async def test_valkey_keeps_writes_of_tasks_side_by_side_once_and_replaces_control_writes(
    valkey: Valkey,
) -> None:
    saver = PrefixedValkeySaver(valkey, prefix=f"{uuid.uuid4()}:", ttl_seconds=100)
    thread_id = str(uuid.uuid4())
    await steps.builder.compile(checkpointer=saver).ainvoke({}, at(thread_id))
    latest = await saver.aget_tuple(at(thread_id))
    assert latest is not None
    where = latest.config
    await asyncio.gather(
        *(saver.aput_writes(where, [("done", n), ("tag", "é/☂")], f"task {n}") for n in range(9))
    )
    for again in ("a", "b"):
        await saver.aput_writes(where, [("done", again)], "task 3")
        await saver.aput_writes(where, [("__interrupt__", again)], "task 3")
    await saver.aput_writes(where, [], "task 4")
    for found in (await saver.aget_tuple(where), await anext(saver.alist(at(thread_id)))):
        assert found is not None
        writes = found.pending_writes or []
        assert len(writes) == 19
        assert {(task, value) for task, channel, value in writes if channel == "done"} == {
            (f"task {n}", n) for n in range(9)
        }
        assert {value for _, channel, value in writes if channel == "tag"} == {"é/☂"}
        assert ("task 3", "__interrupt__", "b") in writes


async def test_a_command_that_valkey_refuses_fails_alone(valkey: Valkey) -> None:
    commands = Commands(valkey)
    name = str(uuid.uuid4())
    results = await asyncio.gather(
        commands.run(("SET", name, "a")),
        commands.run(("LPUSH", name, "b")),
        commands.run(("GET", name)),
        return_exceptions=True,
    )
    assert isinstance(results[1], ValkeyError)
    assert results[2] == [b"a"]


async def test_a_valkey_that_is_away_is_an_error_and_not_an_empty_thread() -> None:
    saver = PrefixedValkeySaver(Valkey(port=9), prefix="p:", ttl_seconds=100)
    with pytest.raises(ValkeyError):
        await saver.aget_tuple(at("t"))
    with pytest.raises(ValkeyError):
        _ = [found async for found in saver.alist(at("t"))]
