"""Messages, parts and tasks of A2A, as the protocol's versions 1.0 and 0.3 write them, and as LangGraph does."""

import uuid
from typing import Any

from langgraph_agents_service.api.agents import rpc
from langgraph_agents_service.api.agents.rpc import Document, RpcError
from langgraph_agents_service.runs.wire import dumps

_UNSUPPORTED_CONTENT = -32005
_ROLES = {"ROLE_USER": "user", "ROLE_AGENT": "agent"}
_USERS, _AGENTS = {"human", "user"}, {"ai", "AIMessageChunk", "assistant"}


def given(params: Document) -> Document:
    """The message that a request sends. Raises RpcError."""
    message = params.get("message")
    if not isinstance(message, dict):
        raise RpcError(rpc.INVALID_PARAMS, "message is missing")
    for name in ("messageId", "role"):
        if not message.get(name) or not isinstance(message[name], str):
            raise RpcError(rpc.INVALID_PARAMS, f"message.{name} is missing")
    for name in ("contextId", "taskId"):
        if not isinstance(message.get(name, ""), str):
            raise RpcError(rpc.INVALID_PARAMS, f"message.{name} has to be a text")
    parts = message.get("parts")
    if not isinstance(parts, list) or not parts:
        raise RpcError(rpc.INVALID_PARAMS, "message.parts has to have a part at least")
    return message


def graph_input(message: Document) -> Document:
    """What a graph is given of a message: text and files as one message, data as they are. Raises RpcError."""
    blocks: list[Document] = []
    values: Document = {}
    for part in message["parts"]:
        if not isinstance(part, dict):
            raise RpcError(rpc.INVALID_PARAMS, "a part of message.parts has to be an object")
        if isinstance(part.get("text"), str):
            blocks.append({"type": "text", "text": part["text"]})
        elif isinstance(part.get("data"), dict):
            values |= part["data"]
        elif isinstance(part.get("file"), dict):
            file = part["file"]
            blocks.append(_block(file.get("bytes"), file.get("uri"), file.get("mimeType"), file.get("name")))
        elif "raw" in part or "url" in part:
            blocks.append(
                _block(part.get("raw"), part.get("url"), part.get("mediaType"), part.get("filename"))
            )
        else:
            raise RpcError(_UNSUPPORTED_CONTENT, "a part has to be a text, a file, or data that is an object")
    if blocks:
        plain = all(block["type"] == "text" for block in blocks)
        values["messages"] = [
            {
                "role": "user" if message["role"] in ("user", "ROLE_USER") else "assistant",
                "content": "\n".join(block["text"] for block in blocks) if plain else blocks,
                "id": message["messageId"],
            }
        ]
    return values


def _block(data: Any, url: Any, media_type: Any, name: Any) -> Document:
    """A file as LangChain has it. What is only named by its address is handed on, and never fetched here."""
    if (data is None) == (url is None) or not isinstance(data or url, str):
        raise RpcError(rpc.INVALID_PARAMS, "a file has to have its content in base64, or its address")
    kind = media_type.partition("/")[0].lower() if isinstance(media_type, str) else ""
    block: Document = {"type": kind if kind in ("image", "audio", "video") else "file"}
    block |= {"url": url} if data is None else {"base64": data}
    if isinstance(media_type, str):
        block["mime_type"] = media_type
    if isinstance(name, str) and name:
        block["extras"] = {"filename": name}
    return block


def parts_of(content: Any) -> list[Document]:
    """What a message of a graph says, without what only LangChain understands."""
    if isinstance(content, str):
        return [{"text": content}] if content else []
    parts: list[Document] = []
    for block in content if isinstance(content, list) else []:
        if isinstance(block, str):
            parts.append({"text": block})
        elif isinstance(block, dict) and isinstance(block.get("text"), str) and block.get("type") == "text":
            parts.append({"text": block["text"]})
        elif isinstance(block, dict) and block.get("type") in ("image", "audio", "video", "file"):
            name = (block.get("extras") or {}).get("filename")
            about = {"mediaType": block.get("mime_type"), "filename": name}
            where = {"raw": block.get("base64"), "url": block.get("url")}
            parts.append({key: value for key, value in {**where, **about}.items() if value})
    return parts


def history(values: Any, task_id: str, context_id: str, length: int | None) -> list[Document]:
    """What users and agents have said on a thread, the last `length` of it."""
    found = [
        {
            "role": "ROLE_USER" if message.get("type") in _USERS else "ROLE_AGENT",
            "parts": parts,
            "messageId": message.get("id") or str(uuid.uuid4()),
            "taskId": task_id,
            "contextId": context_id,
        }
        for message in _messages(values)
        if message.get("type") in _USERS | _AGENTS and (parts := parts_of(message.get("content")))
    ]
    return found if length is None else found[len(found) - length :] if length < len(found) else found


def reply(values: Any) -> list[Document]:
    """What the graph says in the end: the last message since the user's, or its values where it has no messages."""
    if not isinstance(values, dict) or "messages" not in values:
        return [{"data": values}] if isinstance(values, dict) else [{"text": dumps(values).decode()}]
    for message in reversed(_messages(values)):
        if message.get("type") in _USERS:
            break
        if message.get("type") in _AGENTS and (parts := parts_of(message.get("content"))):
            return parts
    return [{"text": ""}]


def _messages(values: Any) -> list[Document]:
    found = values.get("messages") if isinstance(values, dict) else None
    return [message for message in found or [] if isinstance(message, dict)]


def as_of_0_3(kind: str, document: Document) -> Document:
    """A task, or a change of one, in the words of version 0.3."""
    legacy = {**document, "kind": kind}
    if "status" in document:
        status = dict(document["status"])
        status["state"] = status["state"].removeprefix("TASK_STATE_").lower().replace("_", "-")
        if "message" in status:
            status["message"] = _message_of_0_3(status["message"])
        legacy["status"] = status
    if "history" in document:
        legacy["history"] = [_message_of_0_3(message) for message in document["history"]]
    if "artifacts" in document:
        legacy["artifacts"] = [_artifact_of_0_3(artifact) for artifact in document["artifacts"]]
    if "artifact" in document:
        legacy["artifact"] = _artifact_of_0_3(document["artifact"])
    if kind == "status-update":
        working = ("TASK_STATE_SUBMITTED", "TASK_STATE_WORKING")
        legacy["final"] = document["status"]["state"] not in working
    return legacy


def _message_of_0_3(message: Document) -> Document:
    parts = [_part_of_0_3(part) for part in message["parts"]]
    return {**message, "kind": "message", "role": _ROLES[message["role"]], "parts": parts}


def _artifact_of_0_3(artifact: Document) -> Document:
    return {**artifact, "parts": [_part_of_0_3(part) for part in artifact["parts"]]}


def _part_of_0_3(part: Document) -> Document:
    for kind in ("text", "data"):
        if kind in part:
            return {"kind": kind, kind: part[kind]}
    names = {"raw": "bytes", "url": "uri", "mediaType": "mimeType", "filename": "name"}
    return {"kind": "file", "file": {names[name]: value for name, value in part.items()}}
