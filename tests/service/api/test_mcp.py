"""Assistants as tools of MCP, by the official client."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from tests.service.serving import GRAPHS, KEY, OTHER_KEY, Served, serving

HEADERS = {"X-API-Key": KEY.partition(":")[2]}


@asynccontextmanager
async def connected(served: Served, key: str = KEY) -> AsyncIterator[Any]:
    headers = {"X-API-Key": key.partition(":")[2]}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(f"{served.url}/mcp", http_client=http)) as client,
    ):
        yield client


def text(found: Any) -> Any:
    return json.loads(found.content[0].text)


async def test_each_assistant_is_a_tool_with_its_input_schema(in_memory: Served) -> None:
    async with connected(in_memory) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert {"agent", "steps", "nested", "begin", "ask"} <= set(tools)
    assert tools["ask"].description == "Asks a person."
    assert "tag" in tools["steps"].input_schema["properties"]
    assert tools["agent"].input_schema["properties"]["messages"]["type"] == "string"


async def test_a_tool_answers_with_what_its_graph_does(in_memory: Served) -> None:
    async with connected(in_memory) as client:
        found = await client.call_tool("steps", {"tag": "x"})
        assert not found.is_error
        assert text(found) == {"done": ["one", "two", "three", "four"], "tag": "x"}
        found = await client.call_tool("agent", {"messages": "What is 6 * 7?"})
        assert text(found)["messages"][-1]["content"] == "The calculate tool says: 42"


async def test_a_graph_that_fails_is_a_tool_that_says_so(in_memory: Served) -> None:
    async with connected(in_memory) as client:
        found = await client.call_tool("steps", {"fail_at": "two"})
        assert found.is_error
        assert found.content[0].text == "RuntimeError"


async def test_an_assistant_of_ones_own_is_a_tool_for_its_key_alone(in_memory: Served) -> None:
    async with in_memory.client() as api:
        made = await api.assistants.create("steps", name="My own tool!")
        try:
            async with connected(in_memory) as client:
                assert "My_own_tool" in {tool.name for tool in (await client.list_tools()).tools}
                assert not (await client.call_tool("My_own_tool", {})).is_error
            async with connected(in_memory, OTHER_KEY) as client:
                assert "My_own_tool" not in {tool.name for tool in (await client.list_tools()).tools}
        finally:
            await api.assistants.delete(made["assistant_id"])


def _post(served: Served, content: Any, **headers: str) -> httpx.Response:
    given = {**HEADERS, "Accept": "application/json", **headers}
    if isinstance(content, bytes):
        given.setdefault("Content-Type", "application/json")
        return httpx.post(f"{served.url}/mcp", content=content, headers=given)
    return httpx.post(f"{served.url}/mcp", json=content, headers=given)


def _call(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 0, "method": method, "params": params}


def test_what_is_no_message_is_refused(in_memory: Served) -> None:
    assert httpx.post(f"{in_memory.url}/mcp", json=_call("ping")).status_code == 401
    assert _post(in_memory, _call("ping")).json() == {"jsonrpc": "2.0", "id": 0, "result": {}}
    assert _post(in_memory, b"{").json()["error"]["code"] == -32700
    assert _post(in_memory, [1]).json()["error"]["code"] == -32600
    assert _post(in_memory, _call("nope")).json()["error"]["code"] == -32601
    assert _post(in_memory, _call("tools/call", name="nope")).json()["error"]["code"] == -32602
    assert _post(in_memory, b"{}", **{"Content-Type": "text/plain"}).status_code == 415
    assert _post(in_memory, _call("ping"), Accept="text/html").status_code == 406
    assert _post(in_memory, b"[" * 70 + b"]" * 70).status_code == 422
    told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert _post(in_memory, told).status_code == 202
    for method in ("GET", "DELETE"):
        assert httpx.request(method, f"{in_memory.url}/mcp", headers=HEADERS).status_code == 405


async def test_a_tool_whose_caller_leaves_stops(in_memory: Served) -> None:
    async with httpx.AsyncClient(headers={**HEADERS, "Accept": "application/json"}) as http:
        call = _call("tools/call", name="steps", arguments={"seconds": 20})
        with pytest.raises(httpx.ReadTimeout):
            await http.post(f"{in_memory.url}/mcp", json=call, timeout=1)
    deadline = time.monotonic() + 10
    while in_memory.service.runner.running:
        assert time.monotonic() < deadline
        time.sleep(0.1)  # noqa: ASYNC251  # the service runs in a thread


def test_disable_mcp_takes_it_away(tmp_path: Path) -> None:
    config = tmp_path / "langgraph.json"
    graphs = {"steps": f"{GRAPHS.parent}/steps.py:builder"}
    config.write_text(json.dumps({"dependencies": [], "graphs": graphs, "http": {"disable_mcp": True}}))
    with serving(checkpointer="memory", langgraph_config=config) as served:
        assert _post(served, _call("ping")).status_code == 404
