"""`/mcp`: every assistant is a tool of the Model Context Protocol, over streamable HTTP, without sessions."""

import re
from typing import Any

from fastapi import APIRouter, Request, Response
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import APIStatusError

from langgraph_agents_service.api.agents import rpc
from langgraph_agents_service.api.agents.rpc import Document, RpcError
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.meta import own_version
from langgraph_agents_service.api.wire import json
from langgraph_agents_service.runs.wire import dumps

router = APIRouter(tags=["mcp"], responses=ANSWERS)

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""The newest first; https://modelcontextprotocol.io/specification/2025-11-25."""

PAGE = 100
"""Tools that one answer lists."""


@router.post("/mcp")
async def post(request: Request) -> Response:
    rpc.require_json(request)
    accepted = request.headers.get("accept", "")
    if not any(kind in accepted for kind in ("application/json", "text/event-stream", "*/*")):
        raise ApiError(406, "the Accept header has to name application/json")
    try:
        asked = await rpc.message(request)
    except RpcError as error:
        return json(rpc.failure(None, error), 400)
    if "id" not in asked or "method" not in asked:  # a notification, or an answer that nobody waits for
        return Response(status_code=202)
    return await rpc.answered(request, _answer(request, asked))


@router.get("/mcp", include_in_schema=False)
@router.delete("/mcp", include_in_schema=False)
async def no_session(request: Request) -> Response:
    raise ApiError(405, "there are no sessions here; POST each message", {"Allow": "POST"})


async def _answer(request: Request, asked: Document) -> Document:
    try:
        return rpc.result(asked, await _result(request, asked["method"], asked.get("params", {})))
    except RpcError as error:
        return rpc.failure(asked, error)
    except APIStatusError as error:
        return rpc.failure(asked, rpc.refusal(error))


async def _result(request: Request, method: Any, params: Document) -> Document:
    if method == "initialize":
        wanted = params.get("protocolVersion")
        return {
            "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[0],
            "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": {"name": "LangGraph", "version": own_version()},
        }
    if method == "ping":
        return {}
    if method not in ("tools/list", "tools/call"):
        raise RpcError(rpc.METHOD_NOT_FOUND, f"there is no method {str(method)[:100]}")
    async with rpc.api(request) as client:
        if method == "tools/list":
            return await _tools(client, params)
        return await _call(client, params)


async def _tools(client: LangGraphClient, params: Document) -> Document:
    cursor = params.get("cursor") or "0"
    if not isinstance(cursor, str) or not re.fullmatch(r"[0-9]{1,9}", cursor):
        raise RpcError(rpc.INVALID_PARAMS, "cursor: it is none that this server gave")
    found = await client.assistants.search(limit=PAGE + 1, offset=int(cursor))
    tools: dict[str, Document] = {}
    for assistant in found[:PAGE]:
        schema = (await client.assistants.get_schemas(assistant["assistant_id"])).get("input_schema")
        name = tool_name(assistant["name"])
        if schema is None or not name or name in tools:  # it cannot be called by a name and arguments in JSON
            continue
        description = assistant.get("description") or f"Tool based on the {assistant['name']} assistant"
        tools[name] = {
            "name": name,
            "title": assistant["name"],
            "description": description,
            "inputSchema": {**_for_tools(schema), "type": "object"},
            "annotations": {
                "readOnlyHint": False,
                "destructiveHint": False,
                "idempotentHint": False,
                "openWorldHint": True,
            },
        }
    following = {"nextCursor": str(int(cursor) + PAGE)} if len(found) > PAGE else {}
    return {"tools": list(tools.values()), **following}


async def _call(client: LangGraphClient, params: Document) -> Document:
    wanted, arguments = params.get("name"), params.get("arguments") or {}
    if not isinstance(arguments, dict):
        raise RpcError(rpc.INVALID_PARAMS, "arguments has to be an object")
    named: list[str] = []
    offset = 0
    while page := await client.assistants.search(limit=1000, offset=offset):
        named += [a["assistant_id"] for a in page if wanted and tool_name(a["name"]) == wanted]
        offset += len(page)
    if not named:
        raise RpcError(rpc.INVALID_PARAMS, f"there is no tool {str(wanted)[:128]}")
    if len(named) > 1:
        raise RpcError(
            rpc.INVALID_PARAMS, f"several assistants are called {wanted}; give them names of their own"
        )
    try:
        values: Any = await client.runs.wait(
            None, named[0], input=arguments, context=params.get("context"), raise_error=False
        )
    except APIStatusError as error:
        if error.status_code == 422:  # what the model gave is wrong, and it may give something else
            return _text(rpc.detail(error), failed=True)
        raise
    if isinstance(values, dict) and "__error__" in values:
        return _text(str(values["__error__"]["error"]), failed=True)
    return _text(dumps(values).decode())


def _text(text: str, *, failed: bool = False) -> Document:
    return {"content": [{"type": "text", "text": text}], "isError": failed}


def tool_name(name: str) -> str:
    """A name as MCP allows it: 128 letters, digits, and `_-.` at most."""
    return re.sub(r"[^a-zA-Z0-9_.-]", "", re.sub(r"\s+", "_", name.strip()))[:128]


def _for_tools(schema: Document) -> Document:
    """A schema that a model can fill in: messages are a text, not the dozen kinds that LangChain has."""
    definitions = schema.get("$defs") or {}
    if "HumanMessage" not in definitions:
        return schema
    properties = {
        name: {
            "type": "string",
            "title": value.get("title", name),
            "description": "The user message to send to the agent.",
        }
        if _is_messages(value)
        else value
        for name, value in (schema.get("properties") or {}).items()
    }
    simple: Document = {**schema, "properties": properties}
    used = _used(properties, definitions, set())
    simple["$defs"] = {name: value for name, value in definitions.items() if name in used}
    if not simple["$defs"]:
        del simple["$defs"]
    return simple


def _is_messages(value: Any) -> bool:
    items = value.get("items") if isinstance(value, dict) and value.get("type") == "array" else None
    kinds = (items.get("oneOf") or items.get("anyOf") or []) if isinstance(items, dict) else []
    return any(kind.get("$ref") == "#/$defs/HumanMessage" for kind in kinds)


def _used(value: Any, definitions: Document, seen: set[str]) -> set[str]:
    """Names of the definitions that a schema needs."""
    if isinstance(value, list):
        for item in value:
            _used(item, definitions, seen)
    elif isinstance(value, dict):
        name = str(value.get("$ref", "")).rpartition("/")[2]
        if name in definitions and name not in seen:
            seen.add(name)
            _used(definitions[name], definitions, seen)
        for item in value.values():
            _used(item, definitions, seen)
    return seen
