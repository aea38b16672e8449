"""Answers to paths that the service does not have: what the Agent Server API has there is named, not just absent."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from langgraph_agents_service.api.errors import answer
from langgraph_agents_service.api.paths import path_of
from langgraph_agents_service.projects.http import Http

_FEATURES = (
    (r"/assistants(/.*)?", "this operation on assistants"),
    (r"/threads/[^/]+/runs(/.*)?", "this operation on runs"),
    (r"/threads(/.*)?", "this operation on threads"),
    (r"/runs(/.*)?", "this operation on runs"),
    (r"/store(/.*)?", "this operation on the store"),
    (r"/ui(/.*)?", "user interfaces that belong to graphs"),
    (r"/metrics", "metrics on this port (METRICS_PORT has them)"),
)
"""What the Agent Server API has, the special before the general."""


def answering(http: Http) -> ASGIApp:
    """What answers when no route does."""

    async def missing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        path = path_of(scope)
        refusal = answer(404, f"there is no {path[:200]}")
        # An id that is empty, as in /threads//state, makes a path that nobody has.
        if not http.disables(path) and "//" not in path:
            for pattern, feature in _FEATURES:
                if re.fullmatch(pattern, path):
                    asked = f"{scope['method']} {path[:200]}"
                    refusal = answer(501, f"{asked}: this service does not have {feature}")
                    break
        await refusal(scope, receive, send)

    return missing
