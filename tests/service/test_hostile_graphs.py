"""Whatever a graph raises or leaves behind, its run ends once, and the process and all other runs go on."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.errors import APIError
from psycopg import OperationalError
from psycopg.errors import ProgramLimitExceeded

from langgraph_agents_service.persistence.database import TooLargeError, retry
from langgraph_agents_service.runs import execution
from tests.service.serving import Served, serving
from tests.service.versions import INTERRUPTS, SERDE

HOSTILE = Path(__file__).parent / "graphs" / "hostile.json"


@pytest.fixture(scope="module", params=["postgres", "memory"])
def storage(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings of a service that keeps threads there."""
    if request.param == "memory":
        return {"checkpointer": "memory"}
    uri = request.getfixturevalue("database_uri")
    return {"checkpointer": "postgres", "database_uri": uri, "lease_seconds": 2}


@pytest.fixture(scope="module")
def served(storage: dict[str, Any]) -> Iterator[Served]:
    with serving(langgraph_config=HOSTILE, **storage) as served:
        yield served


@pytest.mark.parametrize(
    ("graph", "how", "words"),
    [
        ("misbehaving", "exit", r"sys.exit(3)"),
        ("misbehaving", "exit in a task of its own", r"sys.exit(4)"),
        ("exiting_plainly", "", r"sys.exit(5)"),
        ("misbehaving", "interrupt", "KeyboardInterrupt"),
        ("misbehaving", "half a pair", "bad ? text"),
        ("misbehaving", "nul", "nul \N{REPLACEMENT CHARACTER} text"),
        ("misbehaving", "wordless", "Wordless"),
        ("misbehaving", "cancelled", "CancelledError"),
    ],
)
async def test_a_run_ends_with_an_error_once_and_its_thread_can_be_used(
    served: Served, graph: str, how: str, words: str
) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        other = await client.threads.create()
        meanwhile = await client.runs.create(other["thread_id"], "steps", input={"seconds": 0.2})
        run = await client.runs.create(thread_id, graph, input={"how": how})
        with suppress(APIError):
            await client.runs.join(thread_id, run["run_id"])
        ended = await client.runs.get(thread_id, run["run_id"])
        assert ended["status"] == "error"
        thread: Any = await client.threads.get(thread_id)
        assert thread["status"] == "error"
        assert words in str(thread["error"])
        stateless: Any = await client.http.post(
            "/invoke", json={"assistant_id": "misbehaving", "input": {"number": 1}}
        )
        assert stateless["output"]["text"] == "number is 1"
        values: Any = await client.runs.wait(thread_id, "misbehaving", input={"how": "", "number": 2})
        assert values["text"] == "number is 2"
        joined: Any = await client.runs.join(other["thread_id"], meanwhile["run_id"])
        assert joined["done"] == ["one", "two", "three", "four"]
        await client.threads.delete(thread_id)


async def test_a_stateless_run_that_wants_to_exit_answers_with_an_error(served: Served) -> None:
    async with served.client() as client:
        with pytest.raises(Exception, match=r"sys\.exit"):
            await client.http.post("/invoke", json={"assistant_id": "exiting_plainly", "input": {}})
        assert (await client.http.post("/invoke", json={"assistant_id": "misbehaving", "input": {}}))[
            "output"
        ]


@pytest.mark.parametrize(
    ("how", "left"),
    [("nul kept", "a\N{REPLACEMENT CHARACTER}b"), ("half a pair kept", "bad ? end")],
)
async def test_text_that_cannot_be_kept_is_kept_as_langgraphs_server_keeps_it(
    served: Served, how: str, left: str, storage: dict[str, Any]
) -> None:
    if storage["checkpointer"] == "memory":
        pytest.skip("memory keeps every text as it is")
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread_id, "misbehaving", input={"how": how})
        state: Any = await client.threads.get_state(thread_id)
        assert state["values"]["text"] == left


async def test_a_number_that_json_has_not_is_there_for_the_next_run(served: Served) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread_id, "misbehaving", input={"how": "nan"})
        values: Any = await client.runs.wait(thread_id, "misbehaving", input={"how": ""})
        assert values["text"] == "number is nan"


async def test_one_broken_thread_fails_no_listing(served: Served) -> None:
    async with served.client() as client:
        mark = {"test": "listing"}
        whole = await client.threads.create(metadata=mark)
        await client.runs.wait(whole["thread_id"], "misbehaving", input={"number": 7})
        broken = await client.threads.create(metadata=mark)
        await client.runs.wait(broken["thread_id"], "factory", input={"number": 8})
        found = {thread["thread_id"]: thread for thread in await client.threads.search(metadata=mark)}
        assert set(found) == {whole["thread_id"], broken["thread_id"]}
        assert found[whole["thread_id"]]["values"]["text"] == "number is 7"  # type: ignore[index]
        assert not found[broken["thread_id"]]["values"]


