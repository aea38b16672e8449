"""Answers to what goes wrong: a status that clients act on, and one sentence in `detail`."""

import logging
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from langgraph.errors import EmptyInputError, InvalidUpdateError

from langgraph_agents_service.access.authorization import RefusedError
from langgraph_agents_service.persistence.assistants.base import AssistantExistsError
from langgraph_agents_service.persistence.registry.base import (
    NotFoundError,
    ThreadBusyError,
    ThreadExistsError,
)
from langgraph_agents_service.runs.places import CrowdedError, OverloadedError
from langgraph_agents_service.runs.runner import UNAVAILABLE

RETRY_AFTER = {"Retry-After": "1"}

ANSWERS: dict[int | str, dict[str, Any]] = {
    code: {"description": text, "content": {"application/json": {}}}
    for code, text in {
        401: "The key, or what the project's own authentication asks for, is missing or not valid.",
        403: "The project's own authorization refuses this.",
        404: "No such thread, run, checkpoint or assistant, or it belongs to another key.",
        409: "A run is active on the thread, or the id is taken.",
        413: "The body is larger than MAX_REQUEST_BYTES.",
        422: "What is wrong with the request.",
        429: "More requests than RATE_LIMIT_PER_MINUTE, or runs than MAX_CONCURRENT_RUNS_PER_CALLER.",
        503: "No place or no storage; try again after `Retry-After` seconds.",
    }.items()
}
"""What any route may answer, for the OpenAPI."""

log = logging.getLogger(__name__)


class ApiError(HTTPException):
    """An answer that is not 2xx. FastAPI's own class, because FastAPI lets no other out of reading a body."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)


def answer(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)


def problems(error: RequestValidationError) -> str:
    """All that is wrong with a request, in one line."""
    lines = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"] if part not in ("body", "query", "path"))
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "is not supported by this service; leave it out"
        if fault["type"] == "json_invalid":
            message = f"the body is not JSON: {fault.get('ctx', {}).get('error', '')}"
            where = ""
        lines.append(f"{where}: {message}" if where else message)
    return "; ".join(lines[:20])


def install(app: FastAPI) -> None:
    """Teach the application to answer every error that its routes raise."""

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(422, problems(error))

    @app.exception_handler(RefusedError)
    async def _refusal(_request: Request, refused: RefusedError) -> JSONResponse:
        return answer(refused.status, refused.detail, refused.headers)

    @app.exception_handler(NotFoundError)
    async def _not_found(_request: Request, _error: NotFoundError) -> JSONResponse:
        return answer(404, "there is no such thread or run, or it belongs to another key")

    @app.exception_handler(ThreadBusyError)
    async def _busy(_request: Request, _error: ThreadBusyError) -> JSONResponse:
        return answer(
            409,
            "a run is active on this thread; wait for it, cancel it, or use multitask_strategy=enqueue",
        )

    @app.exception_handler(ThreadExistsError)
    async def _exists(_request: Request, _error: ThreadExistsError) -> JSONResponse:
        return answer(409, "this thread id is taken; choose another, or use if_exists=do_nothing")

    @app.exception_handler(AssistantExistsError)
    async def _assistant_exists(_request: Request, _error: AssistantExistsError) -> JSONResponse:
        return answer(409, "this assistant id is taken; choose another, or use if_exists=do_nothing")

    @app.exception_handler(OverloadedError)
    async def _overloaded(_request: Request, _error: OverloadedError) -> JSONResponse:
        return answer(503, "no place became free in time; try again", RETRY_AFTER)

    @app.exception_handler(CrowdedError)
    async def _crowded(_request: Request, _error: CrowdedError) -> JSONResponse:
        text = "as many runs as MAX_CONCURRENT_RUNS_PER_CALLER are in progress for you; wait for one to end"
        return answer(429, text, RETRY_AFTER)

    @app.exception_handler(InvalidUpdateError)
    @app.exception_handler(EmptyInputError)
    async def _refused(_request: Request, error: Exception) -> JSONResponse:
        return answer(422, f"the graph refuses this: {error}")

    async def _unavailable(_request: Request, error: Exception) -> JSONResponse:
        log.warning("a request found its storage away", extra={"error": type(error).__name__})
        return answer(503, "the storage of threads does not answer; try again", RETRY_AFTER)

    for kind in UNAVAILABLE:
        app.add_exception_handler(kind, _unavailable)
