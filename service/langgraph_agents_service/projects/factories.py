"""Functions that make a graph: what they ask for, and how long what they open stays open."""

import inspect
import typing
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

try:
    from langgraph_sdk import runtime as sdk_runtime
except ImportError:  # older than the runtime
    sdk_runtime = None  # type: ignore[assignment]

CONFIG = "config"
RUNTIME = "runtime"


@dataclass(frozen=True, slots=True)
class Use:
    """What a graph is wanted for, as LangGraph's server tells factories."""

    config: RunnableConfig = field(default_factory=lambda: RunnableConfig())
    access: str = "threads.read"
    """`threads.create_run`, `threads.update`, `threads.read` or `assistants.read`."""
    store: BaseStore | None = None
    user: Any = None
    context: Any = None

    def runtime(self) -> Any:
        """The ServerRuntime of langgraph_sdk."""
        if sdk_runtime is None:
            raise TypeError("a factory that takes ServerRuntime needs a newer langgraph-sdk")
        store = self.store if self.store is not None else InMemoryStore()
        common = {"access_context": self.access, "user": self.user, "store": store}
        if self.access == "threads.create_run":
            return sdk_runtime._ExecutionRuntime(**common, context=self.context)
        return sdk_runtime._ReadRuntime(**common)


class Factory:
    """One such function.

    Args:
        function: takes a config, a ServerRuntime, both, or nothing; returns a graph, an awaitable or a context manager.

    Raises:
        TypeError: it asks for something else.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._takes = _takes(function)

    @property
    def depends(self) -> bool:
        """Whether it asks what its graph is wanted for, so that each use may have another one."""
        return bool(self._takes)

    def call(self, use: Use) -> Any:
        """What it returns: a graph, an awaitable, or a context manager that is not entered yet."""
        given = {CONFIG: lambda: use.config, RUNTIME: use.runtime}
        return self._function(**{name: given[kind]() for name, kind in self._takes.items()})

    @asynccontextmanager
    async def made(self, use: Use) -> AsyncIterator[Any]:
        """What it makes for this use, open as long as it is used."""
        made = self.call(use)
        if hasattr(made, "__aenter__"):
            async with made as graph:
                yield graph
        elif hasattr(made, "__enter__"):
            with made as graph:
                yield graph
        else:
            yield await made if inspect.isawaitable(made) else made


def is_context_manager(made: Any) -> bool:
    return hasattr(made, "__aenter__") or hasattr(made, "__enter__")


def _takes(function: Callable[..., Any]) -> dict[str, str]:
    """By parameter, what it is given. What has a default of its own and is neither keeps it."""
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # names that only a type checker knows
        hints = {}
    found: dict[str, str] = {}
    wanting = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        hint = hints.get(name, parameter.annotation)
        if _is_runtime(hint) or (name == RUNTIME and hint is parameter.empty):
            found[name] = RUNTIME
        elif _is_config(hint) or name == CONFIG:
            found[name] = CONFIG
        elif parameter.default is parameter.empty:
            wanting.append(name)
    if len(wanting) == 1 and CONFIG not in found.values():
        found[wanting.pop()] = CONFIG
    if wanting:
        raise TypeError(
            f"its parameter {wanting[0]} is neither a RunnableConfig nor a ServerRuntime, and has no default"
        )
    return found


def _is_config(hint: Any) -> bool:
    return hint is RunnableConfig or hint is dict or typing.get_origin(hint) is dict


def _is_runtime(hint: Any) -> bool:
    if sdk_runtime is None or hint is inspect.Parameter.empty:
        return False
    kinds = (sdk_runtime._ExecutionRuntime, sdk_runtime._ReadRuntime, sdk_runtime._ServerRuntimeBase)
    origin = typing.get_origin(hint)
    if hint is sdk_runtime.ServerRuntime or origin is sdk_runtime.ServerRuntime:
        return True
    if origin is typing.Annotated:
        return _is_runtime(typing.get_args(hint)[0])
    return any(isinstance(one, type) and issubclass(one, kinds) for one in (hint, origin))