async def test_who_joins_a_run_that_failed_gets_its_error_although_its_graph_cannot_be_looked_at(
    served: Served,
) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread_id, "factory", input={"how": "interrupt"})
        async with asyncio.timeout(10):
            while True:
                if (await client.runs.get(thread_id, run["run_id"]))["status"] == "error":
                    break
                await asyncio.sleep(0.05)
        answer: Any = await client.http.get(f"/threads/{thread_id}/runs/{run['run_id']}/join")
        assert "KeyboardInterrupt" in answer["__error__"]["message"]


@INTERRUPTS
async def test_every_interrupt_that_waits_is_reported_until_it_is_answered(served: Served) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create(metadata={"test": "asking"}))["thread_id"]

        async def reported(command: Any = None) -> tuple[Any, set[int]]:
            """The last values by `wait` and by `join`, which say the same, and which questions wait."""
            given: Any = {"command": command} if command else {"input": {}}
            values: Any = await client.runs.wait(thread_id, "asking", **given)
            (run,) = await client.runs.list(thread_id, limit=1)
            assert await client.runs.join(thread_id, run["run_id"]) == values
            return values, {waiting["value"]["number"] for waiting in values.get("__interrupt__", ())}

        values, waiting = await reported()
        assert waiting == {0, 1, 2}
        for left in ({1, 2}, {2}):
            values, waiting = await reported({"resume": {values["__interrupt__"][0]["id"]: "yes"}})
            assert waiting == left
            assert (await client.threads.get(thread_id))["status"] == "interrupted"
            found = await client.threads.search(metadata={"test": "asking"}, status="interrupted")
            assert thread_id in {thread["thread_id"] for thread in found}
        values, waiting = await reported({"resume": {values["__interrupt__"][0]["id"]: "yes"}})
        assert not waiting
        assert values["answers"] == ["0: yes", "1: yes", "2: yes"]
        assert (await client.threads.get(thread_id))["status"] == "idle"


@INTERRUPTS
async def test_invoke_and_streams_report_every_interrupt(served: Served) -> None:
    async with served.client() as client:
        asked: Any = await client.http.post(
            "/invoke", json={"assistant_id": "asking", "input": {}, "thread_id": str(uuid.uuid4())}
        )
        assert {waiting["value"]["number"] for waiting in asked["interrupts"]} == {0, 1, 2}
        alone: Any = await client.http.post("/invoke", json={"assistant_id": "asking", "input": {}})
        assert {waiting["value"]["number"] for waiting in alone["interrupts"]} == {0, 1, 2}
        resume: Any = {"resume": {asked["interrupts"][0]["id"]: "yes"}}
        stream = client.runs.stream(asked["thread_id"], "asking", command=resume, stream_mode="values")
        parts = [part.data async for part in stream if part.event == "values"]
        assert [waiting["value"]["number"] for waiting in parts[-1]["__interrupt__"]] == [1, 2]


async def test_integers_of_any_size_are_there_for_the_next_run(served: Served) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread_id, "misbehaving", input={"how": "wei"})
        values: Any = await client.runs.wait(thread_id, "misbehaving", input={"how": ""})
        assert values["text"] == f"number is { {'wei': 2**70, 'debt': -(2**80)} }"


async def test_bytes_are_base64_and_durations_iso_8601_in_json(served: Served) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        values: Any = await client.runs.wait(thread_id, "misbehaving", input={"how": "bytes and duration"})
        assert values["number"] == {"bytes": "/wBhYmM=", "seconds": "PT1H3S", "wei": 2**70}
        state: Any = await client.threads.get_state(thread_id)
        assert state["values"]["number"] == values["number"]


async def test_a_value_that_cannot_be_kept_is_named_by_its_field(served: Served) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        with pytest.raises(Exception, match="UnserializableError"):
            await client.runs.wait(thread_id, "misbehaving", input={"how": "generator"})
        thread: Any = await client.threads.get(thread_id)
        assert thread["status"] == "error"
        for word in ("'number'", "['deep'] [1]", "generator"):
            assert word in thread["error"]["message"]


