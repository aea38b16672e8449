"""`/a2a/{assistant_id}`: every assistant is an agent of the Agent2Agent protocol, version 1.0 or 0.3, by JSON-RPC.

A context is a thread, and a task a run on it, or several if it was asked for input meanwhile.
"""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query, Request, Response
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import APIStatusError, NotFoundError, UnprocessableEntityError
from langgraph_sdk.schema import Run, Thread

from langgraph_agents_service.api import follow
from langgraph_agents_service.api.agents import messages, rpc
from langgraph_agents_service.api.agents.rpc import Document, RpcError
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.meta import own_version
from langgraph_agents_service.api.wire import json
from langgraph_agents_service.runs.wire import dumps, sse

router = APIRouter(tags=["a2a"], responses=ANSWERS)

_TASK_NOT_FOUND = -32001
_TASK_NOT_CANCELABLE = -32002
_PUSH_NOT_SUPPORTED = -32003
_UNSUPPORTED_OPERATION = -32004
_NO_EXTENDED_CARD = -32007

_METHODS = {
    "message/send": "SendMessage",
    "message/stream": "SendStreamingMessage",
    "tasks/get": "GetTask",
    "tasks/list": "ListTasks",
    "tasks/cancel": "CancelTask",
    "tasks/resubscribe": "SubscribeToTask",
    "tasks/pushNotificationConfig/set": "CreateTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/get": "GetTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/list": "ListTaskPushNotificationConfigs",
    "tasks/pushNotificationConfig/delete": "DeleteTaskPushNotificationConfig",
    "agent/getAuthenticatedExtendedCard": "GetExtendedAgentCard",
}
"""Names of version 0.3, and what they are called in 1.0."""

_STATES = {
    "pending": "TASK_STATE_SUBMITTED",
    "running": "TASK_STATE_WORKING",
    "success": "TASK_STATE_COMPLETED",
    "interrupted": "TASK_STATE_CANCELED",
    "error": "TASK_STATE_FAILED",
    "timeout": "TASK_STATE_FAILED",
}
_OVER = {"TASK_STATE_COMPLETED", "TASK_STATE_CANCELED", "TASK_STATE_FAILED"}
_SCANNED = 1000
"""Runs of a context that are looked through for a task's latest one."""
_CONTEXTS = 100
"""Contexts whose tasks are listed, the latest first, where none is named."""
_MODES = ["application/json", "text/plain"]


