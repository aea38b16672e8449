"""Threads with a lifetime of their own."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from langgraph_sdk.errors import UnprocessableEntityError

from tests.service.serving import Served
from tests.service.versions import SELECTING


@SELECTING
async def test_a_thread_is_given_a_lifetime_when_it_is_made_and_another_later(on_postgres: Served) -> None:
    async with on_postgres.client() as client:
        thread_id = (await client.threads.create(ttl=5))["thread_id"]
        thread: Any = await client.threads.get(thread_id, include=["ttl"])
        assert (thread["ttl"]["ttl_minutes"], thread["ttl"]["strategy"]) == (5, "delete")
        lasts = datetime.fromisoformat(thread["ttl"]["expires_at"]) - datetime.fromisoformat(
            thread["updated_at"]
        )
        assert lasts == timedelta(minutes=5)
        assert "ttl" not in await client.threads.get(thread_id)
        ttl = {"ttl": 7, "strategy": "keep_latest"}
        await client.threads.update(thread_id, metadata={}, ttl=ttl, return_minimal=True)
        thread = await client.threads.get(thread_id, include=["ttl"])
        assert (thread["ttl"]["ttl_minutes"], thread["ttl"]["strategy"]) == (7, "keep_latest")
        await client.threads.update(thread_id, metadata={"a": 1})
        thread = await client.threads.get(thread_id, include=["ttl"])
        assert thread["ttl"]["ttl_minutes"] == 7


async def test_a_lifetime_that_nothing_would_end_is_refused(in_memory: Served) -> None:
    async with in_memory.client() as client:
        with pytest.raises(UnprocessableEntityError, match="CHECKPOINTER=postgres"):
            await client.threads.create(ttl=5)