@SERDE
@pytest.mark.parametrize(
    ("allowed", "seen"),
    [
        (False, "{'name': 'kept'}"),
        ([["tests.service.graphs.named", "Named"]], "Named(name='kept')"),
        (True, "Named(name='kept')"),
    ],
)
async def test_types_come_back_only_where_langgraph_json_allows_them(
    tmp_path: Path, allowed: Any, seen: str
) -> None:
    config = {
        "dependencies": [str(HOSTILE.parent)],
        "graphs": {"misbehaving": f"{HOSTILE.parent}/hostile.py:misbehaving"},
        "checkpointer": {"serde": {"allowed_msgpack_modules": allowed}},
    }
    (tmp_path / "langgraph.json").write_text(json.dumps(config))
    with serving(checkpointer="memory", langgraph_config=tmp_path / "langgraph.json") as served:
        async with served.client() as client:
            thread_id = (await client.threads.create())["thread_id"]
            await client.runs.wait(thread_id, "misbehaving", input={"how": "typed"})
            values: Any = await client.runs.wait(thread_id, "misbehaving", input={"how": ""})
            assert values["text"] == f"number is {seen}"


async def test_a_run_that_swallows_its_cancellation_ends_at_its_limit(
    storage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "STOP_SECONDS", 0.3)
    given = {**storage, "run_timeout_seconds": 1, "max_concurrent_runs": 1}
    with serving(langgraph_config=HOSTILE, **given) as served:
        async with served.client() as client:
            thread_id = (await client.threads.create())["thread_id"]
            run = await client.runs.create(thread_id, "misbehaving", input={"how": "swallow"})
            with suppress(Exception):
                await client.runs.join(thread_id, run["run_id"])
            assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "timeout"
            assert not served.service.runner.running
            # Its place is free, its thread can be used, and what it still does is not kept.
            values: Any = await client.runs.wait(thread_id, "misbehaving", input={"how": "", "number": 1})
            assert values["text"] == "number is 1"
            await asyncio.sleep(6)
            state: Any = await client.threads.get_state(thread_id)
            assert state["values"]["text"] == "number is 1"


@pytest.mark.parametrize("how", ["swallow once", "fail on the way out"])
async def test_a_cancelled_run_ends_as_cancelled_whatever_its_graph_makes_of_it(
    served: Served, how: str
) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread_id, "misbehaving", input={"how": how})
        await asyncio.sleep(0.5)
        await client.runs.cancel(thread_id, run["run_id"], wait=True)
        assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "interrupted"


async def test_concurrent_changes_of_a_state_are_all_in_it(served: Served, storage: dict[str, Any]) -> None:
    async with served.client() as client, AsyncExitStack() as opened:
        clients = [client]
        if "database_uri" in storage:  # a second process, as far as the database can tell
            small = {**storage, "database_pool_min_size": 1, "database_pool_max_size": 2}
            other = opened.enter_context(serving(langgraph_config=HOSTILE, **small))
            clients.append(await opened.enter_async_context(other.client()))
        thread_id = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread_id, "misbehaving", input={})
        await asyncio.gather(
            *(
                clients[number % len(clients)].threads.update_state(
                    thread_id, {"done": [number]}, as_node="node"
                )
                for number in range(20)
            )
        )
        state: Any = await client.threads.get_state(thread_id)
        assert sorted(state["values"]["done"]) == list(range(20))


async def test_a_run_whose_end_is_never_recorded_is_not_tried_for_ever(
    database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"database_uri": database_uri, "max_run_attempts": 2, "lease_seconds": 2}
    with serving(checkpointer="postgres", langgraph_config=HOSTILE, **given) as served:

        async def fails(*_: object) -> bool:
            raise RuntimeError("the end cannot be written")

        monkeypatch.setattr(served.service.registry, "finish", fails)
        async with served.client() as client:
            thread_id = (await client.threads.create())["thread_id"]
            run = await client.runs.create(thread_id, "misbehaving", input={})
            async with asyncio.timeout(20):
                while True:
                    found: Any = await client.runs.get(thread_id, run["run_id"])
                    if found["status"] == "error":
                        break
                    await asyncio.sleep(0.2)
            thread: Any = await client.threads.get(thread_id)
            assert thread["error"]["error"] == "WorkerDied"
            await client.threads.delete(thread_id)


async def test_a_run_without_a_thread_goes_on_while_the_database_is_away(
    database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"database_uri": database_uri, "lease_seconds": 1}
    with serving(checkpointer="postgres", langgraph_config=HOSTILE, **given) as served:

        async def away() -> None:
            raise OperationalError("away")

        monkeypatch.setattr(served.service.registry, "beat", away)
        async with served.client() as client:
            values: Any = await client.runs.wait(None, "steps", input={"seconds": 0.8})
            assert values["done"] == ["one", "two", "three", "four"]


async def test_what_is_too_large_for_postgresql_is_not_tried_again() -> None:
    tries = 0

    async def attempt() -> None:
        nonlocal tries
        tries += 1
        raise ProgramLimitExceeded("row is too big")

    with pytest.raises(TooLargeError):
        await retry(attempt, 5)
    assert tries == 1
