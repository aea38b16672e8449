"""From what a request asks to the run that does it."""

import contextlib
import os
import uuid
from typing import Any

from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api.assistants import finding
from langgraph_agents_service.api.errors import ApiError
from langgraph_agents_service.api.schemas import Checkpoint, Question, RunCreate
from langgraph_agents_service.configuration.settings import Environment
from langgraph_agents_service.persistence.registry.base import NotFoundError, Owner, Run
from langgraph_agents_service.runs.endings import TEMPORARY_MINUTES
from langgraph_agents_service.service import Service
from langgraph_agents_service.webhooks import checking


async def new(
    service: Service, caller: Caller, body: Question, assistant_id: str, thread_id: str, **more: Any
) -> Run:
    """A run of what a request asks, with `more` of its payload. Raises ApiError for what it must not ask."""
    assistant, _ = await finding.find(service, caller, assistant_id, ask_own=False)
    graph = finding.graph_of(service, assistant.graph_id)
    given = body.config.model_dump(mode="json", exclude_unset=True)
    own_config, context = finding.in_step(given, more.pop("context", None))
    config = {**assistant.config, **(own_config or {})}
    config["configurable"] = {
        **(assistant.config.get("configurable") or {}),
        **((own_config or {}).get("configurable") or {}),
    }
    limit = service.settings.max_recursion_limit
    if (config.get("recursion_limit") or 0) > limit:
        raise ApiError(
            422, f"config.recursion_limit: {config['recursion_limit']} is above MAX_RECURSION_LIMIT={limit}"
        )
    return Run(
        run_id=str(uuid.uuid4()),
        thread_id=thread_id,
        assistant_id=assistant.assistant_id,
        graph_id=graph.graph_id,
        multitask_strategy=service.settings.multitask_strategy.value,
        assistant={"metadata": assistant.metadata, "config": assistant.config},
        payload={
            "input": body.input,
            "command": body.command.model_dump(mode="json") if body.command else None,
            "config": config,
            "context": {**assistant.context, **(context or {})},
            **more,
        },
    )


async def build(service: Service, caller: Caller, body: RunCreate, thread_id: str) -> Run:
    """The run that a request describes. Raises ApiError for what it must not ask."""
    checkpoint = None
    if named := named_checkpoint(body):
        checkpoint = {"checkpoint_ns": named.checkpoint_ns, "checkpoint_id": str(named.checkpoint_id)}
    run = await new(
        service,
        caller,
        body,
        body.assistant_id,
        thread_id,
        context=body.context,
        checkpoint=checkpoint,
        stream_mode=body.modes,
        stream_subgraphs=body.stream_subgraphs,
        interrupt_before=body.interrupt_before,
        interrupt_after=body.interrupt_after,
        durability=body.durability or _before_durability(body.checkpoint_during),
        feedback_keys=_feedback_keys(body),
        langsmith_tracer=body.langsmith_tracer.model_dump() if body.langsmith_tracer else None,
    )
    run.metadata = body.metadata
    run.record_events = body.stream_resumable
    run.after_seconds = body.after_seconds
    run.webhook = await _webhook(service, body.webhook)
    if body.multitask_strategy:
        run.multitask_strategy = body.multitask_strategy
    return run


async def _webhook(service: Service, url: str | None) -> str | None:
    """Raises ApiError 422 for an address that must not be called."""
    if url is None:
        return None
    if service.graphs.project.http.disable_webhooks:
        raise ApiError(422, "webhook: langgraph.json has http.disable_webhooks; leave it out")
    if service.settings.environment is Environment.PROD and not service.settings.webhook_secrets:
        raise ApiError(
            422,
            "webhook: WEBHOOK_SECRET is not set, and in prod nothing is sent unsigned; set it, or leave it out",
        )
    try:
        await checking.check(url, service.webhooks.url)
    except checking.WebhookError as error:
        raise ApiError(422, f"webhook: {error}") from None
    return url


def _before_durability(checkpoint_during: bool | None) -> str | None:
    return None if checkpoint_during is None else "async" if checkpoint_during else "exit"


def _feedback_keys(body: RunCreate) -> list[str] | None:
    """Raises ApiError 422 where there is no LangSmith that could take feedback."""
    if body.feedback_keys and not (
        os.environ.get("LANGSMITH_API_KEY") or os.environ.get("LANGCHAIN_API_KEY")
    ):
        raise ApiError(
            422, "feedback_keys: feedback goes to LangSmith; set LANGSMITH_API_KEY, or leave it out"
        )
    return body.feedback_keys


def named_checkpoint(body: RunCreate) -> Checkpoint | None:
    if body.checkpoint_id is not None:
        return Checkpoint(checkpoint_id=body.checkpoint_id)
    return body.checkpoint if body.checkpoint and body.checkpoint.checkpoint_id else None


async def allow(caller: Caller, run: Run, *, thread_id: str | None, if_not_exists: str = "reject") -> Owner:
    """Ask whether the caller may create this run, and let it travel on the caller's behalf. The project's handlers may
    change the run's metadata and config. Raises RefusedError."""
    run.owner = caller.owner
    if user := caller.travels():
        run.payload["user"] = user
    if caller.configurable:
        config = run.payload["config"]
        config["configurable"] = {**(config.get("configurable") or {}), **caller.configurable}
    asked: dict[str, Any] = {
        "thread_id": uuid.UUID(thread_id) if thread_id else None,
        "assistant_id": uuid.UUID(run.assistant_id),
        "run_id": uuid.UUID(run.run_id),
        "status": "pending",
        "metadata": run.metadata,
        "prevent_insert_if_inflight": run.multitask_strategy == "reject",
        "multitask_strategy": run.multitask_strategy,
        "if_not_exists": if_not_exists,
        "after_seconds": run.after_seconds,
        "kwargs": {name: value for name, value in run.payload.items() if name != "user"},
    }
    owner = await caller.may("threads", "create_run", asked)
    run.payload |= asked["kwargs"]
    run.metadata = {**(run.payload["config"].get("metadata") or {}), **asked["metadata"]}
    return owner


async def bound_thread(service: Service, run: Run) -> None:
    """Give the thread that was made for a run alone a lifetime, should the process end before it deletes the thread."""
    if run.payload.get("temporary") and service.registry.durable:
        with contextlib.suppress(NotFoundError):
            ttl = (TEMPORARY_MINUTES, "delete")
            await service.registry.update_thread(run.thread_id, Owner(run.owner), {}, ttl=ttl)


def headers_of(run: Run, *, stateless: bool = False) -> dict[str, str]:
    """Where a client that was cut off asks again."""
    if stateless:
        return {"Content-Location": f"/runs/{run.run_id}"}
    return {"Content-Location": f"/threads/{run.thread_id}/runs/{run.run_id}"}
