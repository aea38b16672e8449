"""Answers to what goes wrong: a status that clients act on, and one sentence in `detail`."""

import logging
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from langgraph.errors import EmptyInputError, InvalidUpdateError
from pydantic import ValidationError

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
        503: "No place, no room for the body, or no storage; try again after `Retry-After` seconds.",
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


def problems(error: RequestValidationError | ValidationError) -> str:
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


_REFUSALS: dict[type[Exception], tuple[int, str]] = {
    NotFoundError: (404, "there is no such thread or run, or it belongs to another key"),
    ThreadBusyError: (
        409,
        "a run is active on this thread; wait for it, cancel it, or use multitask_strategy=enqueue",
    ),
    ThreadExistsError: (409, "this thread id is taken; choose another, or use if_exists=do_nothing"),
    AssistantExistsError: (409, "this assistant id is taken; choose another, or use if_exists=do_nothing"),
    OverloadedError: (503, "no place became free in time; try again"),
    CrowdedError: (
        429,
        "as many runs as MAX_CONCURRENT_RUNS_PER_CALLER are in progress for you; wait for one to end",
    ),
    **dict.fromkeys(UNAVAILABLE, (503, "the storage of threads does not answer; try again")),
}


def refusal(error: Exception) -> tuple[int, str]:
    """The status and the sentence that an error is answered with."""
    if isinstance(error, RefusedError):
        return error.status, error.detail
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail)
    if isinstance(error, (InvalidUpdateError, EmptyInputError)):
        return 422, f"the graph refuses this: {error}"
    if isinstance(error, UNAVAILABLE):
        log.warning("a request found its storage away", extra={"error": type(error).__name__})
    found = next((told for kind, told in _REFUSALS.items() if isinstance(error, kind)), None)
    if found is None:
        log.error("request failed", extra={"error": type(error).__name__})
    return found or (500, "internal error; the log has it")


def install(app: FastAPI) -> None:
    """Teach the application to answer every error that its routes raise."""

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(422, problems(error))

    async def _refused(_request: Request, error: Exception) -> JSONResponse:
        status, detail = refusal(error)
        again = RETRY_AFTER if status in (429, 503) else None
        return answer(status, detail, error.headers if isinstance(error, RefusedError) else again)

    for kind in (RefusedError, InvalidUpdateError, EmptyInputError, *_REFUSALS):
        app.add_exception_handler(kind, _refused)
