"""Who is told that a run has ended, and how."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import UnprocessableEntityError
from standardwebhooks import Webhook

from langgraph_agents_service import local
from langgraph_agents_service.api.app import create_app
from langgraph_agents_service.configuration.settings import Environment, Settings
from langgraph_agents_service.projects.config import ProjectError, read
from langgraph_agents_service.service import Service, StartError
from langgraph_agents_service.webhooks import delivery
from tests.service.databases import migrated
from tests.service.receiver import Receiver, receiving
from tests.service.serving import GRAPHS, Served, serving

OLD, NEW = "whsec_" + "b2xk" * 8, "whsec_" + "bmV3" * 8
STEPS = ["one", "two", "three", "four"]


@pytest.fixture(scope="module", autouse=True)
def _soon() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "LOOK_SECONDS", 0.05)
        patch.setattr(delivery, "PAUSES", (0.05,) * 3)
        patch.setenv("LG_WEBHOOK_TOKEN", "let-me-in")
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graphs of the tests, in a project that may call this machine."""
    document = json.loads(GRAPHS.read_text())
    steps = GRAPHS.parent / "steps.py"
    document["graphs"] = {
        name: f"{steps}:{what}" for name, what in (("steps", "builder"), ("ask", "compiled"))
    }
    document["webhooks"] = {
        "url": {"require_https": False, "disable_loopback": False},
        "headers": {"Authorization": "Bearer ${{ env.LG_WEBHOOK_TOKEN }}"},
    }
    file = tmp_path_factory.mktemp("webhooks") / "langgraph.json"
    file.write_text(json.dumps(document))
    return file


@pytest.fixture(scope="module")
def own_database(postgres: local.Postgres) -> str:
    """A database of their own: another service there would take what is to be told, and may not call this machine."""
    return migrated(postgres, "webhooks")


@pytest.fixture(scope="module", params=["postgres", "valkey", "memory"])
def told(
    request: pytest.FixtureRequest, project: Path, own_database: str, valkey_uri: str
) -> Iterator[Served]:
    with serving(
        checkpointer=request.param,
        database_uri=own_database if request.param == "postgres" else "",
        redis_uri=valkey_uri if request.param == "valkey" else "",
        langgraph_config=project,
        webhook_secret=f"{NEW}\n{OLD}",
        cache_key_prefix=f"webhooks-{uuid.uuid4().hex}:",
    ) as served:
        yield served


@pytest.fixture
async def client(told: Served) -> AsyncIterator[LangGraphClient]:
    async with told.client() as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


async def told_of(receiver: Receiver, count: int = 1) -> list[Any]:
    for _ in range(400):
        if len(receiver.got) >= count:
            return receiver.documents()
        await asyncio.sleep(0.02)
    raise AssertionError(f"{len(receiver.got)} webhooks came, not {count}")


async def test_a_run_that_ends_is_told_with_all_that_its_api_shows(
    client: LangGraphClient, receiver: Receiver
) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    run = await client.runs.create(
        thread_id, "steps", input={"tag": "x"}, metadata={"a": 1}, webhook=receiver.url
    )
    (document,) = await told_of(receiver)
    shown: Any = await client.runs.get(thread_id, run["run_id"])
    for name in ("run_id", "thread_id", "assistant_id", "status", "metadata", "kwargs", "multitask_strategy"):
        assert document[name] == shown[name], name
    assert document["status"] == "success"
    assert (document["values"]["done"], document["values"]["tag"]) == (STEPS, "x")
    assert document["run_started_at"] <= document["run_ended_at"] <= document["webhook_sent_at"]
    assert "error" not in document


