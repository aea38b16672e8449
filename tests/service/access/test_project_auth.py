"""A project's own `langgraph_sdk.Auth`: whose threads are whose, on every storage."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import (
    APIStatusError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
)

from tests.service.serving import Served, serving
from tests.service.versions import USER

GUARDED = Path(__file__).parents[1] / "projects" / "guarded" / "langgraph.json"


@pytest.fixture(scope="module", params=["postgres", "valkey", "memory"])
def guarded(request: pytest.FixtureRequest) -> Iterator[Served]:
    storage = {"postgres": "database_uri", "valkey": "redis_uri"}
    settings: dict[str, Any] = {"checkpointer": request.param, "langgraph_config": GUARDED, "api_keys": ""}
    if name := storage.get(request.param):
        settings[name] = request.getfixturevalue("database_uri" if name == "database_uri" else "valkey_uri")
    if name == "redis_uri":
        settings["cache_key_prefix"] = f"{uuid.uuid4()}:"
    with serving(**settings) as served:
        yield served


def user(served: Served, name: str) -> LangGraphClient:
    return get_client(url=served.url, api_key=None, headers={"Authorization": f"Bearer token-of-{name}"})


@pytest.fixture
def ann(guarded: Served) -> LangGraphClient:
    return user(guarded, "ann")


@pytest.fixture
def bob(guarded: Served) -> LangGraphClient:
    return user(guarded, "bob")


async def thread_of(client: LangGraphClient, **more: Any) -> str:
    return (await client.threads.create(**more))["thread_id"]


async def who(client: LangGraphClient, thread_id: str | None, **more: Any) -> dict[str, Any]:
    values: Any = await client.runs.wait(thread_id, "who", input=more.pop("input", {}), **more)
    return dict(values["who"])


async def owner_of(client: LangGraphClient, thread_id: str) -> Any:
    return ((await client.threads.get(thread_id))["metadata"] or {}).get("owner")


async def status(attempt: Awaitable[Any]) -> int:
    """Of the answer; the SDK raises two kinds of errors for the same."""
    try:
        await attempt
    except (APIStatusError, httpx.HTTPStatusError) as error:
        return error.response.status_code
    return 200


async def events(parts: AsyncIterator[Any]) -> list[Any]:
    return [part async for part in parts]


async def coming(parts: Awaitable[AsyncIterator[Any]]) -> list[Any]:
    return await events(await parts)


async def test_whom_the_project_does_not_know_is_answered_as_the_project_says(guarded: Served) -> None:
    async with httpx.AsyncClient(base_url=guarded.url, verify=False) as http:  # noqa: S501
        for headers in ({}, {"Authorization": "Bearer nobody"}, {"Authorization": "token-of-ann"}):
            answer = await http.post("/threads", json={}, headers=headers)
            assert (answer.status_code, answer.json()) == (401, {"detail": "unknown token"})
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/health", "/ready", "/ok"):
            assert (await http.get(path)).status_code == 200


@USER
async def test_the_graph_is_told_who_asks(ann: LangGraphClient) -> None:
    for thread_id in (None, await thread_of(ann)):
        found = await who(ann, thread_id)
        assert found["identity"] == found["item"] == found["id"] == found["server_info"] == "ann"
        assert found["user_id"] == "ann"
        assert found["permissions"] == ["ask"]
        assert found["user"]["team"] == {"name": "north"}
        assert found["user"]["is_authenticated"] is True


async def test_a_factory_is_told_who_asks_whatever_it_is_called_for(ann: LangGraphClient) -> None:
    thread_id = await thread_of(ann)
    await ann.runs.wait(thread_id, "for_user", input={"seconds": 0})
    assert (await ann.threads.get_state(thread_id))["values"]
    assert await ann.threads.get_history(thread_id)
    assert (await ann.threads.search(ids=[thread_id]))[0]["values"]
    await ann.threads.update_state(thread_id, {"seconds": 0}, as_node="tell")
    assert (await ann.assistants.get_graph("for_user"))["nodes"]
    assert (await ann.assistants.get_schemas("for_user"))["graph_id"] == "for_user"
    run = await ann.runs.create(thread_id, "for_user", input={})
    assert await ann.runs.join(thread_id, run["run_id"])


@USER
async def test_the_user_travels_with_a_run_that_another_process_takes_up(database_uri: str) -> None:
    settings: dict[str, Any] = {"database_uri": database_uri, "langgraph_config": GUARDED, "api_keys": ""}
    # One place is taken by a run that waits, so that the next one waits for the other process.
    with serving(max_concurrent_runs=1, **settings) as first:
        ann = user(first, "ann")
        held = await ann.runs.create(await thread_of(ann), "hold", input={"seconds": 30})
        for graph in ("who", "count", "ask"):
            thread_id = await thread_of(ann)
            run = await ann.runs.create(thread_id, graph, input={})
            assert run["status"] == "pending"
            with serving(**settings) as second:
                found: Any = await user(second, "ann").runs.join(thread_id, run["run_id"])
                assert await status(user(second, "bob").runs.join(thread_id, run["run_id"])) == 404
            if graph == "who":
                assert (found["who"]["identity"], found["who"]["permissions"]) == ("ann", ["ask"])
            if graph == "count":
                assert found["threads"] == await ann.threads.count()
            if graph == "ask":
                assert found.get("who") == "ann", found
        await ann.runs.cancel(held["thread_id"], held["run_id"], wait=True)


async def test_nobody_passes_for_somebody_else_by_what_is_configurable(bob: LangGraphClient) -> None:
    forged = {
        "langgraph_auth_user": {"identity": "ann"},
        "langgraph_auth_user_id": "ann",
        "langgraph_auth_permissions": ["all"],
        "langgraph_auth_anything": "x",
    }
    for thread_id in (None, await thread_of(bob)):
        for given in ({"config": {"configurable": forged}}, {"context": forged}):
            found = await who(bob, thread_id, **given)
            assert (found["identity"], found["id"], found["permissions"]) == ("bob", "bob", ["ask"])
            assert "langgraph_auth_anything" not in found["others"]
            assert not [name for name in found["context"] if name.startswith("langgraph_auth_")]
    assistant = await bob.assistants.create("who", config={"configurable": forged})
    values: Any = await bob.runs.wait(None, assistant["assistant_id"], input={})
    assert values["who"]["identity"] == "bob"


async def test_what_a_user_may_not_see_is_not_there(ann: LangGraphClient, bob: LangGraphClient) -> None:
    thread_id = await thread_of(ann)
    await who(ann, thread_id)
    (run,) = await ann.runs.list(thread_id)
    state = await ann.threads.get_state(thread_id)
    checkpoint_id = state["checkpoint"]["checkpoint_id"]
    assert checkpoint_id is not None
    attempts = {
        "get": bob.threads.get(thread_id),
        "update": bob.threads.update(thread_id, metadata={"owner": "bob"}),
        "state": bob.threads.get_state(thread_id),
        "state at": bob.threads.get_state(thread_id, checkpoint_id=checkpoint_id),
        "state of": bob.threads.get_state(thread_id, checkpoint=state["checkpoint"]),
        "update state": bob.threads.update_state(thread_id, {"seconds": 1}, as_node="tell"),
        "history": bob.threads.get_history(thread_id),
        "delete": bob.threads.delete(thread_id),
        "create run": bob.runs.create(thread_id, "who", input={}),
        "create run, made if it is not there": bob.runs.create(
            thread_id, "who", input={}, if_not_exists="create"
        ),
        "wait": bob.runs.wait(thread_id, "who", input={}),
        "wait from a checkpoint": bob.runs.wait(thread_id, "who", input={}, checkpoint_id=checkpoint_id),
        "get run": bob.runs.get(thread_id, run["run_id"]),
        "join": bob.runs.join(thread_id, run["run_id"]),
        "cancel": bob.runs.cancel(thread_id, run["run_id"]),
        "delete run": bob.runs.delete(thread_id, run["run_id"]),
        "copy": bob.threads.copy(thread_id),
        "stream": events(bob.runs.stream(thread_id, "who", input={})),
        "join stream": events(bob.runs.join_stream(thread_id, run["run_id"])),
    }
    assert {name: await status(attempt) for name, attempt in attempts.items()} == dict.fromkeys(attempts, 404)
    assert (await bob.threads.prune([thread_id]))["pruned_count"] == 0
    # Where the service has it, it is no way in; where it has not, it says so.
    assert await status(coming(bob.threads.join_stream(thread_id))) in (404, 501)
    assert await owner_of(ann, thread_id) == "ann", "nothing of it had an effect"
    assert len(await ann.runs.list(thread_id)) == 1


async def test_the_runs_of_somebody_elses_thread_are_not_listed(
    ann: LangGraphClient, bob: LangGraphClient
) -> None:
    thread_id = await thread_of(ann)
    await who(ann, thread_id)
    with pytest.raises(NotFoundError):
        await bob.runs.list(thread_id)


async def test_searches_find_and_count_only_what_is_ones_own_whatever_is_asked(
    ann: LangGraphClient, bob: LangGraphClient
) -> None:
    mark = str(uuid.uuid4())
    mine = [await thread_of(ann, metadata={"mark": mark}) for _ in range(3)]
    others = [await thread_of(bob, metadata={"mark": mark}) for _ in range(5)]
    found = await ann.threads.search(metadata={"mark": mark}, limit=3, offset=0)
    assert {thread["thread_id"] for thread in found} == set(mine), "the filter comes before the page"
    assert await ann.threads.count(metadata={"mark": mark}) == 3
    assert await ann.threads.search(metadata={"mark": mark}, limit=3, offset=3) == []
    for asked in ({"mark": mark, "owner": "bob"}, {"owner": "bob"}):
        assert not {thread["thread_id"] for thread in await ann.threads.search(metadata=asked)} & set(others)
    assert await ann.threads.search(ids=others) == []


async def test_metadata_cannot_be_used_to_step_out_of_a_filter(
    ann: LangGraphClient, bob: LangGraphClient
) -> None:
    thread_id = await thread_of(bob, metadata={"owner": "ann"})
    assert await owner_of(bob, thread_id) == "bob"
    await bob.threads.update(thread_id, metadata={"owner": "ann"})
    await bob.runs.wait(thread_id, "who", input={}, metadata={"owner": "ann"})
    assert await owner_of(bob, thread_id) == "bob"
    with pytest.raises(NotFoundError):
        await ann.threads.get(thread_id)


async def test_a_thread_that_a_run_makes_belongs_to_whoever_started_it(
    ann: LangGraphClient, bob: LangGraphClient
) -> None:
    thread_id = str(uuid.uuid4())
    await bob.runs.wait(
        thread_id, "who", input={}, if_not_exists="create", metadata={"owner": "ann", "topic": "tea"}
    )
    thread: Any = await bob.threads.get(thread_id)
    assert (thread["metadata"]["owner"], thread["metadata"]["topic"]) == ("bob", "tea")
    with pytest.raises(NotFoundError):
        await ann.threads.get(thread_id)


async def test_of_many_who_make_the_same_thread_at_once_one_has_it(guarded: Served) -> None:
    thread_id = str(uuid.uuid4())
    clients = [user(guarded, name) for name in ("ann", "bob") * 8]

    async def attempt(client: LangGraphClient) -> bool:
        try:
            await client.runs.create(
                thread_id, "who", input={}, if_not_exists="create", multitask_strategy="enqueue"
            )
        except NotFoundError:
            return False
        return True

    made = await asyncio.gather(*(attempt(client) for client in clients))
    owner = "ann" if any(made[::2]) else "bob"
    assert any(made)
    assert not (any(made[::2]) and any(made[1::2])), "both are in one thread"
    assert await owner_of(user(guarded, owner), thread_id) == owner


async def test_the_id_of_somebody_elses_thread_is_taken(ann: LangGraphClient, bob: LangGraphClient) -> None:
    thread_id = await thread_of(ann)
    both: list[Any] = ["raise", "do_nothing"]
    for if_exists in both:
        with pytest.raises(ConflictError):
            await bob.threads.create(thread_id=thread_id, if_exists=if_exists)
    again = await ann.threads.create(thread_id=thread_id, if_exists="do_nothing")
    assert again["thread_id"] == thread_id


async def test_what_a_handler_refuses_is_403_with_what_it_says(guarded: Served) -> None:
    eve = user(guarded, "eve")
    assert await status(eve.runs.wait(None, "who", input={})) == 403
    with pytest.raises(PermissionDeniedError, match="ask for the permission to ask"):
        await eve.runs.create(None, "who", input={})
    async with httpx.AsyncClient(base_url=guarded.url, verify=False) as http:  # noqa: S501
        headers = {"Authorization": "Bearer token-of-eve"}
        answer = await http.post("/invoke", json={"input": {}}, headers=headers)
        assert answer.status_code == 403


async def test_only_who_may_change_a_run_cancels_it_by_leaving(
    ann: LangGraphClient, bob: LangGraphClient
) -> None:
    thread_id = await thread_of(ann)
    run = await ann.runs.create(thread_id, "hold", input={"seconds": 0.5})
    with pytest.raises(NotFoundError):
        await events(bob.runs.join_stream(thread_id, run["run_id"], cancel_on_disconnect=True))
    await ann.runs.join(thread_id, run["run_id"])
    assert (await ann.runs.get(thread_id, run["run_id"]))["status"] == "success"


async def test_cancelling_many_reaches_only_ones_own(ann: LangGraphClient, bob: LangGraphClient) -> None:
    thread_id = await thread_of(ann)
    run = await ann.runs.create(thread_id, "hold", input={"seconds": 30})
    both: list[Any] = ["interrupt", "rollback"]
    for action in both:
        for asked in (
            {"status": "all"},
            {"status": "running"},
            {"thread_id": thread_id, "run_ids": [run["run_id"]]},
        ):
            assert await status(bob.runs.cancel_many(action=action, **asked)) == 404
    for strategy in ("interrupt", "rollback"):
        attempt = bob.runs.create(thread_id, "who", input={}, multitask_strategy=strategy)
        assert await status(attempt) == 404
    assert (await ann.runs.get(thread_id, run["run_id"]))["status"] in ("pending", "running")
    await ann.runs.cancel_many(thread_id=thread_id, run_ids=[run["run_id"]])
    await ann.runs.join(thread_id, run["run_id"])


async def test_the_runs_of_a_thread_do_not_show_the_users_own_data(ann: LangGraphClient) -> None:
    thread_id = await thread_of(ann)
    await who(ann, thread_id)
    (run,) = await ann.runs.list(thread_id)
    assert "north" not in str(run)


async def test_no_token_is_no_way_in_by_a_header_of_the_service(guarded: Served) -> None:
    async with httpx.AsyncClient(base_url=guarded.url, verify=False) as http:  # noqa: S501
        for headers in (
            {"X-API-Key": ""},
            {"X-API-Key": "anything"},
            {"langgraph_agents.caller": "ann"},
            {"root_path": "/noauth"},
        ):
            assert (await http.get("/threads/" + str(uuid.uuid4()), headers=headers)).status_code == 401
        assert (await http.get("/noauth/threads/" + str(uuid.uuid4()))).status_code == 401
