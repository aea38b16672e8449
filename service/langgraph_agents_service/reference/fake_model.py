"""A chat model without a provider: the same words for the same conversation, no key, no network.

It refuses what providers refuse, so that an agent that works with it does not fail with the first real one.
It understands just enough to show what an agent does: it calls the tools that it is given when the last
message asks for arithmetic, the time or a note, and says what they answered.
"""

import re
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

_ARITHMETIC = re.compile(r"[-(\d][-+*/%().\d\s]*[+*/%-][-+*/%().\d\s]*[\d)]")
_ZONE = re.compile(r"\b([A-Z][A-Za-z_]+/[A-Z][A-Za-z_]+)\b")
_COUNT = re.compile(r"\bcount to (\d{1,2})\b", re.IGNORECASE)
_NOTE = re.compile(r"\bremember(?:\s+that|:)?\s+(?P<note>[^?]+)$", re.IGNORECASE | re.DOTALL)


class BadRequestError(Exception):
    """What a provider answers 400 to."""


def check(messages: Sequence[BaseMessage]) -> None:
    """Raises BadRequestError for what providers refuse: no messages, a tool call whose answer does not follow at once,
    an answer to no call."""
    if not messages:
        raise BadRequestError("400: messages: at least one is needed")
    waiting: set[str | None] = set()
    for number, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                raise BadRequestError(f"400: messages.{number}: a tool's answer has to follow its call")
            waiting.remove(message.tool_call_id)
            continue
        if waiting:
            break
        waiting = {call["id"] for call in message.tool_calls} if isinstance(message, AIMessage) else set()
    if waiting:
        calls = ", ".join(sorted(map(str, waiting)))
        raise BadRequestError(f"400: messages: a tool call has to be followed by its answer: {calls}")


class FakeChatModel(BaseChatModel):
    """Deterministic, and streams word by word like a real one."""

    tools: tuple[str, ...] = ()

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {**super()._get_ls_params(stop, **kwargs), "ls_provider": "fake", "ls_model_name": "fake"}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        names = tuple(tool.name for tool in tools if isinstance(tool, BaseTool))
        return self.model_copy(update={"tools": names})

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._generate(messages)  # in place: the base class would send it through a thread

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        answer = self._answer(messages)
        for word in re.findall(r"\S+\s*", str(answer.content)):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word, id=answer.id))
            if run_manager:
                await run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk
        last = AIMessageChunk(
            content="",
            id=answer.id,
            tool_calls=answer.tool_calls,
            usage_metadata=answer.usage_metadata,
            response_metadata=answer.response_metadata,
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=last)

    def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        check(messages)
        last = messages[-1]
        text = last.text if isinstance(last.text, str) else str(last.content)
        call = self._tool_call(text) if isinstance(last, HumanMessage) else self._next_wait(messages)
        if call:
            content = ""
        elif isinstance(last, ToolMessage):
            content = f"The {last.name} tool says: {text}"
        else:
            content = f"You said: {text}"
        # About four characters a token, as OpenAI's tokenizer page puts it for English.
        asked, told = sum(len(str(m.content)) for m in messages) // 4 + 1, len(content) // 4 + 1
        return AIMessage(
            content=content,
            id=f"fake-{len(messages)}-{_hash(text):08x}",
            tool_calls=[call] if call else [],
            usage_metadata=UsageMetadata(input_tokens=asked, output_tokens=told, total_tokens=asked + told),
            response_metadata={"model_name": "fake"},
        )

    def _next_wait(self, messages: list[BaseMessage]) -> Any:
        """Asked to count, it waits once for each number: a run of some length, to be watched or interrupted."""
        waits = 0
        for message in reversed(messages):
            waits += isinstance(message, ToolMessage)
            if isinstance(message, HumanMessage):
                found = _COUNT.search(str(message.text))
                further = found is not None and waits < int(found.group(1))
                return _call("wait", {"seconds": "2"}, number=waits) if further else None
        return None

    def _tool_call(self, text: str) -> Any:
        if "wait" in self.tools and _COUNT.search(text):
            return _call("wait", {"seconds": "2"})
        if "remember" in self.tools and (found := _NOTE.search(text)):
            return _call("remember", {"note": found["note"].strip()})
        if "recall" in self.tools and ("notes" in text.lower() or "remember" in text.lower()):
            return _call("recall", {})
        if "calculate" in self.tools and (expression := _ARITHMETIC.search(text)):
            return _call("calculate", {"expression": expression.group().strip()})
        if "current_time" in self.tools and "time" in text.lower():
            zone = _ZONE.search(text)
            return _call("current_time", {"zone": zone.group(1) if zone else "UTC"})
        return None


def _call(name: str, arguments: dict[str, str], number: int = 0) -> dict[str, Any]:
    return {
        "type": "tool_call",
        "name": name,
        "args": arguments,
        "id": f"call-{name}-{_hash(str(arguments)) + number:08x}",
    }


def _hash(text: str) -> int:
    """A hash that is the same in every process, unlike `hash`."""
    return zlib.crc32(text.encode())
