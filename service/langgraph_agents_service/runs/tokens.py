"""Counts the tokens that models report."""

from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from langgraph_agents_service.observability import metrics


class TokenCounter(BaseCallbackHandler):
    # Called in place: LangChain would send it through a task of its own at every step of the graph.
    run_inline = True
    ignore_chain = True
    ignore_chat_model = True
    ignore_agent = True
    ignore_retriever = True
    ignore_custom_event = True

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        for generations in response.generations:
            for generation in generations:
                message = generation.message if isinstance(generation, ChatGeneration) else None
                if isinstance(message, AIMessage) and message.usage_metadata:
                    model = str(message.response_metadata.get("model_name", "unknown"))
                    usage = message.usage_metadata
                    metrics.series(metrics.llm_tokens, model, "input").inc(usage["input_tokens"])
                    metrics.series(metrics.llm_tokens, model, "output").inc(usage["output_tokens"])
