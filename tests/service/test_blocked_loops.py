"""A node that blocks the event loop of its process: its run keeps its lease, and its graph is named."""

import asyncio
import logging
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from psycopg import AsyncConnection
from valkey.asyncio import Valkey

from tests.service.graphs import slow
from tests.service.serving import serving

SLOW = Path(__file__).parent / "graphs" / "slow.json"


async def test_a_run_that_blocks_its_process_for_longer_than_the_lease_is_executed_once(
    database_uri: str,
) -> None:
    tag = uuid.uuid4().hex
    given: dict[str, Any] = {"database_uri": database_uri, "lease_seconds": 1, "langgraph_config": SLOW}
    with serving(**given) as first, serving(**given) as second:
        async with first.client() as client, second.client() as other:
            thread_id = (await client.threads.create())["thread_id"]
            run = await client.runs.create(thread_id, "blocking", input={"seconds": 4, "tag": tag})
            await asyncio.sleep(0.5)
            begin = time.monotonic()
            free: Any = await other.runs.wait(None, "steps", input={})
            assert free["done"] == ["one", "two", "three", "four"]
            assert time.monotonic() - begin < 2, "the other process serves meanwhile"
            values: Any = await other.runs.join(thread_id, run["run_id"])
            assert values["text"] == "blocked"
            assert (await other.runs.get(thread_id, run["run_id"]))["status"] == "success"
    assert slow.began[tag] == 1


async def test_a_process_that_is_blocked_for_longer_than_a_run_may_take_loses_its_runs(
    database_uri: str,
) -> None:
    given: dict[str, Any] = {"database_uri": database_uri, "lease_seconds": 1, "langgraph_config": SLOW}
    with serving(**given, run_timeout_seconds=1) as first:
        async with first.client() as client, await AsyncConnection.connect(database_uri) as database:
            thread_id = (await client.threads.create())["thread_id"]
            await client.runs.create(thread_id, "blocking", input={"seconds": 6})
            await asyncio.sleep(5)
            worker: Any = first.service.registry
            found = await database.execute(
                "SELECT beat_at < now() - interval '1 s' FROM agent_workers WHERE worker_id = %s",
                (worker.worker_id,),
            )
            assert await found.fetchone() == (True,)


async def test_a_thread_in_valkey_stays_taken_while_its_run_blocks_the_process(
    valkey_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langgraph_agents_service.persistence.registry.keyvalue.LOCK_SECONDS", 2)
    given: dict[str, Any] = {"checkpointer": "valkey", "redis_uri": valkey_uri, "lease_seconds": 1}
    with serving(**given, langgraph_config=SLOW, cache_key_prefix="blocked:") as served:
        async with served.client() as client, Valkey.from_url(valkey_uri) as valkey:
            thread_id = (await client.threads.create())["thread_id"]
            await client.runs.create(thread_id, "blocking", input={"seconds": 4})
            await asyncio.sleep(3.2)
            assert await valkey.exists(f"blocked:holder:{thread_id}")


async def test_the_graph_that_blocks_is_named_by_the_log_and_the_metrics(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def blocked(graph: str) -> float:
        return REGISTRY.get_sample_value("agent_event_loop_blocked_seconds_total", {"graph": graph}) or 0.0

    before = blocked("blocking"), blocked("waiting")
    with (
        caplog.at_level(logging.WARNING),
        serving(checkpointer="memory", langgraph_config=SLOW) as served,
    ):
        async with served.client() as client:
            thread_id = (await client.threads.create())["thread_id"]
            run = await client.runs.create(thread_id, "blocking", input={"seconds": 2.5})
            await client.runs.join(thread_id, run["run_id"])
            await client.runs.wait(None, "waiting", input={"seconds": 2})
    (line,) = [record for record in caplog.records if record.message == "a graph blocks the event loop"]
    assert vars(line)["graph"] == "blocking"
    assert vars(line)["run_id"] == run["run_id"]
    assert "slow.py" in vars(line)["at"]
    assert 2 < blocked("blocking") - before[0] < 4
    assert blocked("waiting") == before[1], "who waits in a thread blocks nobody"
    assert (REGISTRY.get_sample_value("agent_event_loop_lag_seconds_count") or 0) > 0