async def test_it_is_signed_by_each_secret_and_carries_the_headers_of_the_project(
    client: LangGraphClient, receiver: Receiver
) -> None:
    await client.runs.wait(None, "steps", input={}, webhook=receiver.url)
    await told_of(receiver)
    headers, body, path = receiver.got[0]
    assert path == "/hook"
    assert headers["authorization"] == "Bearer let-me-in"
    assert headers["content-type"] == "application/json"
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(body, headers)["status"] == "success"
    with pytest.raises(Exception, match="No matching signature"):
        Webhook("whsec_" + "b3Ro" * 8).verify(body, headers)


async def test_what_is_not_taken_is_sent_again_under_the_same_id(
    client: LangGraphClient, receiver: Receiver
) -> None:
    receiver.answers = [(500, {}), (429, {})]
    await client.runs.wait(None, "steps", input={}, webhook=receiver.url)
    first, *others = await told_of(receiver, 3)
    assert all(other["run_id"] == first["run_id"] for other in others)
    assert len({headers["webhook-id"] for headers, _, _ in receiver.got}) == 1
    await asyncio.sleep(0.4)
    assert len(receiver.got) == 3, "it has been taken"


async def test_it_is_given_up_in_the_end_and_at_once_when_the_receiver_is_gone(
    client: LangGraphClient, receiver: Receiver
) -> None:
    receiver.answers = [(410, {})]
    await client.runs.wait(None, "steps", input={}, webhook=receiver.url)
    await told_of(receiver)
    await asyncio.sleep(0.4)
    assert len(receiver.got) == 1
    receiver.answers = [(500, {})] * 20
    await client.runs.wait(None, "steps", input={}, webhook=receiver.url)
    await told_of(receiver, 1 + len(delivery.PAUSES) + 1)
    await asyncio.sleep(0.4)
    assert len(receiver.got) == 1 + len(delivery.PAUSES) + 1


async def test_a_redirect_is_not_followed(client: LangGraphClient, receiver: Receiver) -> None:
    with receiving() as other:
        receiver.answers = [(status, {"location": other.url}) for status in (301, 302, 307, 308)]
        await client.runs.wait(None, "steps", input={}, webhook=receiver.url)
        await told_of(receiver, 4)
        await asyncio.sleep(0.2)
        assert other.got == []


async def test_a_run_that_fails_is_told_with_its_error(client: LangGraphClient, receiver: Receiver) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.create(thread_id, "steps", input={"fail_at": "two"}, webhook=receiver.url)
    (document,) = await told_of(receiver)
    assert (document["status"], document["error"]["error"]) == ("error", "RuntimeError")


async def test_a_run_that_waits_for_an_answer_is_told_with_the_question(
    client: LangGraphClient, receiver: Receiver
) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.create(thread_id, "ask", input={}, webhook=receiver.url)
    (document,) = await told_of(receiver)
    assert document["values"]["__interrupt__"][0]["value"] == {"question": "go on?"}


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "waiting"])
async def test_a_run_that_is_cancelled_is_told_whether_it_had_begun_or_not(
    client: LangGraphClient, receiver: Receiver, begun: bool
) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    if not begun:
        await client.runs.create(thread_id, "steps", input={"seconds": 30})
    run = await client.runs.create(
        thread_id, "steps", input={"seconds": 30}, webhook=receiver.url, multitask_strategy="enqueue"
    )
    await asyncio.sleep(0.3)
    await client.runs.cancel(thread_id, run["run_id"])
    (document,) = await told_of(receiver)
    assert (document["run_id"], document["status"]) == (run["run_id"], "interrupted")
    for each in await client.runs.list(thread_id, status="running"):
        await client.runs.cancel(thread_id, each["run_id"], wait=True)


async def test_runs_of_crons_are_told_too(told: Served, client: LangGraphClient, receiver: Receiver) -> None:
    from tests.service.api.test_crons import make_due

    cron: Any = await client.crons.create("steps", schedule="0 0 29 2 *", input={}, webhook=receiver.url)
    await make_due(told, cron)
    (document,) = await told_of(receiver)
    assert document["kwargs"]["config"]["configurable"]["cron_id"] == cron["cron_id"]


