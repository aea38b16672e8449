"""What routes are given: the service, who asks, and what they may touch."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Depends, Path, Request

from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.api.authentication import caller_in
from langgraph_agents_service.api.errors import ApiError
from langgraph_agents_service.persistence.registry.base import Owner
from langgraph_agents_service.service import Service


def service_of(request: Request) -> Service:
    return cast(Service, request.app.state.service)


def caller_of(request: Request) -> Caller:
    return caller_in(request.scope)


# Coroutines although they wait for nothing: FastAPI sends plain functions through a thread.


async def _service(request: Request) -> Service:
    return service_of(request)


async def _caller(request: Request) -> Caller:
    return caller_of(request)


async def _keeping(request: Request) -> Service:
    service = service_of(request)
    if not service.keeps_threads:
        raise ApiError(
            422,
            "CHECKPOINTER=none keeps no threads; use /runs/wait, /runs/stream or /invoke without a thread",
        )
    return service


async def _thread_id(thread_id: Annotated[UUID, Path()]) -> str:
    return str(thread_id)


async def _run_id(run_id: Annotated[UUID, Path()]) -> str:
    return str(run_id)


ServiceDep = Annotated[Service, Depends(_service)]
ThreadsDep = Annotated[Service, Depends(_keeping)]
"""The service, if it keeps threads."""
CallerDep = Annotated[Caller, Depends(_caller)]
"""Who asks. For a route that reads a body: `await caller.may(resource, action, value)` says what they may touch."""
ThreadId = Annotated[str, Depends(_thread_id)]
RunId = Annotated[str, Depends(_run_id)]


def _asking(action: str) -> Callable[..., Awaitable[Owner]]:
    async def ask(request: Request, caller: CallerDep, thread_id: Annotated[UUID, Path()]) -> Owner:
        value: dict[str, Any] = {"thread_id": thread_id}
        if run_id := request.path_params.get("run_id"):
            value["run_id"] = run_id
        return await caller.may("threads", action, value)

    return ask


Reader = Annotated[Owner, Depends(_asking("read"))]
"""What the caller may read of threads, having named this one; likewise the others."""
Updater = Annotated[Owner, Depends(_asking("update"))]
Deleter = Annotated[Owner, Depends(_asking("delete"))]
Searcher = Annotated[Owner, Depends(_asking("search"))]
