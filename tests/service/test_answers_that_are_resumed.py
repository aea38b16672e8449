"""An answer is given to the question that it was meant for, also when the run that brings it is taken up again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from langgraph_agents_service.runs.execution import Stop
from tests.service.serving import Served, serving
from tests.service.test_hostile_graphs import HOSTILE
from tests.service.versions import INTERRUPTS


@pytest.fixture(scope="module")
def served(database_uri: str) -> Iterator[Served]:
    with serving(langgraph_config=HOSTILE, database_uri=database_uri, lease_seconds=2) as served:
        yield served


async def waiting(client: LangGraphClient, thread_id: str) -> dict[str, str]:
    """The questions that wait, and their ids."""
    state: Any = await client.threads.get_state(thread_id, subgraphs=True)
    return {asked["value"]: asked["id"] for task in state["tasks"] for asked in task["interrupts"]}


async def answered(client: LangGraphClient, thread_id: str, graph: str, answer: Any) -> None:
    command: Any = {"resume": answer}
    run = await client.runs.create(thread_id, graph, command=command)
    await client.runs.join(thread_id, run["run_id"])
    assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "success"


def fails_once(finish: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """As when a process dies when all is written but the end of its run: the run is given back, and taken up again."""
    tries = 0

    async def failing(*given: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries < 3:  # the second is to say why the first failed
            raise RuntimeError("the end cannot be written")
        return await finish(*given)

    return failing


@INTERRUPTS
@pytest.mark.parametrize("by_id", [True, False])
@pytest.mark.parametrize("graph", ["asking_twice", "asking_inside"])
async def test_a_run_that_is_taken_up_again_after_it_asked_anew_does_not_answer_itself(
    served: Served, monkeypatch: pytest.MonkeyPatch, graph: str, by_id: bool
) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread_id, graph, input={"seconds": 0})
        asked = await waiting(client, thread_id)
        assert set(asked) == {"first"}
        with monkeypatch.context() as patch:
            patch.setattr(served.service.registry, "finish", fails_once(served.service.registry.finish))
            await answered(client, thread_id, graph, {asked["first"]: "A"} if by_id else "A")
        asked = await waiting(client, thread_id)
        assert set(asked) == {"second"}
        assert (await client.threads.get(thread_id))["status"] == "interrupted"
        await answered(client, thread_id, graph, {asked["second"]: "B"} if by_id else "B")
        state: Any = await client.threads.get_state(thread_id)
        assert state["values"]["answers"] == ["A", "B"]


@INTERRUPTS
async def test_answers_that_were_not_taken_in_yet_are_given_again(served: Served) -> None:
    async with served.client() as client:
        thread_id = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread_id, "asking_apart", input={"seconds": 2})
        asked = await waiting(client, thread_id)
        assert set(asked) == {"first", "other"}
        command: Any = {"resume": {asked["first"]: "A", asked["other"]: "C"}}
        run = await client.runs.create(thread_id, "asking_apart", command=command)
        async with asyncio.timeout(10):
            while "second" not in await waiting(client, thread_id):  # noqa: ASYNC110 (the graph is elsewhere)
                await asyncio.sleep(0.05)
        for execution in served.service.runner.running:
            execution.stop(Stop.LOST)
        await client.runs.join(thread_id, run["run_id"])
        assert set(await waiting(client, thread_id)) == {"second"}
        await answered(client, thread_id, "asking_apart", "B")
        state: Any = await client.threads.get_state(thread_id)
        assert sorted(state["values"]["answers"]) == ["A", "B", "C"]
