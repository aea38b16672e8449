"""What routes are given: the service, and the owner that the request's key stands for."""

from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends, Path, Request

from langgraph_agents_service.api.errors import ApiError
from langgraph_agents_service.projects.graphs import Graph
from langgraph_agents_service.service import Service


def service_of(request: Request) -> Service:
    return cast(Service, request.app.state.service)


def owner_of(request: Request) -> str:
    return cast(str, request.state.owner)


# Coroutines although they wait for nothing: FastAPI sends plain functions through a thread.


async def _service(request: Request) -> Service:
    return service_of(request)


async def _owner(request: Request) -> str:
    return owner_of(request)


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
Owner = Annotated[str, Depends(_owner)]
ThreadId = Annotated[str, Depends(_thread_id)]
RunId = Annotated[str, Depends(_run_id)]


def find_graph(service: Service, assistant_id: str) -> Graph:
    """Raises ApiError 404, with what there is."""
    graph = service.graphs.find(assistant_id)
    if graph is None:
        raise ApiError(
            404, f"there is no assistant {assistant_id!r}; there is: {', '.join(service.graphs.names)}"
        )
    return graph
