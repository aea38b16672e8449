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


def page(documents: Sequence[Any], *, limit: int, offset: int) -> Response:
    """A page of documents, given one more than its limit if there are more; headers tell where it goes on."""
    if len(documents) <= limit:
        return json(documents, headers={"X-Pagination-Total": str(offset + len(documents))})
    following = str(offset + limit)
    return json(
        documents[:limit],
        headers={"X-Pagination-Total": str(offset + limit + 1), "X-Pagination-Next": following},
    )
