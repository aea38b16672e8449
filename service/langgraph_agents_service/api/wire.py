"""Answers in JSON, whole or only what was selected of them."""

from collections.abc import Sequence
from typing import Any

from fastapi import Response

from langgraph_agents_service.runs.wire import dumps


def json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(dumps(value), status, headers, media_type="application/json")


def selected(document: dict[str, Any], fields: Sequence[str] | None) -> dict[str, Any]:
    """What was asked for of a document; all of it if nothing was said."""
    return document if not fields else {name: document[name] for name in document if name in fields}
