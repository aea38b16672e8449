"""What a run may ask of LangSmith: a project of its own to be traced to, and addresses to send feedback to."""

import asyncio
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from langgraph_agents_service.persistence.registry.base import Json


def tracing(asked: Json | None) -> AbstractContextManager[Any]:
    """Have what runs inside traced to the project that a run asks for, beside the service's own. Where LangSmith is
    not set up, nothing is traced."""
    if not asked or not asked.get("project_name"):
        return nullcontext()
    import langsmith
    from langsmith.utils import get_tracer_project

    example_id = asked.get("example_id")
    updates = {"reference_example_id": example_id} if example_id else None
    return langsmith.tracing_context(
        replicas=[
            {"project_name": asked["project_name"], "updates": updates},
            {"project_name": get_tracer_project(), "updates": None},
        ]
    )


async def feedback_urls(run_id: str, keys: list[str]) -> dict[str, str]:
    """An address for each key, by which feedback on the run is sent without a key of LangSmith."""
    from langsmith import Client

    tokens = await asyncio.to_thread(Client().create_presigned_feedback_tokens, run_id, keys)
    return {key: token.url for key, token in zip(keys, tokens, strict=True)}
