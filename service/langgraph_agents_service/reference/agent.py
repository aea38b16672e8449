"""The reference agent: a model with tools, one of which a person has to approve.

A team takes it as it is, changes the tools, or names its own graphs in langgraph.json.
"""

import ast
import asyncio
import operator
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware, ModelRequest
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.prebuilt import InjectedState
from langgraph.types import Command

from langgraph_agents_service.configuration.settings import ModelSettings, load
from langgraph_agents_service.reference.fake_model import FakeChatModel

PROMPT = """You are a helpful assistant. Use the tools for arithmetic, the time, to wait, and to keep and list notes.
Say plainly when a tool reports an error or a person declines what you wanted to do."""

_OPERATORS: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


@tool
def calculate(expression: str) -> str:
    """Work out an arithmetic expression of numbers, + - * / // % and parentheses, e.g. "(2 + 3) * 4"."""
    if len(expression) > 200:
        return "Error: the expression is longer than 200 characters"
    try:
        value = _evaluate(ast.parse(expression, mode="eval").body)
    except ZeroDivisionError:
        return "Error: division by zero"
    except (SyntaxError, ValueError, OverflowError):
        return f"Error: {expression!r} is not arithmetic"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _evaluate(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return node.value
        case ast.BinOp() if type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](_evaluate(node.left), _evaluate(node.right))
        case ast.UnaryOp() if type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](_evaluate(node.operand))
    raise ValueError


@tool
def current_time(zone: str = "UTC") -> str:
    """Tell the time in an IANA time zone, e.g. "Europe/Berlin"."""
    try:
        return datetime.now(ZoneInfo(zone)).strftime("%A, %d %B %Y, %H:%M %Z")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"Error: there is no time zone {zone!r}"


@tool
async def wait(seconds: float) -> str:
    """Wait, 60 seconds at most, e.g. before looking at something again."""
    if not 0 <= seconds <= 60:
        return f"Error: {seconds:g} seconds are not between 0 and 60"
    await asyncio.sleep(seconds)
    return f"{seconds:g} seconds have passed"


@tool
def remember(note: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
    """Keep a note for the rest of the conversation. A person approves, edits or rejects it first."""
    answer = ToolMessage(f"Noted: {note}", name="remember", tool_call_id=tool_call_id)
    return Command(update={"notes": [note], "messages": [answer]})


@tool
def recall(state: Annotated[dict[str, Any], InjectedState]) -> str:
    """List the notes that were kept."""
    return "; ".join(state.get("notes", [])) or "no notes yet"


class State(AgentState[Any]):
    """The conversation, and what it keeps in mind."""

    notes: Annotated[list[str], operator.add]


class AnsweredToolCalls(AgentMiddleware[Any, Any]):
    """Shows the model an answer to each tool call. A run that was cancelled, or a new question instead of an approval,
    leaves calls without one in the conversation, which providers refuse from then on."""

    def wrap_model_call(self, request: "ModelRequest[Any]", handler: Callable[..., Any]) -> Any:
        return handler(request.override(messages=answered(request.messages)))

    async def awrap_model_call(self, request: "ModelRequest[Any]", handler: Callable[..., Any]) -> Any:
        return await handler(request.override(messages=answered(request.messages)))


def answered(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The messages, with an answer right behind each tool call that has none."""
    done = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    found: list[AnyMessage] = []
    for message in messages:
        found.append(message)
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            if call["id"] not in done:
                text = "This was not carried out: the conversation went on without it."
                found.append(
                    ToolMessage(text, name=call["name"], tool_call_id=call["id"] or "", status="error")
                )
    return found


def make_model(name: str) -> BaseChatModel:
    """`fake`, or `provider:name` as init_chat_model takes it; the provider's package is imported only then.

    Raises ValueError or ImportError for an unknown provider, and the provider's own error without its key.
    """
    if name == "fake":
        return FakeChatModel()
    model: BaseChatModel = init_chat_model(name)
    return model


def make_graph() -> Any:
    """Make the agent with the model that MODEL names."""
    return create_agent(
        make_model(load(ModelSettings).model),
        tools=[calculate, current_time, wait, remember, recall],
        system_prompt=PROMPT,
        state_schema=State,
        middleware=[AnsweredToolCalls(), HumanInTheLoopMiddleware(interrupt_on={"remember": True})],
    )
