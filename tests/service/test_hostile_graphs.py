"""Whatever a graph raises or leaves behind, its run ends once, and the process and all other runs go on."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.errors import APIError

from tests.service.serving import Served, serving

HOSTILE = Path(__file__).parent / "graphs" / "hostile.json"


@pytest.fixture(scope="module", params=["postgres", "memory"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    storage = {}
    if request.param == "postgres":
        storage = {"database_uri": request.getfixturevalue("database_uri"), "lease_seconds": 2}
    with serving(checkpointer=request.param, langgraph_config=HOSTILE, **storage) as served:
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
    served: Served, how: str, left: str, request: pytest.FixtureRequest
) -> None:
    if "memory" in request.node.name:
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