async def test_an_address_that_must_not_be_called_is_refused_with_the_reason(client: LangGraphClient) -> None:
    for url, words in (
        ("http://10.0.0.1/", "it is a private address"),
        ("http://169.254.169.254/latest/meta-data", "link-local or metadata"),
        ("/internal", "whole https:// URL"),
    ):
        with pytest.raises(UnprocessableEntityError) as refusal:
            await client.runs.create(None, "steps", input={}, webhook=url)
        assert words in str(refusal.value.body)


async def test_by_default_only_https_to_others_is_taken(in_memory: Served) -> None:
    async with in_memory.client() as client:
        for url in ("http://example.com/", "https://127.0.0.1:8443/", "https://localhost/"):
            with pytest.raises(UnprocessableEntityError):
                await client.runs.create(None, "steps", input={}, webhook=url)


def test_langgraph_json_names_only_variables_of_its_prefix(tmp_path: Path) -> None:
    def said(webhooks: dict[str, Any]) -> str:
        file = tmp_path / "langgraph.json"
        file.write_text(json.dumps({"graphs": {"a": "./a.py:graph"}, "webhooks": webhooks}))
        with pytest.raises(ProjectError) as problem:
            read(file)
        return str(problem.value)

    assert "DATABASE_URI" in said({"headers": {"X": "${{ env.DATABASE_URI }}"}})
    assert "allowed_domains" in said({"url": {"allowed_domains": ["ho*t"]}})
    assert "allowed_fields" in said({"allowed_fields": ["secrets"]})
    assert "did you mean" in said({"header": {}})


def test_a_secret_that_signs_nothing_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="WEBHOOK_SECRET is not whsec_"):
        create_app(Settings(checkpointer="memory", host="127.0.0.1", webhook_secret="short"))


async def test_what_a_project_does_not_allow_is_not_told(
    project: Path, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = await asyncio.to_thread(lambda: json.loads(project.read_text()))
    document["webhooks"]["allowed_fields"] = ["run_id", "status"]
    file = tmp_path / "langgraph.json"
    file.write_text(json.dumps(document))
    with serving(checkpointer="memory", langgraph_config=file) as served:
        async with served.client() as client:
            await client.runs.wait(None, "steps", input={}, webhook=receiver.url)
            (told,) = await told_of(receiver)
            assert set(told) == {"run_id", "status"}
            assert "webhook-signature" not in receiver.got[0][0]
            # In production nothing goes out that nobody signed.
            monkeypatch.setattr(
                served.service,
                "settings",
                served.service.settings.model_copy(update={"environment": Environment.PROD}),
            )
            with pytest.raises(UnprocessableEntityError) as refusal:
                await client.runs.create(None, "steps", input={}, webhook=receiver.url)
            assert "WEBHOOK_SECRET" in str(refusal.value.body)
    document["http"] = {"disable_webhooks": True}
    file.write_text(json.dumps(document))
    with serving(checkpointer="memory", langgraph_config=file) as served:
        async with served.client() as client:
            with pytest.raises(UnprocessableEntityError) as refusal:
                await client.runs.create(None, "steps", input={}, webhook=receiver.url)
            assert "http.disable_webhooks" in str(refusal.value.body)
    monkeypatch.delenv("LG_WEBHOOK_TOKEN")
    del document["http"]
    file.write_text(json.dumps(document))
    with pytest.raises(StartError, match="LG_WEBHOOK_TOKEN is not set"):
        async with Service(Settings(checkpointer="memory", host="127.0.0.1", langgraph_config=file)):
            pass


def test_a_secret_that_a_stack_generates_signs() -> None:
    """40 letters and digits, which are base64."""
    generated = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6kL9n"
    settings = Settings(checkpointer="memory", host="127.0.0.1", webhook_secret=generated)
    assert settings.webhook_secrets == (generated,)
    assert Webhook(generated)
