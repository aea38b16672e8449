"""How a run drives its graph: the config and input that it gets, and the stream that comes out."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints, is_typeddict
from weakref import WeakKeyDictionary

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.constants import END, START
from langgraph.errors import InvalidUpdateError
from langgraph.store.base import BaseStore
from langgraph.types import Command, Interrupt, Send

from langgraph_agents_service.access import callers
from langgraph_agents_service.configuration.settings import Settings
from langgraph_agents_service.persistence.checkpointers import fence
from langgraph_agents_service.persistence.checkpointers.fence import Fence
from langgraph_agents_service.persistence.checkpointers.postgres import NO_CHECKPOINTS, GroupCommitSaver
from langgraph_agents_service.persistence.registry.base import Json, Registry, Run
from langgraph_agents_service.projects.factories import Use
from langgraph_agents_service.projects.graphs import AnyGraph, Graph, Graphs
from langgraph_agents_service.runs import langsmith, protocol
from langgraph_agents_service.runs.execution import Execution
from langgraph_agents_service.runs.protocol import PROTOCOL, ProtocolTranslator
from langgraph_agents_service.runs.tokens import TokenCounter
from langgraph_agents_service.runs.wire import EVENTS, INTERRUPTS, Translator, dumps


class Driver:
    """Runs graphs on the process's checkpointer and store, each None where there is none."""

    def __init__(
        self,
        settings: Settings,
        graphs: Graphs,
        registry: Registry,
        saver: BaseCheckpointSaver[Any] | None,
        store: BaseStore | None,
    ) -> None:
        self.graphs = graphs
        self.saver = saver
        self.store = store
        self._settings = settings
        self._registry = registry
        self._callbacks = [TokenCounter()]
        self._copies: WeakKeyDictionary[AnyGraph, AnyGraph] = WeakKeyDictionary()
        """Graphs with the saver and the store, by the graph that was loaded."""
        self._stateless_copies: WeakKeyDictionary[AnyGraph, AnyGraph] = WeakKeyDictionary()
        """Likewise, without a saver."""

    async def drive(self, execution: Execution) -> Any:
        """Run the graph to its end or to an interrupt, publishing its events; returns the last values."""
        run, payload = execution.run, execution.run.payload
        callers.current.set(callers.of_run(run.owner, payload.get("user")))
        fence.current.set(
            Fence(
                run.thread_id,
                run.run_id,
                self._registry.worker_id,
                run.attempt,
                execution.over,
                execution.backlog,
            )
        )
        graph = self.graphs.find(run.graph_id)
        if graph is None:
            raise LookupError(f"there is no graph {run.graph_id} here")
        resumes = run.attempt > 1 and (run.answered or await self._has_begun(run))
        config = self.config(run, fork=not resumes)
        caller = callers.current.get()
        use = Use(
            config,
            "threads.create_run",
            self.store,
            caller.user if caller else None,
            callers.without_caller(payload.get("context") or {}),
        )
        async with graph.opened(use) as made:
            compiled = self._with_storage(made, stateless=execution.stateless)
            if not (payload.get("config") or {}).get("recursion_limit"):
                _keep_own_limit(compiled, config)
            return await self._drive(execution, compiled, config, resumes=resumes)

    async def _drive(
        self, execution: Execution, compiled: AnyGraph, config: RunnableConfig, *, resumes: bool
    ) -> Any:
        run, payload = execution.run, execution.run.payload
        translator = _translator(payload)
        if run.fresh_thread and isinstance(self.saver, GroupCommitSaver):
            config["configurable"][NO_CHECKPOINTS] = [True]
        execution.fed = True
        execution.publish("metadata", dumps({"run_id": run.run_id, "attempt": run.attempt}))
        durability: Any = payload.get("durability") or self._settings.durability.value
        given = await self._left(run) if resumes else _input(payload, compiled)
        how: Json = {
            "context": _context(compiled, payload.get("context")),
            "stream_mode": translator.modes,
            "subgraphs": payload.get("stream_subgraphs", False),
            "interrupt_before": payload.get("interrupt_before"),
            "interrupt_after": payload.get("interrupt_after"),
            "durability": None if execution.stateless else durability,
        }
        with langsmith.tracing(payload.get("langsmith_tracer")):
            if PROTOCOL in payload["stream_mode"]:
                source = protocol.stream(compiled, given, config, how)
            elif EVENTS in payload["stream_mode"]:
                source = self._with_events(
                    execution, compiled.astream_events(given, config, version="v2", **how)
                )
            else:
                source = compiled.astream(given, config, **how)
            async for chunk in source:
                execution.started.set()
                for event, data in translator.events(chunk):
                    execution.publish(event, data)
                if run.record_events:
                    await execution.events.record(self._registry, run.run_id)
                await execution.events.room()
                await execution.backlog.room()
        if keys := payload.get("feedback_keys"):
            execution.publish("feedback", dumps(await langsmith.feedback_urls(run.run_id, keys)))
        values = translator.values
        if execution.stateless:
            return with_interrupts(values, list(translator.interrupts.values()))
        if (
            values is None
            or given is None
            or isinstance(given, Command)
            or _may_wait(translator, compiled, how)
        ):
            snapshot = await compiled.aget_state(config)
            execution.waits = bool(snapshot.next)
            values = with_interrupts(snapshot.values if values is None else values, snapshot.interrupts)
            if "values" in payload["stream_mode"] and not translator.told(snapshot.interrupts):
                execution.publish("values", dumps(values))
        return values

    async def _with_events(self, execution: Execution, source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """What `astream` would yield, of all events; the others are published as they are."""
        async for event in source:
            if event["event"] == "on_chain_stream" and not event["parent_ids"]:
                yield event["data"]["chunk"]
            elif "langsmith:hidden" not in (event.get("tags") or ()):
                execution.publish(EVENTS, dumps(event))

    def config(self, run: Run, *, fork: bool = False) -> RunnableConfig:
        """The config of a run; with `fork`, from the checkpoint that the request named, if it did."""
        given = run.payload.get("config") or {}
        configurable: Json = {
            **callers.of_run(run.owner, run.payload.get("user")).configure(given.get("configurable") or {}),
            "thread_id": run.thread_id,
            "run_id": run.run_id,
            "graph_id": run.graph_id,
            "assistant_id": run.assistant_id,
        }
        if fork and (checkpoint := run.payload.get("checkpoint")):
            configurable |= checkpoint
        config: RunnableConfig = {
            "configurable": configurable,
            "recursion_limit": given.get("recursion_limit") or self._settings.max_iterations,
            "tags": given.get("tags") or [],
            "metadata": {**run.metadata, "run_id": run.run_id},
            "callbacks": list(self._callbacks),
        }
        if given.get("run_name"):
            config["run_name"] = given["run_name"]
        if given.get("max_concurrency"):
            config["max_concurrency"] = given["max_concurrency"]
        return config

    async def compiled(
        self, graph: Graph, config: RunnableConfig, *, access: str = "threads.read"
    ) -> AnyGraph:
        """A graph to look at threads with, and not to be run. Raises what its factory raises."""
        caller = callers.current.get()
        if caller is not None:  # a factory may ask who reads the state of a thread
            config = {**config, "configurable": caller.configure(config.get("configurable") or {})}
        use = Use(config, access, self.store, caller.user if caller else None)
        return self._with_storage(await graph.compiled(use))

    def _with_storage(self, compiled: AnyGraph, *, stateless: bool = False) -> AnyGraph:
        saver = None if stateless else self.saver
        copies = self._stateless_copies if stateless else self._copies
        if compiled not in copies:
            # A graph that brings a store of its own keeps it.
            own = {"checkpointer": saver, "store": compiled.store or self.store}
            copies[compiled] = compiled.copy(update=own)
        return copies[compiled]

    async def _has_begun(self, run: Run) -> bool:
        """Whether an earlier attempt left a checkpoint to go on from."""
        found = await self._latest(run)
        metadata: Any = found.metadata if found else {}
        return bool(metadata.get("run_id") == run.run_id)

    async def _left(self, run: Run) -> Command[Any] | None:
        """Of the answers that a run brings, those to questions that still wait when it is taken up again. A single one
        has been taken in by then."""
        answers = (run.payload.get("command") or {}).get("resume")
        if not isinstance(answers, dict) or len(answers) < 2:
            return None
        found = await self._latest(run)
        writes = (found.pending_writes or ()) if found else ()
        waiting = {asked.id for _, channel, value in writes if channel == INTERRUPT for asked in value}
        left = {name: answer for name, answer in answers.items() if name in waiting}
        return Command(resume=left) if left else None

    async def _latest(self, run: Run) -> CheckpointTuple | None:
        if self.saver is None:
            return None
        return await self.saver.aget_tuple({"configurable": {"thread_id": run.thread_id}})


def with_interrupts(values: Any, interrupts: Sequence[Interrupt]) -> Any:
    """Values as LangGraph shows them: with all that waits for an answer. Those that are no object stay as they are."""
    values = {} if values is None and interrupts else values
    if not isinstance(values, dict):
        return values
    bare = {name: value for name, value in values.items() if name != INTERRUPTS}
    return {**bare, INTERRUPTS: list(interrupts)} if interrupts else bare


def _translator(payload: Json) -> Translator | ProtocolTranslator:
    if PROTOCOL in payload["stream_mode"]:
        return ProtocolTranslator()
    return Translator(payload["stream_mode"], subgraphs=payload.get("stream_subgraphs", False))


def _may_wait(translator: Translator | ProtocolTranslator, graph: AnyGraph, how: Json) -> bool:
    """Whether a run that began with an input may have stopped before its end. Looking costs a read of the state."""
    return bool(
        translator.interrupts
        or translator.stopped
        or how["interrupt_before"]
        or how["interrupt_after"]
        or graph.interrupt_before_nodes
        or graph.interrupt_after_nodes
    )


def _context(graph: AnyGraph, given: Json | None) -> Any:
    """What of a run's context the graph's schema has; its defaults come of nothing given. The rest may be meant for
    another graph, or have been `configurable` all along."""
    given = callers.without_caller(given) if given else given  # `configurable` may have become context
    schema = graph.context_schema
    if not given or schema is None:
        return given or {}
    names = getattr(schema, "model_fields", None) or getattr(schema, "__annotations__", None)
    if is_dataclass(schema):
        names = {field.name for field in fields(schema)}
    elif is_typeddict(schema):
        names = get_type_hints(schema)
    return given if not names else {name: given[name] for name in given if name in names}


def _keep_own_limit(graph: AnyGraph, config: RunnableConfig) -> None:
    """A recursion limit that the graph sets itself holds, unless the request asks for another one."""
    if own := (graph.config or {}).get("recursion_limit"):
        config["recursion_limit"] = own


def _input(payload: Json, graph: AnyGraph) -> Any:
    """Raises InvalidUpdateError for a command to go where there is nothing, which LangGraph only warns of."""
    given = payload.get("command")
    return command(given, graph) if given else payload.get("input")


def command(given: Json, graph: AnyGraph) -> Command[Any]:
    """Raises InvalidUpdateError."""
    goto = given.get("goto") or []
    targets = goto if isinstance(goto, list) else [goto]
    for target in targets:
        name = target["node"] if isinstance(target, dict) else target
        if name != END and (name not in graph.nodes or name == START):
            raise InvalidUpdateError(f"command.goto: there is no node {name!r}")
    return Command(
        update=given.get("update"),
        resume=given.get("resume"),
        goto=[Send(item["node"], item.get("input")) if isinstance(item, dict) else item for item in targets],
    )
