"""Counts the tokens that models report."""

from typing import Any
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from agent import metrics


class TokenCounter(AsyncCallbackHandler):
    ignore_chain = True
    ignore_agent = True
    ignore_retriever = True
    ignore_custom_event = True

    async def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        for generations in response.generations:
            for generation in generations:
                message = generation.message if isinstance(generation, ChatGeneration) else None
                if isinstance(message, AIMessage) and message.usage_metadata:
                    model = str(message.response_metadata.get("model_name", "unknown"))
                    usage = message.usage_metadata
                    metrics.llm_tokens.labels(model, "input").inc(usage["input_tokens"])
                    metrics.llm_tokens.labels(model, "output").inc(usage["output_tokens"])
