"""One JSON object a line on stdout, with the ids of the request, thread and run that it belongs to."""

import json
import logging
import sys
import traceback
from contextvars import ContextVar
from copy import copy
from datetime import UTC, datetime
from typing import Any

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
thread_id: ContextVar[str | None] = ContextVar("thread_id", default=None)
run_id: ContextVar[str | None] = ContextVar("run_id", default=None)

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """With `content`, as everybody wrote it. Without, no text of an exception is in a line, whoever logs it: it may
    quote what users wrote, or a password. What a graph writes into its own log is its own affair."""

    def __init__(self, *, content: bool) -> None:
        super().__init__()
        self._content = content

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._message(record),
            "request_id": request_id.get(),
            "thread_id": thread_id.get(),
            "run_id": run_id.get(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(
            {key: value for key, value in line.items() if value is not None}, default=self._text
        )

    def formatException(self, ei: Any) -> str:  # noqa: N802  # the name is logging's
        if self._content:
            return super().formatException(ei)
        kind, _, where = ei
        frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(where)]
        return "\n".join([*frames, kind.__name__ if kind else ""])

    def _message(self, record: logging.LogRecord) -> str:
        if self._content:
            return record.getMessage()
        if record.name == "asyncio":  # the lines behind the first one show tasks with their exceptions
            return record.getMessage().partition("\n")[0]
        if isinstance(record.args, tuple) and any(isinstance(arg, BaseException) for arg in record.args):
            record = copy(record)
            record.args = tuple(_kind(arg) for arg in record.args or ())
        return record.getMessage()

    def _text(self, value: object) -> str:
        return str(value if self._content else _kind(value))


def _kind(value: Any) -> Any:
    """The type of an exception in its place."""
    return type(value).__name__ if isinstance(value, BaseException) else value


def configure(level: str, *, content: bool) -> None:
    """Send every logger, uvicorn's included, through the JSON formatter."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(content=content))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # The gateway logs requests itself, with their ids; httpx would log the addresses of model providers.
    for name in ("uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
