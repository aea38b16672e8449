"""Commands of LangGraph's event streaming protocol: a run is started, or what waits for an answer is given it."""

import asyncio
import time
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field, ValidationError

from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api import states
from langgraph_agents_service.api.bodies import StrictRoute
from langgraph_agents_service.api.context import CallerDep, ThreadId, ThreadsDep
from langgraph_agents_service.api.errors import ANSWERS, problems
from langgraph_agents_service.api.runs.threaded import prepare
from langgraph_agents_service.api.schemas import (
    Body,
    Command,
    Config,
    LangSmithTracer,
    Metadata,
    RunCreate,
    Send,
)
from langgraph_agents_service.api.wire import json
from langgraph_agents_service.persistence.registry.base import NotFoundError, Thread, ThreadStatus
from langgraph_agents_service.runs.protocol import PROTOCOL, SUPPORTED
from langgraph_agents_service.service import Service

router = APIRouter(prefix="/threads", tags=["threads"], route_class=StrictRoute, responses=ANSWERS)

Json = dict[str, Any]

SETTLE_SECONDS = 5.0
"""How long an answer waits for the run that asked: its question is told before its state is kept."""

_NOT_OVER_HTTP = (
    "subscription.subscribe",
    "subscription.unsubscribe",
    "subscription.reconnect",
    "agent.getTree",
    "input.inject",
    "state.get",
    "state.listCheckpoints",
    "state.fork",
)
"""Of the protocol, what other routes have: `.../stream/events`, an assistant's `graph`, a thread's `state`."""


class CommandError(Exception):
    """A command that cannot be done, with the protocol's code for the reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CommandCall(Body):
    id: int = Field(ge=0, lt=2**63)
    method: str
    params: Json = Field(default_factory=dict)


class RunStart(Body):
    assistant_id: str = Field(min_length=1)
    input: Any = None
    config: Config = Field(default_factory=Config)
    metadata: Metadata = Field(default_factory=dict)
    langsmith_tracer: LangSmithTracer | None = None
    multitask_strategy: Literal["reject", "enqueue", "interrupt", "rollback"] = Field(
        "enqueue", alias="multitaskStrategy"
    )


class Answer(Body):
    interrupt_id: str
    response: Any = None
    namespace: list[str] = Field(default_factory=list)


class InputRespond(Body):
    """One answer, or several at once."""

    interrupt_id: str | None = None
    response: Any = None
    namespace: list[str] = Field(default_factory=list)
    responses: list[Answer] = Field(default_factory=list, max_length=1000)
    update: Json | None = None
    goto: str | Send | list[str | Send] | None = None
    config: Config = Field(default_factory=Config)
    metadata: Metadata = Field(default_factory=dict)

    @property
    def answers(self) -> Json:
        """By what they answer."""
        one = {self.interrupt_id: self.response} if self.interrupt_id is not None else {}
        return one | {answer.interrupt_id: answer.response for answer in self.responses}


class ProtocolRun(RunCreate):
    @property
    def modes(self) -> list[str]:
        return [PROTOCOL]


@router.post("/{thread_id}/commands")
async def command(thread_id: ThreadId, body: CommandCall, service: ThreadsDep, caller: CallerDep) -> Response:
    return json(await obey(service, caller, thread_id, body))


async def obey(service: Service, caller: Caller, thread_id: str, call: CommandCall) -> Json:
    """What the protocol answers to a command. Raises what routes raise, but for what is wrong with the command."""
    try:
        if call.method == "run.start":
            result = await _start(service, caller, thread_id, RunStart.model_validate(call.params))
        elif call.method == "input.respond":
            result = await _respond(service, caller, thread_id, InputRespond.model_validate(call.params))
        elif call.method in _NOT_OVER_HTTP:
            raise CommandError("not_supported", f"{call.method}: this service does not have it as a command")
        else:
            raise CommandError("unknown_command", f"there is no command {call.method[:100]!r}")
    except ValidationError as error:
        text = problems(error)
        return failure(call, "invalid_argument", f"{call.method}: {text}")
    except CommandError as error:
        return failure(call, error.code, str(error))
    return success(call, result)


def success(call: CommandCall, result: Json) -> Json:
    return {"type": "success", "id": call.id, "result": result}


def failure(call: CommandCall, code: str, message: str) -> Json:
    return {"type": "error", "id": call.id, "error": code, "message": message}


async def _start(service: Service, caller: Caller, thread_id: str, asked: RunStart) -> Json:
    config = asked.config.model_copy(update={"configurable": {**asked.config.configurable}})
    fork = config.configurable.pop("checkpoint_id", None)
    thread = await _thread(service, caller, thread_id)
    waits = bool(
        asked.input is not None
        and fork is None
        and thread
        and thread.status is ThreadStatus.INTERRUPTED
        and await _waiting(service, thread)
    )
    run = ProtocolRun(
        assistant_id=asked.assistant_id,
        input=None if waits else asked.input,
        command=Command(resume=asked.input) if waits else None,
        config=config,
        metadata=asked.metadata,
        checkpoint_id=fork,
        langsmith_tracer=asked.langsmith_tracer,
        multitask_strategy=asked.multitask_strategy,
    )
    return await _submit(service, caller, thread_id, run)


async def _respond(service: Service, caller: Caller, thread_id: str, asked: InputRespond) -> Json:
    if not asked.answers:
        raise CommandError("invalid_argument", "input.respond: name an interrupt_id, or several in responses")
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        thread = await _thread(service, caller, thread_id)
        waiting = await _waiting(service, thread) if thread else set()
        if thread and asked.answers.keys() <= waiting:
            break
        if thread is None or thread.status is not ThreadStatus.BUSY or time.monotonic() > deadline:
            unknown = ", ".join(sorted(asked.answers.keys() - waiting))
            raise CommandError("no_such_interrupt", f"nothing waits for an answer to {unknown}")
        await asyncio.sleep(0.05)
    run = ProtocolRun(
        assistant_id=str(thread.metadata["assistant_id"]),
        command=Command(resume=asked.answers, update=asked.update, goto=asked.goto),
        config=asked.config,
        metadata=asked.metadata,
        multitask_strategy="enqueue",
    )
    await _submit(service, caller, thread_id, run)
    return {}


async def _submit(service: Service, caller: Caller, thread_id: str, asked: ProtocolRun) -> Json:
    if not SUPPORTED:
        raise CommandError("not_supported", "the event streaming protocol needs langgraph 1.2 in the project")
    asked.stream_subgraphs = asked.stream_resumable = True
    asked.if_not_exists = "create"
    run, owner = await prepare(service, caller, asked, thread_id)
    await service.runner.submit(run, owner, create_thread=True)
    return {"run_id": run.run_id}


async def _thread(service: Service, caller: Caller, thread_id: str) -> Thread | None:
    """None: it is still to be made, or another's, as making it will show."""
    owner = await caller.may("threads", "read", {"thread_id": UUID(thread_id)})
    try:
        return await service.registry.get_thread(thread_id, owner)
    except NotFoundError:
        return None


async def _waiting(service: Service, thread: Thread) -> set[str]:
    """The ids of what on the thread waits for an answer."""
    graph = await states.graph_of(service, thread) if thread.status is not ThreadStatus.IDLE else None
    if graph is None:
        return set()
    snapshot = await graph.aget_state(states.config_of(thread.thread_id))
    return {interrupt.id for interrupt in snapshot.interrupts}
