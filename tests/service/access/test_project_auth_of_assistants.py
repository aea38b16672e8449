"""Assistants under a project's own authorization: whose they are, and who may run them."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError

from tests.service.access.test_project_auth import GUARDED, status, user
from tests.service.serving import Served, serving

CODE = """
from langgraph_sdk import Auth

auth = Auth()


@auth.authenticate
async def authenticate(authorization: str | None) -> str:
    return (authorization or "").removeprefix("Bearer token-of-")


@auth.on
async def own(ctx, value):
    owner = {"owner": ctx.user.identity}
    value.setdefault("metadata", {}).update(owner)
    return owner
"""


@pytest.fixture(scope="module", params=["postgres", "memory"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("project")
    (folder / "security.py").write_text(CODE)
    document = {
        "graphs": {"who": f"{GUARDED.parent}/whoami.py:who"},
        "auth": {"path": "./security.py:auth"},
    }
    config = folder / "langgraph.json"
    config.write_text(json.dumps(document))
    settings: dict[str, Any] = {"checkpointer": request.param, "langgraph_config": config, "api_keys": ""}
    if request.param == "postgres":
        settings["database_uri"] = request.getfixturevalue("database_uri")
    with serving(**settings) as found:
        yield found


@pytest.fixture
def ann(served: Served) -> LangGraphClient:
    return user(served, "ann")


@pytest.fixture
def bob(served: Served) -> LangGraphClient:
    return user(served, "bob")


async def test_an_assistant_of_somebody_else_is_not_there(ann: LangGraphClient, bob: LangGraphClient) -> None:
    made = await ann.assistants.create("who", metadata={"owner": "bob", "mark": "m"}, name="ann's")
    assistant_id = made["assistant_id"]
    assert (made["metadata"] or {})["owner"] == "ann"
    attempts = {
        "get": bob.assistants.get(assistant_id),
        "graph": bob.assistants.get_graph(assistant_id),
        "schemas": bob.assistants.get_schemas(assistant_id),
        "subgraphs": bob.assistants.get_subgraphs(assistant_id),
        "update": bob.assistants.update(assistant_id, metadata={"owner": "bob"}),
        "versions": bob.assistants.get_versions(assistant_id),
        "set latest": bob.assistants.set_latest(assistant_id, 1),
        "delete": bob.assistants.delete(assistant_id),
        "run": bob.runs.wait(None, assistant_id, input={}),
        "run on a thread": bob.runs.create((await bob.threads.create())["thread_id"], assistant_id, input={}),
    }
    found = {name: await status(attempt) for name, attempt in attempts.items()}
    assert set(found.values()) <= {404, 422}, found
    assert await ann.assistants.get(assistant_id) == made
    values: Any = await ann.runs.wait(None, assistant_id, input={})
    assert values["who"]["identity"] == "ann"


async def test_searches_and_counts_of_assistants_know_only_ones_own(
    ann: LangGraphClient, bob: LangGraphClient
) -> None:
    mark = str(uuid.uuid4())
    mine = [(await ann.assistants.create("who", metadata={"mark": mark}))["assistant_id"] for _ in range(2)]
    for _ in range(3):
        await bob.assistants.create("who", metadata={"mark": mark})
    found = await ann.assistants.search(metadata={"mark": mark}, limit=2)
    assert {assistant["assistant_id"] for assistant in found} == set(mine)
    assert await ann.assistants.count(metadata={"mark": mark}) == 2


async def test_the_id_of_somebody_elses_assistant_is_taken(
    ann: LangGraphClient, bob: LangGraphClient
) -> None:
    assistant_id = (await ann.assistants.create("who"))["assistant_id"]
    both: list[Any] = ["raise", "do_nothing"]
    for if_exists in both:
        with pytest.raises((ConflictError, NotFoundError)):
            await bob.assistants.create("who", assistant_id=assistant_id, if_exists=if_exists)


async def test_a_graphs_own_assistant_can_be_run_by_everybody_as_on_langgraphs_server(
    bob: LangGraphClient,
) -> None:
    with pytest.raises(NotFoundError):
        await bob.assistants.get("who")
    values: Any = await bob.runs.wait(None, "who", input={})
    assert values["who"]["identity"] == "bob"