@router.get("/.well-known/agent-card.json")
async def card(
    request: Request, assistant_id: Annotated[str, Query(description="Whose card it is.")]
) -> Response:
    async with rpc.api(request) as client:
        try:
            assistant = await client.assistants.get(assistant_id)
            schemas = await client.assistants.get_schemas(assistant_id)
        except APIStatusError as error:
            raise ApiError(error.status_code, rpc.detail(error)) from None
    schema = schemas.get("input_schema") or schemas.get("state_schema") or {}
    properties = cast(dict[str, Any], schema.get("properties") or {})
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    base = request.base_url.replace(scheme=scheme if scheme in ("http", "https") else request.url.scheme)
    url = f"{str(base).rstrip('/')}/a2a/{assistant['assistant_id']}"
    name = assistant["name"]
    description = assistant.get("description") or f"{name} assistant"
    return json(
        {
            "name": name,
            "description": description,
            "url": url,
            "preferredTransport": "JSONRPC",
            "protocolVersion": "0.3.0",
            "supportedInterfaces": [
                {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": version}
                for version in ("1.0", "0.3")
            ],
            "capabilities": {
                "streaming": True,
                "pushNotifications": False,
                "stateTransitionHistory": False,
            },
            "defaultInputModes": _MODES,
            "defaultOutputModes": _MODES,
            "skills": [
                {
                    "id": f"{assistant['assistant_id']}-main",
                    "name": f"{name} Capabilities",
                    "description": description,
                    "tags": ["assistant", "langgraph"],
                    "examples": [],
                    "inputModes": _MODES,
                    "outputModes": _MODES,
                    "metadata": {
                        "inputSchema": {
                            "required": schema.get("required", []),
                            "properties": sorted(properties),
                            "supportsA2A": "messages" in properties,
                        }
                    },
                }
            ],
            "version": own_version(),
        }
    )


@router.get("/a2a/{assistant_id}/.well-known/agent-card.json", include_in_schema=False)
async def own_card(request: Request, assistant_id: str) -> Response:
    return await card(request, assistant_id)


@router.post("/a2a/{assistant_id}")
async def post(assistant_id: str, request: Request) -> Response:
    rpc.require_json(request)
    asked: Document | None = None
    try:
        asked = await rpc.message(request)
        legacy = asked.get("method") in _METHODS
        method = _METHODS.get(str(asked.get("method")), str(asked.get("method")))
        if asked.get("id") is None or method not in _METHODS.values():
            raise RpcError(rpc.METHOD_NOT_FOUND, f"there is no method {str(asked.get('method'))[:100]}")
        _refuse(method, asked.get("params", {}))
    except RpcError as error:
        return json(rpc.failure(asked, error))
    if method in ("SendStreamingMessage", "SubscribeToTask"):
        frames = _streamed(request, assistant_id, asked, method, legacy=legacy)
        return follow.sse_response(follow.beating(frames))
    return await rpc.answered(request, _answer(request, assistant_id, asked, method, legacy=legacy))


def _refuse(method: str, params: Document) -> None:
    """Raises RpcError for what the card says that there is not."""
    configuration = params.get("configuration")
    given = configuration if isinstance(configuration, dict) else {}
    if (
        "PushNotification" in method
        or given.get("taskPushNotificationConfig")
        or given.get("pushNotificationConfig")
    ):
        raise RpcError(
            _PUSH_NOT_SUPPORTED,
            "there are no push notifications; follow the task, or start its run with a webhook",
        )
    if method == "GetExtendedAgentCard":
        raise RpcError(
            _NO_EXTENDED_CARD, "the card has all that there is to say, for everybody who may read it"
        )


async def _answer(
    request: Request, assistant_id: str, asked: Document, method: str, *, legacy: bool
) -> Document:
    params = asked.get("params", {})
    try:
        async with rpc.api(request) as client:
            if method == "SendMessage":
                length = _length(params.get("configuration") or {})
                begun = await _begin(client, assistant_id, params)
                values = await client.runs.join(begun.context_id, begun.run["run_id"])
                task = await _ended(client, begun, values, length)
                found = messages.as_of_0_3("task", task) if legacy else {"task": task}
                return rpc.result(asked, found)
            if method == "ListTasks":
                return rpc.result(asked, await _list(client, assistant_id, params, legacy=legacy))
            begun = await _find(client, assistant_id, str(params.get("id")), params.get("contextId"))
            if method == "CancelTask":
                begun = await _cancel(client, assistant_id, begun)
            task = await _shown(client, begun, _length(params))
            return rpc.result(asked, messages.as_of_0_3("task", task) if legacy else task)
    except RpcError as error:
        return rpc.failure(asked, error)
    except APIStatusError as error:
        return rpc.failure(asked, rpc.refusal(error))


async def _streamed(
    request: Request, assistant_id: str, asked: Document, method: str, *, legacy: bool
) -> AsyncIterator[bytes]:
    def event(found: Document) -> bytes:
        return sse("message", dumps(found), None)

    try:
        params = asked.get("params", {})
        changes = _begun if method == "SendStreamingMessage" else _gone_on
        async for kind, document in changes(request, assistant_id, params):
            if legacy:
                yield event(rpc.result(asked, messages.as_of_0_3(kind, document)))
            else:
                first, *rest = kind.split("-")
                yield event(rpc.result(asked, {first + "".join(word.title() for word in rest): document}))
    except RpcError as error:
        yield event(rpc.failure(asked, error))
    except APIStatusError as error:
        yield event(rpc.failure(asked, rpc.refusal(error)))


@dataclass(frozen=True, slots=True)
class _Task:
    task_id: str
    context_id: str
    run: Run
    """The latest of its runs."""
    state: str

    @property
    def where(self) -> Document:
        return {"taskId": self.task_id, "contextId": self.context_id}

    def says(self, parts: list[Document]) -> Document:
        return {"role": "ROLE_AGENT", "parts": parts, "messageId": str(uuid.uuid4()), **self.where}


async def _begun(
    request: Request, assistant_id: str, params: Document
) -> AsyncIterator[tuple[str, Document]]:
    """A task from its beginning to its end."""
    async with rpc.api(request) as client:
        task = await _begin(client, assistant_id, params)
        first = {**messages.given(params), **task.where, "role": "ROLE_USER"}
        said = [{name: value for name, value in part.items() if name != "kind"} for part in first["parts"]]
        yield (
            "task",
            {
                "id": task.task_id,
                "contextId": task.context_id,
                "status": _status("TASK_STATE_SUBMITTED"),
                "history": [{**{k: v for k, v in first.items() if k != "kind"}, "parts": said}],
            },
        )
        async for change in _changes(client, task):
            yield change


async def _gone_on(
    request: Request, assistant_id: str, params: Document
) -> AsyncIterator[tuple[str, Document]]:
    """A task that is under way, to its end. Raises RpcError for one that is over or waits."""
    async with rpc.api(request) as client:
        task = await _find(client, assistant_id, str(params.get("id")), params.get("contextId"))
        if task.state not in ("TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"):
            raise RpcError(_UNSUPPORTED_OPERATION, "the task is over, or waits for input: get it instead")
        yield "task", await _shown(client, task, None)
        async for change in _changes(client, task):
            yield change


async def _changes(client: LangGraphClient, task: _Task) -> AsyncIterator[tuple[str, Document]]:
    """What a task says until its run ends, and how it ends."""
    async for part in client.runs.join_stream(task.context_id, task.run["run_id"]):
        data: Any = part.data
        if part.event != "messages" or not isinstance(data, list) or not data:
            continue
        if data[0].get("type") == "AIMessageChunk" and (parts := messages.parts_of(data[0]["content"])):
            yield (
                "status-update",
                {**task.where, "status": _status("TASK_STATE_WORKING", task.says(parts))},
            )
    values = await client.runs.join(task.context_id, task.run["run_id"])
    ended = await _ended(client, task, values, 0)
    for artifact in ended.get("artifacts", []):
        yield "artifact-update", {**task.where, "artifact": artifact, "append": False, "lastChunk": True}
    yield "status-update", {**task.where, "status": ended["status"]}


async def _begin(client: LangGraphClient, assistant_id: str, params: Document) -> _Task:
    """Start the run that a message asks for. Raises RpcError."""
    message = messages.given(params)
    try:
        assistant = await client.assistants.get(assistant_id)
    except NotFoundError as error:
        raise RpcError(rpc.INVALID_PARAMS, rpc.detail(error)) from None
    given = messages.graph_input(message)
    if "messages" in given:
        schemas = await client.assistants.get_schemas(assistant_id)
        schema = schemas.get("input_schema") or schemas.get("state_schema") or {}
        if "messages" not in (schema.get("properties") or {}):
            raise RpcError(
                rpc.INVALID_PARAMS, "the graph takes no messages: send a part with data instead of a text"
            )
    task_id = message.get("taskId") or None
    command = None
    if task_id:
        before = await _find(client, assistant_id, task_id, message.get("contextId") or None)
        if before.state in _OVER:
            raise RpcError(_UNSUPPORTED_OPERATION, "the task is over and takes no more messages")
        context_id = before.context_id
        if before.state == "TASK_STATE_INPUT_REQUIRED":
            command, given = {"resume": _answer_in(given)}, {}
    else:
        context_id = message.get("contextId") or str(uuid.uuid4())
    try:
        context_id = str(uuid.UUID(context_id))
    except ValueError:
        raise RpcError(rpc.INVALID_PARAMS, "message.contextId has to be a UUID, the id of a thread") from None
    run = await client.runs.create(
        context_id,
        assistant["assistant_id"],
        input=None if command else given,
        command=cast(Any, command),
        context=params.get("context"),
        metadata={"a2a": {"task_id": task_id}} if task_id else None,
        if_not_exists="create",
        stream_mode=["values", "messages-tuple"],
    )
    return _Task(task_id or f"{context_id}:{run['run_id']}", context_id, run, "TASK_STATE_SUBMITTED")


def _answer_in(given: Document) -> Any:
    """What a message answers to a graph that waits: its text, or `resume` of its data, or the data."""
    if "messages" in given:
        return given["messages"][0]["content"]
    return given.get("resume", given)


async def _find(client: LangGraphClient, assistant_id: str, task_id: str, context_id: Any) -> _Task:
    """Raises RpcError if there is no such task of this assistant."""
    missing = RpcError(_TASK_NOT_FOUND, f"there is no task {task_id[:100]}")
    thread_id, _, run_id = task_id.partition(":")
    if not run_id:
        thread_id, run_id = str(context_id), task_id
    if context_id and context_id != thread_id:
        raise missing
    try:
        assistant = await client.assistants.get(assistant_id)
        thread = await client.threads.get(thread_id)
        first = await client.runs.get(thread_id, run_id)
        runs = await client.runs.list(thread_id, limit=_SCANNED)
    except (NotFoundError, UnprocessableEntityError):
        raise missing from None
    if first["assistant_id"] != assistant["assistant_id"]:
        raise missing
    task_id = f"{thread_id}:{run_id}"
    latest = next((run for run in runs if _task_of(run) == task_id), first)
    return _Task(task_id, thread_id, latest, _state(thread, runs, latest))


def _state(thread: Thread, runs: list[Run], latest: Run) -> str:
    """Of a task with this latest run, among the runs of its context."""
    is_last = not runs or runs[0]["run_id"] == latest["run_id"]
    if latest["status"] == "success" and is_last and thread["status"] == "interrupted":
        return "TASK_STATE_INPUT_REQUIRED"
    return _STATES.get(latest["status"], "TASK_STATE_WORKING")


async def _list(client: LangGraphClient, assistant_id: str, params: Document, *, legacy: bool) -> Document:
    """A page of the assistant's tasks, those that changed last first. Raises RpcError."""
    size, offset = _page(params)
    state, after = _sieve(params)
    length = _length(params)
    try:
        assistant = await client.assistants.get(assistant_id)
    except NotFoundError as error:
        raise RpcError(rpc.INVALID_PARAMS, rpc.detail(error)) from None
    found = [
        task
        for thread in await _contexts(client, assistant["assistant_id"], params.get("contextId"))
        for task in await _tasks(client, assistant["assistant_id"], thread)
        if state in (None, task.state) and (after is None or _moment(task.run["updated_at"]) >= after)
    ]
    found.sort(key=lambda task: _moment(task.run["updated_at"]), reverse=True)
    page = found[offset : offset + size]
    shown = []
    for task in page:
        document = await _shown(client, task, length)
        if not params.get("includeArtifacts"):
            document.pop("artifacts", None)
        shown.append(messages.as_of_0_3("task", document) if legacy else document)
    more = offset + size < len(found)
    return {
        "tasks": shown,
        "nextPageToken": str(offset + size) if more else "",
        "pageSize": size,
        "totalSize": len(found),
    }


async def _contexts(client: LangGraphClient, assistant_id: str, named: Any) -> list[Thread]:
    if named:
        try:
            return [await client.threads.get(str(named))]
        except (NotFoundError, UnprocessableEntityError):
            return []
    return await client.threads.search(metadata={"assistant_id": assistant_id}, limit=_CONTEXTS)


async def _tasks(client: LangGraphClient, assistant_id: str, thread: Thread) -> list[_Task]:
    try:
        runs = await client.runs.list(thread["thread_id"], limit=_SCANNED)
    except NotFoundError:  # it was deleted meanwhile
        return []
    found: dict[str, _Task] = {}
    for run in runs:
        task_id = str(_task_of(run) or f"{thread['thread_id']}:{run['run_id']}")
        if run["assistant_id"] == assistant_id and task_id not in found:
            found[task_id] = _Task(task_id, thread["thread_id"], run, _state(thread, runs, run))
    return list(found.values())


def _page(params: Document) -> tuple[int, int]:
    """How many tasks are wanted, and behind how many. Raises RpcError."""
    size, token = params.get("pageSize") or 50, params.get("pageToken") or "0"
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= 100:
        raise RpcError(rpc.INVALID_PARAMS, "pageSize has to be a number from 1 to 100")
    if not isinstance(token, str) or not token.isascii() or not token.isdigit() or len(token) > 9:
        raise RpcError(rpc.INVALID_PARAMS, "pageToken has to be one that a list of tasks gave")
    return size, int(token)


def _sieve(params: Document) -> tuple[str | None, datetime | None]:
    """The state that tasks have to have, and since when. Raises RpcError."""
    state, after = params.get("status"), params.get("statusTimestampAfter")
    if state in (None, "", "TASK_STATE_UNSPECIFIED"):
        state = None
    elif not isinstance(state, str):
        raise RpcError(rpc.INVALID_PARAMS, "status has to be the name of a state")
    elif not state.startswith("TASK_STATE_"):
        state = "TASK_STATE_" + state.upper().replace("-", "_")
    try:
        return state, _moment(after) if after is not None else None
    except (TypeError, ValueError):
        raise RpcError(rpc.INVALID_PARAMS, "statusTimestampAfter has to be a time of ISO 8601") from None


def _moment(text: Any) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _task_of(run: Run) -> Any:
    a2a: Any = (run.get("metadata") or {}).get("a2a")
    return a2a.get("task_id") if isinstance(a2a, dict) else None


async def _cancel(client: LangGraphClient, assistant_id: str, task: _Task) -> _Task:
    if task.state in _OVER:
        raise RpcError(_TASK_NOT_CANCELABLE, "the task is over")
    if task.state == "TASK_STATE_INPUT_REQUIRED":
        raise RpcError(_TASK_NOT_CANCELABLE, "the task waits for input, and nothing of it runs")
    try:
        await client.runs.cancel(task.context_id, task.run["run_id"], wait=True)
    except APIStatusError as error:
        if error.status_code != 409:
            raise
        raise RpcError(_TASK_NOT_CANCELABLE, "the task is over") from None
    return await _find(client, assistant_id, task.task_id, task.context_id)


async def _shown(client: LangGraphClient, task: _Task, length: int | None) -> Document:
    values: Any = (await client.threads.get_state(task.context_id))["values"]
    return _document(task, values, _status(task.state, at=task.run["updated_at"]), length)


async def _ended(client: LangGraphClient, task: _Task, values: Any, length: int | None) -> Document:
    """A task whose run is over with these values."""
    if isinstance(values, dict) and (error := values.get("__error__")):
        says = task.says([{"text": f"the assistant failed: {error['error']}"}])
        return _document(task, {}, _status("TASK_STATE_FAILED", says), length)
    run = await client.runs.get(task.context_id, task.run["run_id"])
    state = _STATES.get(run["status"], "TASK_STATE_WORKING")
    found = _document(task, values, _status(state), length)
    if isinstance(values, dict) and "__interrupt__" in values and state == "TASK_STATE_COMPLETED":
        found["status"] = _status("TASK_STATE_INPUT_REQUIRED")
        waiting = [{"data": {"id": asks["id"], "value": asks["value"]}} for asks in values["__interrupt__"]]
        found["artifacts"] = [_artifact("Interrupt", "The agent needs input to go on", waiting)]
    return found


def _document(task: _Task, values: Any, status: Document, length: int | None) -> Document:
    found: Document = {"id": task.task_id, "contextId": task.context_id, "status": status}
    if length != 0:
        found["history"] = messages.history(values, task.task_id, task.context_id, length)
    if status["state"] == "TASK_STATE_COMPLETED":
        found["artifacts"] = [
            _artifact("Assistant Response", "What the agent answers", messages.reply(values))
        ]
    return found


def _artifact(name: str, description: str, parts: list[Document]) -> Document:
    return {"artifactId": str(uuid.uuid4()), "name": name, "description": description, "parts": parts}


def _status(state: str, message: Document | None = None, at: Any = None) -> Document:
    moment = at if isinstance(at, str) else datetime.now(UTC).isoformat()
    return {"state": state, "timestamp": moment, **({"message": message} if message else {})}


def _length(given: Any) -> int | None:
    """How much of the history is wanted. Raises RpcError."""
    length = given.get("historyLength") if isinstance(given, dict) else None
    if length is None:
        return None
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise RpcError(rpc.INVALID_PARAMS, "historyLength has to be a number from 0 on")
    return length
