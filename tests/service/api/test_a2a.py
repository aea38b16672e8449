"""Assistants as agents of A2A, by the official client."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.types.a2a_pb2 import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import A2AError, TaskNotCancelableError, TaskNotFoundError

from tests.service.serving import GRAPHS, KEY, OTHER_KEY, Served, serving

HEADERS = {"X-API-Key": KEY.partition(":")[2]}


@asynccontextmanager
async def talking(
    served: Served, graph: str = "agent", *, streaming: bool = False, key: str = KEY, version: str = "1.0"
) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(headers={"X-API-Key": key.partition(":")[2]}, timeout=30) as http:
        card = await _card(http, served, graph)
        for interface in list(card.supported_interfaces):
            if interface.protocol_version != version:
                card.supported_interfaces.remove(interface)
        yield ClientFactory(ClientConfig(httpx_client=http, streaming=streaming)).create(card)


async def _card(http: httpx.AsyncClient, served: Served, graph: str) -> AgentCard:
    resolver = A2ACardResolver(http, served.url)
    return await resolver.get_agent_card(http_kwargs={"params": {"assistant_id": graph}})


def saying(text: str, **more: Any) -> SendMessageRequest:
    message = Message(role=Role.ROLE_USER, message_id=str(uuid.uuid4()), parts=[Part(text=text)], **more)
    return SendMessageRequest(message=message)


def data(values: dict[str, Any]) -> SendMessageRequest:
    part = Part()
    part.data.struct_value.update(values)
    return SendMessageRequest(message=Message(role=Role.ROLE_USER, message_id="m", parts=[part]))


async def told(client: Client, request: SendMessageRequest) -> Task:
    found = [event async for event in client.send_message(request)]
    assert len(found) == 1
    return found[0].task


VERSIONS = pytest.mark.parametrize("version", ["1.0", "0.3"])


@VERSIONS
async def test_an_agent_answers_a_message_and_its_task_can_be_read(served: Served, version: str) -> None:
    async with talking(served, version=version) as client:
        task = await told(client, saying("What is 6 * 7?"))
        assert task.status.state == TaskState.TASK_STATE_COMPLETED
        assert [part.text for part in task.artifacts[0].parts] == ["The calculate tool says: 42"]
        assert task.history[0].role == Role.ROLE_USER
        again = await client.get_task(GetTaskRequest(id=task.id))
        assert again.id == task.id
        assert again.status.state == TaskState.TASK_STATE_COMPLETED
        assert again.artifacts[0].parts[0].text == "The calculate tool says: 42"
        short = await client.get_task(GetTaskRequest(id=task.id, history_length=1))
        assert [m.parts[0].text for m in short.history] == ["The calculate tool says: 42"]


async def test_a_context_is_a_thread_that_remembers(in_memory: Served) -> None:
    async with talking(in_memory) as client, in_memory.client() as api:
        first = await told(client, saying("first"))
        second = await told(client, saying("second", context_id=first.context_id))
        assert second.context_id == first.context_id
        assert second.id != first.id
        state: Any = await api.threads.get_state(first.context_id)
        said = [m["content"] for m in state["values"]["messages"] if m["type"] == "human"]
        assert said == ["first", "second"]


@VERSIONS
async def test_a_task_that_asks_goes_on_with_the_answer(in_memory: Served, version: str) -> None:
    async with talking(in_memory, version=version) as client:
        task = await told(client, saying("Remember that I like tea"))
        assert task.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
        assert task.artifacts[0].name == "Interrupt"
        assert task.artifacts[0].parts[0].data.struct_value["value"]
        assert (await client.get_task(GetTaskRequest(id=task.id))).status.state == task.status.state
        answer = data({"resume": {"decisions": [{"type": "approve"}]}})
        answer.message.task_id, answer.message.context_id = task.id, task.context_id
        ended = await told(client, answer)
        assert ended.id == task.id
        assert ended.status.state == TaskState.TASK_STATE_COMPLETED
        read = await client.get_task(GetTaskRequest(id=task.id))
        assert read.status.state == TaskState.TASK_STATE_COMPLETED


@VERSIONS
async def test_a_stream_tells_a_task_from_its_beginning_to_its_end(in_memory: Served, version: str) -> None:
    async with talking(in_memory, streaming=True, version=version) as client:
        events = [event async for event in client.send_message(saying("hello"))]
    kinds = [event.WhichOneof("payload") for event in events]
    assert kinds[0] == "task"
    assert kinds[-2:] == ["artifact_update", "status_update"]
    assert events[0].task.status.state == TaskState.TASK_STATE_SUBMITTED
    assert events[-2].artifact_update.artifact.parts[0].text == "You said: hello"
    assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
    between = [event.status_update.status for event in events[1:-2]]
    assert all(status.state == TaskState.TASK_STATE_WORKING for status in between)
    assert "".join(part.text for status in between for part in status.message.parts) == "You said: hello"


async def test_a_graph_without_messages_takes_data_and_answers_with_it(in_memory: Served) -> None:
    async with talking(in_memory, "steps") as client:
        task = await told(client, data({"tag": "x"}))
        assert task.artifacts[0].parts[0].data.struct_value["tag"] == "x"
        failed = await told(client, data({"fail_at": "two"}))
        assert failed.status.state == TaskState.TASK_STATE_FAILED
        assert "RuntimeError" in failed.status.message.parts[0].text
        assert "two failed" not in str(failed)
        with pytest.raises(Exception, match="takes no messages"):
            await told(client, saying("hello"))


async def test_a_task_is_canceled_while_it_runs_and_not_after(in_memory: Served) -> None:
    async with talking(in_memory, "steps") as client, in_memory.client() as api:
        context_id = str(uuid.uuid4())
        asking = data({"seconds": 5})
        asking.message.context_id = context_id
        sending = asyncio.create_task(told(client, asking))
        runs: Any = []
        for _ in range(100):
            await asyncio.sleep(0.1)
            if in_memory.service.runner.running and (runs := await api.runs.list(context_id)):
                break
        task_id = f"{context_id}:{runs[0]['run_id']}"
        canceled = await client.cancel_task(CancelTaskRequest(id=task_id))
        assert canceled.status.state == TaskState.TASK_STATE_CANCELED
        assert (await sending).status.state == TaskState.TASK_STATE_CANCELED
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(CancelTaskRequest(id=task_id))


async def test_a_task_belongs_to_its_key_and_its_assistant(in_memory: Served) -> None:
    async with talking(in_memory) as client:
        task = await told(client, saying("hello"))
    for graph, key in (("agent", OTHER_KEY), ("steps", KEY)):
        async with talking(in_memory, graph, key=key) as client:
            with pytest.raises(TaskNotFoundError):
                await client.get_task(GetTaskRequest(id=task.id))


async def test_tasks_are_listed_in_pages_those_that_changed_last_first(served: Served) -> None:
    async with talking(served) as client:
        context = str(uuid.uuid4())
        ids = [(await told(client, saying(f"What is {n} * 7?", context_id=context))).id for n in (1, 2, 3)]
        first = await client.list_tasks(ListTasksRequest(context_id=context, page_size=2, history_length=0))
        assert [task.id for task in first.tasks] == [ids[2], ids[1]]
        assert (first.total_size, first.page_size) == (3, 2)
        assert not first.tasks[0].artifacts
        assert not first.tasks[0].history
        rest = await client.list_tasks(
            ListTasksRequest(
                context_id=context, page_size=2, page_token=first.next_page_token, include_artifacts=True
            )
        )
        assert [task.id for task in rest.tasks] == ids[:1]
        assert rest.tasks[0].artifacts
        assert rest.tasks[0].history
        assert rest.next_page_token == ""
        wanted = ListTasksRequest(status=TaskState.TASK_STATE_COMPLETED, page_size=100)
        assert set(ids) <= {task.id for task in (await client.list_tasks(wanted)).tasks}
        wanted.status_timestamp_after.GetCurrentTime()
        assert not (await client.list_tasks(wanted)).tasks
        asks = await told(client, saying("Please remember that it rains", context_id=context))
        wanted = ListTasksRequest(status=TaskState.TASK_STATE_INPUT_REQUIRED, context_id=context)
        assert [task.id for task in (await client.list_tasks(wanted)).tasks] == [asks.id]
    for graph, key in (("agent", OTHER_KEY), ("steps", KEY)):
        async with talking(served, graph, key=key) as client:
            assert not (await client.list_tasks(ListTasksRequest(context_id=context))).tasks
            assert not set(ids) & {task.id for task in (await client.list_tasks(ListTasksRequest())).tasks}


def test_a_list_of_tasks_that_cannot_be_is_refused(in_memory: Served) -> None:
    for wrong in (
        {"pageSize": 101},
        {"pageSize": "many"},
        {"pageToken": "no"},
        {"status": 3},
        {"statusTimestampAfter": "soon"},
        {"historyLength": -1},
    ):
        assert _post(in_memory, _call("ListTasks", **wrong)).json()["error"]["code"] == -32602, wrong
    assert _post(in_memory, _call("tasks/list")).json()["result"]["pageSize"] == 50


@VERSIONS
async def test_who_was_cut_off_subscribes_to_a_task_until_it_is_over(in_memory: Served, version: str) -> None:
    async with talking(in_memory, "steps", version=version, streaming=True) as client:
        stream: Any = client.send_message(data({"seconds": 0.2}))
        task = (await anext(stream)).task
        await stream.aclose()
        found = [event async for event in client.subscribe(SubscribeToTaskRequest(id=task.id))]
        assert found[0].task.id == task.id
        assert found[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
        assert found[-2].artifact_update.artifact.parts
        with pytest.raises(A2AError, match="the task is over"):
            async for _ in client.subscribe(SubscribeToTaskRequest(id=task.id)):
                pass


def test_what_the_card_says_that_there_is_not_is_refused_by_its_own_error(in_memory: Served) -> None:
    message = {"role": "user", "messageId": "m", "parts": [{"kind": "text", "text": "hi"}]}
    config = {"url": "https://example.com"}
    for method, params, code in (
        ("tasks/pushNotificationConfig/set", {}, -32003),
        ("GetTaskPushNotificationConfig", {}, -32003),
        ("ListTaskPushNotificationConfigs", {}, -32003),
        ("tasks/pushNotificationConfig/delete", {}, -32003),
        (
            "SendMessage",
            {"message": message, "configuration": {"taskPushNotificationConfig": config}},
            -32003,
        ),
        ("message/stream", {"message": message, "configuration": {"pushNotificationConfig": config}}, -32003),
        ("GetExtendedAgentCard", {}, -32007),
        ("agent/getAuthenticatedExtendedCard", {}, -32007),
    ):
        assert _post(in_memory, _call(method, **params)).json()["error"]["code"] == code, method


def _post(served: Served, content: Any, **headers: str) -> httpx.Response:
    given = {**HEADERS, "Content-Type": "application/json", **headers}
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return httpx.post(f"{served.url}/a2a/agent", content=body, headers=given)


def _call(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": "a", "method": method, "params": params}


def test_what_is_no_message_is_refused(in_memory: Served) -> None:
    assert httpx.post(f"{in_memory.url}/a2a/agent", json={}).status_code == 401
    assert httpx.get(f"{in_memory.url}/.well-known/agent-card.json?assistant_id=agent").status_code == 401
    missing = f"{in_memory.url}/.well-known/agent-card.json?assistant_id=nobody"
    assert httpx.get(missing, headers=HEADERS).status_code == 404
    assert _post(in_memory, b"{").json()["error"]["code"] == -32700
    assert _post(in_memory, []).json()["error"]["code"] == -32600
    assert _post(in_memory, _call("nope")).json()["error"]["code"] == -32601
    assert _post(in_memory, b"{}", **{"Content-Type": "text/plain"}).status_code == 415
    message = {"role": "user", "messageId": "m", "parts": [{"kind": "text", "text": "hi"}]}
    for wrong in (
        {},
        {"message": {**message, "parts": []}},
        {"message": {**message, "messageId": ""}},
        {"message": {**message, "contextId": "no uuid"}},
        {"message": {**message, "parts": [{"kind": "file", "file": {}}]}},
    ):
        assert _post(in_memory, _call("message/send", **wrong)).json()["error"]["code"] == -32602, wrong
    unknown = _call("message/send", message={**message, "taskId": "a:b"})
    assert _post(in_memory, unknown).json()["error"]["code"] == -32001
    assert _post(in_memory, _call("tasks/get", id=str(uuid.uuid4()))).json()["error"]["code"] == -32001


def test_disable_a2a_takes_it_away(tmp_path: Path) -> None:
    config = tmp_path / "langgraph.json"
    graphs = {"agent": f"{GRAPHS.parent}/steps.py:builder"}
    config.write_text(json.dumps({"dependencies": [], "graphs": graphs, "http": {"disable_a2a": True}}))
    with serving(checkpointer="memory", langgraph_config=config) as served:
        assert _post(served, _call("nope")).status_code == 404
        for path in ("/.well-known/agent-card.json", "/a2a/agent/.well-known/agent-card.json"):
            answer = httpx.get(served.url + path, params={"assistant_id": "agent"}, headers=HEADERS)
            assert answer.status_code == 404
