"""LangSmith tracing, which its own variables switch on (LANGSMITH_TRACING, LANGSMITH_API_KEY, ...)."""

import asyncio
import os
from typing import Any

_SWITCHES = ("LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGCHAIN_TRACING")
_FLUSH_SECONDS = 2.0


def wanted() -> bool:
    """The library takes exactly `true`."""
    return any(os.environ.get(name) == "true" for name in _SWITCHES)


def configure(*, content: bool) -> None:
    """Set the client that traces are sent by, with the key that is in the environment now.

    Args:
        content: whether inputs, outputs and the texts of exceptions are sent. Otherwise traces have names, times,
            tokens, metadata and the types of exceptions. What LANGSMITH_HIDE_INPUTS and LANGSMITH_HIDE_OUTPUTS hide
            stays hidden either way.
    """
    if not wanted():
        return
    import langsmith
    from langsmith.utils import get_env_var

    # It remembers what it has read, and secrets that are files have come or changed since.
    get_env_var.cache_clear()  # type: ignore[attr-defined]
    if content:
        langsmith.configure(client=langsmith.Client())
    else:
        langsmith.configure(
            client=langsmith.Client(hide_inputs=True, hide_outputs=True, anonymizer=_without_texts)
        )


async def flush() -> None:
    """Send what has not been sent yet, unless LangSmith cannot be reached."""
    if wanted():
        from langsmith.run_trees import get_cached_client

        await asyncio.to_thread(get_cached_client().flush, timeout=_FLUSH_SECONDS)


def _without_texts(data: dict[str, Any]) -> dict[str, Any]:
    """The client asks for an error, as `TypeError('...')` and a traceback, and for the metadata of a run."""
    if data.keys() == {"error"} and isinstance(data["error"], str):
        return {"error": data["error"].partition("(")[0]}
    return data
