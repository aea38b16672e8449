"""Runs on a Valkey that does not answer for a while: none is lost, and none holds its thread for ever."""

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from valkey.asyncio import Valkey
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from langgraph_agents_service.persistence import valkey_client
from langgraph_agents_service.persistence.checkpointers.valkey import PrefixedValkeySaver
from langgraph_agents_service.persistence.registry import keyvalue
from langgraph_agents_service.persistence.registry.base import Owner, Run, RunStatus, ThreadStatus
from langgraph_agents_service.persistence.registry.documents import MemoryDocuments, ValkeyDocuments
from langgraph_agents_service.persistence.registry.keyvalue import KeyValueRegistry

ALICE = Owner("alice")


class Flaky(MemoryDocuments):
    """Refuses to write documents whose key begins so, as often as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: Iterator[str] = iter(())
        self.extended: list[str] = []

    async def put(self, key: str, value: bytes, *, ttl: float | None, absent: bool = False) -> bool:
        if not absent and key.startswith(next(self.refuses, "nothing:")):
            raise ValkeyConnectionError("away")
        return await super().put(key, value, ttl=ttl, absent=absent)

    async def extend(self, key: str, ttl: float) -> None:
        self.extended.append(key)


@pytest.fixture
def documents() -> Flaky:
    return Flaky()


@pytest.fixture
def registry(documents: Flaky) -> KeyValueRegistry:
    return KeyValueRegistry(documents, ttl_seconds=60)


def made(name: str, thread_id: str = "t") -> Run:
    return Run(name, thread_id, "graph", "graph", {}, "alice", multitask_strategy="enqueue")


@pytest.mark.parametrize("start", [True, False])
async def test_a_run_whose_entry_is_not_kept_neither_holds_its_thread_nor_waits(
    registry: KeyValueRegistry, documents: Flaky, start: bool
) -> None:
    await registry.begin(made("first", "other"), ALICE, create_thread=True, start=True)
    documents.refuses = iter(["run:"] * 3)
    with pytest.raises(ValkeyConnectionError):
        await registry.begin(made("lost"), ALICE, create_thread=True, start=start)
    documents.refuses = iter(())
    assert (await registry.beat()).pending == 0
    await registry.renew()
    assert documents.extended == ["holder:other"]


async def test_a_run_that_is_not_taken_up_waits_on_before_those_behind_it(
    registry: KeyValueRegistry, documents: Flaky
) -> None:
    for name in ("first", "second"):
        await registry.begin(made(name), ALICE, create_thread=True, start=False)
    documents.refuses = iter(["run:"])
    with pytest.raises(ValkeyConnectionError):
        await registry.claim(10, ["graph"])
    (run,) = await registry.claim(10, ["graph"])
    assert (run.run_id, run.status, run.attempt) == ("first", RunStatus.RUNNING, 1)


async def test_what_was_taken_up_before_the_server_went_is_executed(
    registry: KeyValueRegistry, documents: Flaky
) -> None:
    for name in ("first", "second"):
        await registry.begin(made(name, name), ALICE, create_thread=True, start=False)
    documents.refuses = iter(["nothing:", "run:"])
    assert [run.run_id for run in await registry.claim(10, ["graph"])] == ["first"]
    assert [run.run_id for run in await registry.claim(10, ["graph"])] == ["second"]


async def test_the_end_of_a_run_is_recorded_when_the_server_is_back(
    registry: KeyValueRegistry, documents: Flaky
) -> None:
    run = await registry.begin(made("run"), ALICE, create_thread=True, start=True)
    documents.refuses = iter(["run:", "run:", "nothing:", "thread:"])
    assert await registry.finish(run, RunStatus.SUCCESS, None, ThreadStatus.IDLE)
    assert (await registry.get_run("t", "run", ALICE)).status is RunStatus.SUCCESS
    assert (await registry.get_thread("t", ALICE)).status is ThreadStatus.IDLE
    again = await registry.begin(made("again"), ALICE, create_thread=True, start=True)
    assert again.status is RunStatus.RUNNING, "the thread is free"


async def test_a_run_whose_end_is_never_recorded_holds_its_thread_no_longer(
    registry: KeyValueRegistry, documents: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey_client, "PATIENCE_SECONDS", 0.2)
    run = await registry.begin(made("run"), ALICE, create_thread=True, start=True)
    documents.refuses = iter(["run:"] * 1_000)
    with pytest.raises(ValkeyConnectionError):
        await registry.finish(run, RunStatus.SUCCESS, None, ThreadStatus.IDLE)
    await registry.renew()
    assert not documents.extended


async def test_a_run_that_lost_its_thread_does_not_free_it_for_a_third(
    registry: KeyValueRegistry, documents: Flaky
) -> None:
    run = await registry.begin(made("run"), ALICE, create_thread=True, start=True)
    await documents.put("holder:t", b"of another process", ttl=60)
    await registry.finish(run, RunStatus.SUCCESS, None, ThreadStatus.IDLE)
    assert await documents.get("holder:t") == [b"of another process"]


async def test_a_checkpoint_that_is_written_twice_is_listed_once(valkey_uri: str) -> None:
    async with Valkey.from_url(valkey_uri) as client:
        saver = PrefixedValkeySaver(client, prefix="twice:", ttl_seconds=60)
        config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        older, newer = empty_checkpoint(), empty_checkpoint()
        for checkpoint in (older, newer, newer):
            await saver.aput(config, checkpoint, {"source": "loop", "step": 1, "parents": {}}, {})
        found = [entry.checkpoint["id"] async for entry in saver.alist(config)]
    assert found == [newer["id"], older["id"]]


async def test_runs_of_a_valkey_process_that_died_end_with_an_error(
    valkey_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyvalue, "LOCK_SECONDS", 1)
    async with Valkey.from_url(valkey_uri) as client:
        documents = ValkeyDocuments(client, f"{uuid.uuid4()}:")
        dead, alive = (KeyValueRegistry(documents, ttl_seconds=60) for _ in range(2))
        executing = await dead.begin(made("executing"), ALICE, create_thread=True, start=True)
        waits = await dead.begin(made("waits"), ALICE, create_thread=True, start=False)
        assert [(await alive.get_run("t", run.run_id, ALICE)).status for run in (executing, waits)] == [
            RunStatus.RUNNING,
            RunStatus.PENDING,
        ]
        await dead.renew()
        await asyncio.sleep(1.2)
        other = await alive.begin(made("other", "other"), ALICE, create_thread=True, start=True)
        found = await alive.get_run("t", "executing", ALICE)
        assert (found.status, (found.error or {})["error"]) == (RunStatus.ERROR, "WorkerDied")
        assert {run.status for run in await alive.list_runs("t", ALICE, limit=9, offset=0, status=None)} == {
            RunStatus.ERROR
        }
        thread = await alive.get_thread("t", ALICE)
        assert (thread.status, thread.error) == (ThreadStatus.ERROR, found.error)
        assert (await alive.get_run("other", other.run_id, ALICE)).status is RunStatus.RUNNING
        # One that was only paused finds its run ended.
        assert await dead.finish(executing, RunStatus.SUCCESS, None, ThreadStatus.IDLE) is RunStatus.ERROR
        assert (await alive.get_run("t", "executing", ALICE)).error == found.error
