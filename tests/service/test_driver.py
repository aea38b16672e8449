"""A run that a second process takes up goes on, and is not begun anew."""

import uuid
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from langgraph_agents_service.configuration.settings import Settings
from langgraph_agents_service.persistence.registry.base import Run
from langgraph_agents_service.persistence.registry.documents import MemoryDocuments
from langgraph_agents_service.persistence.registry.keyvalue import KeyValueRegistry
from langgraph_agents_service.projects.graphs import Graph
from langgraph_agents_service.runs.driver import Driver
from langgraph_agents_service.runs.execution import Execution
from tests.service.graphs.steps import State


class OneGraph:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def find(self, _name: str) -> Graph:
        return self._graph


def _ask_twice() -> Any:
    def ask(_state: State) -> State:
        return {"done": [str(interrupt("?"))]}

    node: Any = ask
    builder = StateGraph(State)
    builder.add_node("first", node)
    builder.add_node("second", node)
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    return builder.compile()


async def test_an_answer_that_was_used_before_the_process_died_is_not_given_again() -> None:
    compiled = _ask_twice()
    driver = Driver(
        Settings(host="127.0.0.1", checkpointer="memory"),
        OneGraph(Graph("twice", None, compiled)),  # type: ignore[arg-type]
        KeyValueRegistry(MemoryDocuments(), ttl_seconds=None),
        InMemorySaver(),
        None,
    )
    thread_id = str(uuid.uuid4())

    async def drive(run_id: str, attempt: int, **payload: Any) -> Any:
        run = Run(run_id, thread_id, "a", "twice", {"stream_mode": ["values"], **payload}, attempt=attempt)
        return await driver.drive(Execution(run, buffer_bytes=65_536))

    asked = await drive(str(uuid.uuid4()), 1, input={})
    assert "__interrupt__" in asked
    answering = str(uuid.uuid4())
    for attempt in (1, 2):
        values = await drive(answering, attempt, command={"resume": "for the first"})
        assert values["done"] == ["for the first"], f"attempt {attempt} answered the second question as well"
        assert "__interrupt__" in values
