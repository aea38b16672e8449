"""Executes runs: admits them, feeds them to their graphs, resumes those of dead processes, and shuts down in order."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from opentelemetry import trace
from valkey.exceptions import ValkeyError

from langgraph_agents_service.configuration.settings import Settings
from langgraph_agents_service.observability import logs, metrics
from langgraph_agents_service.persistence.background import BackgroundLoop
from langgraph_agents_service.persistence.checkpointers.fence import RunOverError
from langgraph_agents_service.persistence.database import TRANSIENT
from langgraph_agents_service.persistence.registry.base import (
    Orders,
    Owner,
    Registry,
    Run,
    RunStatus,
    ThreadStatus,
    now,
)
from langgraph_agents_service.persistence.text import clean
from langgraph_agents_service.runs import bodies, guard
from langgraph_agents_service.runs.driver import Driver
from langgraph_agents_service.runs.endings import Endings
from langgraph_agents_service.runs.execution import Execution, Outcome, Stop
from langgraph_agents_service.runs.leases import Leases
from langgraph_agents_service.runs.places import Places
from langgraph_agents_service.runs.watching import Watchers
from langgraph_agents_service.runs.wire import dumps

POLL_SECONDS = 0.5
"""How soon a process hears of runs to take up and of cancellations that came in on another process."""

UNAVAILABLE = (*TRANSIENT, ValkeyError)
"""Errors that say that a server is away, and nothing about the request."""

CLOSE_SECONDS = 3.0
"""How long runs that are given back may take to notice it. With the two seconds that uvicorn gives open
connections, a process ends within five seconds of its drain."""

log = logging.getLogger(__name__)
tracer = trace.get_tracer("langgraph-agents")


class Runner:
    """The runs of one process."""

    def __init__(
        self, settings: Settings, registry: Registry, driver: Driver, background: BackgroundLoop
    ) -> None:
        self.registry = registry
        self.driver = driver
        self._endings = Endings(registry, driver)
        self.watchers = Watchers()
        self._settings = settings
        self._places = Places(settings)
        self._leases = Leases(settings, registry, background)
        self._executions: dict[str, Execution] = {}
        self._concluding: set[asyncio.Task[None]] = set()
        """What ends runs whose graphs go on."""
        self._wake = asyncio.Event()
        self._housekeeper: asyncio.Task[None] | None = None
        self._expecting = False
        self.open_runs = 0
        """Those that wait or execute, in all processes, as of the last beat."""
        self._executes = settings.process_role.executes
        self.draining = False
        self.closed = False
        """Whether what is followed here has to be asked for elsewhere."""

    async def open(self) -> None:
        """Make this process known before it takes a run. Raises what the registry raises when it is away."""
        await self.registry.beat()
        self._leases.open()
        self._housekeeper = asyncio.create_task(self._maintain_leases())

    async def close(self) -> None:
        """Give back what is still running, and leave."""
        self.closed = True
        if self._housekeeper:
            self._housekeeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._housekeeper
        for execution in self.running:
            execution.stop(Stop.DRAIN)
        tasks = [execution.task for execution in self.running if execution.task]
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        for execution in self.running:
            execution.insist()
        if self._concluding:
            await asyncio.wait(self._concluding, timeout=1)
        self._endings.close()
        self._leases.close()
        with contextlib.suppress(*UNAVAILABLE):
            await self.registry.retire()

    @property
    def running(self) -> list[Execution]:
        return list(self._executions.values())

    def find(self, run_id: str) -> Execution | None:
        return self._executions.get(run_id)

    async def drain(self, seconds: float) -> None:
        """Take up nothing new, and let what runs finish within so long."""
        self.draining = True
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
            await asyncio.wait([execution.outcome for execution in self.running], timeout=0.2)

    async def start(self, run: Run, owner: Owner, *, create_thread: bool) -> Execution | None:
        """Execute a run now. None: its thread is taken, or this process executes none, and it waits in the registry.

        Raises OverloadedError, CrowdedError, NotFoundError, ThreadBusyError.
        """
        run.owner = owner.name
        if run.after_seconds or not self._executes:
            await self.submit(run, owner, create_thread=create_thread)
            return None
        await self._place(run)
        try:
            await self.registry.begin(run, owner, create_thread=create_thread, start=True, attended=True)
        except BaseException:
            self._places.give(run)
            raise
        if run.status is RunStatus.RUNNING:
            return self._spawn(self._execution(run))
        self._places.give(run)
        self._entered(run)
        return None

    def read_along(self, run: Run) -> None:
        """Before it begins: its events are wanted here. What executes elsewhere is read along from what is recorded,
        and may have ended before anybody could ask for that."""
        run.record_events = run.record_events or not self._executes

    async def submit(self, run: Run, owner: Owner, *, create_thread: bool) -> None:
        """Execute a run as soon as there is a place for it, here or on another process."""
        run.owner = owner.name
        if self.watchers.watched(run.thread_id):
            self.read_along(run)
        start = self._executes and not self._places.full and not self.draining and not run.after_seconds
        if start:
            await self._places.take(run)
        try:
            await self.registry.begin(run, owner, create_thread=create_thread, start=start)
        finally:
            if start and run.status is not RunStatus.RUNNING:
                self._places.give(run)
        if start and run.status is RunStatus.RUNNING:
            self._spawn(self._execution(run))
        else:
            self._entered(run)

    def _entered(self, run: Run) -> None:
        """A run waits in the registry. Those whose place it takes, and that execute here, need not hear of it from
        there."""
        self._expecting = True
        why = {"interrupt": Stop.CANCEL, "rollback": Stop.ROLLBACK}.get(run.multitask_strategy)
        for execution in self.running:
            if why and execution.run.thread_id == run.thread_id and not execution.stateless:
                execution.stop(why)

    async def start_stateless(self, run: Run) -> Execution:
        """Execute a run that nobody can come back to: no thread, no checkpoints, no entry in the registry."""
        await self._place(run)
        return self._spawn(self._execution(run, stateless=True))

    async def run_stateless(self, run: Run, *, left: Callable[[], Awaitable[bool]]) -> Outcome:
        """Execute such a run for a client that waits for its outcome, in the task of its request: a task of its own
        would take a tenth of the service's share of the time. It is cancelled when the client has `left`."""
        await self._place(run)
        execution = self._execution(run, stateless=True, left=left)
        execution.task = asyncio.current_task()
        self._enter(execution)
        try:
            await self._execute(execution)
        finally:
            self._leave(execution)
        return execution.outcome.result()

    async def _place(self, run: Run) -> None:
        begin = time.perf_counter()
        await self._places.ask(run)
        metrics.series(metrics.queue_seconds, run.graph_id).observe(time.perf_counter() - begin)

    def _execution(
        self, run: Run, *, stateless: bool = False, left: Callable[[], Awaitable[bool]] | None = None
    ) -> Execution:
        buffer = self._settings.stream_buffer_bytes
        return Execution(run, buffer_bytes=buffer, stateless=stateless, left=left)

    def _spawn(self, execution: Execution) -> Execution:
        self._enter(execution)
        if (body := bodies.held.get()) is not None:
            body.keep()
        execution.task = asyncio.create_task(self._execute(execution))
        execution.task.add_done_callback(lambda _task: self._leave(execution))
        if body is not None:
            execution.task.add_done_callback(lambda _task: body.let_go())
        return execution

    def _enter(self, execution: Execution) -> None:
        self._executions[execution.run.run_id] = execution
        execution.overdue = self._outlived
        self.watchers.enter(execution)
        metrics.active_runs.inc()

    def _leave(self, execution: Execution) -> None:
        if self._executions.get(execution.run.run_id) is not execution:
            return  # it has left already, and its graph gave in only now
        del self._executions[execution.run.run_id]
        metrics.active_runs.dec()
        self._places.give(execution.run)
        if self._expecting:
            self._wake.set()

    async def _execute(self, execution: Execution) -> None:
        run = execution.run
        logs.run_id.set(run.run_id)
        logs.thread_id.set(None if execution.stateless else run.thread_id)
        with guard.executing(run):
            outcome = await self._outcome(execution)
        if not execution.outlived:
            execution.settling = True
            await self._conclude(execution, outcome)

    def _outlived(self, execution: Execution) -> None:
        """A graph goes on although it was stopped: its run ends without it, and gives its place back."""
        log.error("a graph swallows its cancellation", extra={"graph": execution.run.graph_id})
        outcome = self._stopped(execution)
        execution.settling = True
        task = asyncio.create_task(self._conclude(execution, outcome))
        self._concluding.add(task)
        task.add_done_callback(self._concluding.discard)
        task.add_done_callback(lambda _task: self._leave(execution))

    async def _conclude(self, execution: Execution, outcome: Outcome) -> None:
        """Record how the run ended, and let everybody know who waits. What could not be recorded has not ended."""
        run, recorded = execution.run, Outcome(None)
        logs.run_id.set(run.run_id)
        try:
            recorded = outcome if execution.stateless else await self._settled(execution, outcome)
        except UNAVAILABLE as error:
            log.error("the end of a run could not be recorded", extra={"error": type(error).__name__})
        except Exception as error:
            log.error(
                "the end of a run could not be recorded",
                exc_info=error if self._settings.log_content else None,
                extra={"error": type(error).__name__},
            )
        finally:
            if recorded is not outcome:
                self.registry.let_go(run)
            execution.end(recorded)
        seconds = time.perf_counter() - execution.began
        status = recorded.status or "released"
        metrics.series(metrics.run_seconds, run.graph_id, status).observe(seconds)
        log.info(
            "run ended",
            extra={"graph": run.graph_id, "status": str(status), "seconds": round(seconds, 4)}
            | ({"input": run.payload.get("input")} if self._settings.log_content else {}),
        )

    async def _outcome(self, execution: Execution) -> Outcome:
        seconds = self._settings.run_timeout_seconds
        limit = asyncio.get_running_loop().call_later(seconds, execution.stop, Stop.TIMEOUT)
        try:
            if execution.run.rollback:  # begun by a process that died before it could undo it
                execution.stopped = Stop.ROLLBACK
                return self._stopped(execution)
            values = await self._drive(execution)
            if execution.stopped in (None, Stop.DRAIN):  # what has ended in time need not be done again
                return Outcome(RunStatus.SUCCESS, values=values)
            return self._stopped(execution)  # the graph swallowed it
        except asyncio.CancelledError:
            if execution.task is None:
                raise
            if execution.stopped is not None:
                return self._stopped(execution)
            if execution.task.cancelling():
                raise
            # Nobody cancelled this run: its graph says so itself.
            return self._failed(execution, RuntimeError("the graph raised CancelledError by itself"))
        except RunOverError:
            # Whoever holds the run by now goes on from what was kept before.
            execution.stopped = execution.stopped or Stop.LOST
            return self._stopped(execution)
        except (SystemExit, KeyboardInterrupt) as raised:
            return self._failed(execution, guard.translated(raised))
        except Exception as problem:
            # An error on the way out is none of the run's.
            return self._stopped(execution) if execution.stopped else self._failed(execution, problem)
        finally:
            limit.cancel()
            if execution.stopped is not None and execution.task is not None:
                while execution.task.cancelling():
                    execution.task.uncancel()

    def _stopped(self, execution: Execution) -> Outcome:
        if execution.stopped in (Stop.DRAIN, Stop.LOST) or execution.settling:
            return Outcome(None)
        if execution.stopped is Stop.CANCEL:
            return self._cancelled(execution)
        if execution.stopped is Stop.ROLLBACK:
            execution.publish("error", dumps({"error": "UserRollback", "message": "the run was undone"}))
            return Outcome(RunStatus.INTERRUPTED)
        limit = self._settings.run_timeout_seconds
        error = {"error": "TimeoutError", "message": f"the run took longer than {limit:g} s"}
        execution.publish("error", dumps(error))
        return Outcome(RunStatus.TIMEOUT, error=error)

    def _cancelled(self, execution: Execution) -> Outcome:
        execution.publish("error", dumps({"error": "UserInterrupt", "message": "the run was cancelled"}))
        return Outcome(RunStatus.INTERRUPTED)

    async def _drive(self, execution: Execution) -> Any:
        if not self._settings.otel_exporter_otlp_endpoint:
            return await self.driver.drive(execution)
        # The text of an exception may quote what users wrote, so that only its type is recorded.
        with tracer.start_as_current_span(
            f"run {execution.run.graph_id}", record_exception=False, set_status_on_exception=False
        ) as span:
            span.set_attribute("langgraph.run_id", execution.run.run_id)
            try:
                return await self.driver.drive(execution)
            except Exception as problem:
                span.set_status(trace.StatusCode.ERROR, type(problem).__name__)
                raise

    def _failed(self, execution: Execution, problem: Exception) -> Outcome:
        unavailable = isinstance(problem, UNAVAILABLE)
        if unavailable:
            error = {"error": "StorageUnavailable", "message": "the checkpointer's server does not answer"}
        else:
            error = {"error": type(problem).__name__, "message": text_of(problem)}
        # A message may quote what users wrote; the place in the code never does.
        where = problem.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        log.warning(
            "run failed",
            exc_info=problem if self._settings.log_content else None,
            extra={
                "error": type(problem).__name__,
                "at": f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else "",
            },
        )
        execution.publish("error", dumps(error))
        # LangGraph notes which task failed: the one of this name takes the input in, this time or the last one. Without
        # a task the input was never taken in.
        tasks = [
            note for note in getattr(problem, "__notes__", ()) if note.startswith("During task with name")
        ]
        entering = any("'__start__'" in task for task in tasks)
        unfed = execution.fed and not execution.started.is_set() and not tasks
        refused = entering or (unfed and not unavailable)
        return Outcome(RunStatus.ERROR, error=error, refused=refused, unavailable=unavailable)

    async def _settled(self, execution: Execution, outcome: Outcome) -> Outcome:
        """Record how the run ended. Whatever happens meanwhile, it ends once: as it did, or with an error that says
        why that could not be kept. Raises what is in UNAVAILABLE."""
        try:
            return await self._settle(execution, outcome)
        except UNAVAILABLE:
            raise
        except Exception as problem:
            failed = self._failed(execution, problem)
            return await self._finish(execution, failed, RunStatus.ERROR, ThreadStatus.ERROR)

    async def _settle(self, execution: Execution, outcome: Outcome) -> Outcome:
        """Tell the registry how the run ended, or that it did not."""
        run = execution.run
        if run.record_events:
            await execution.events.record(self.registry, run.run_id)
        if execution.stopped is Stop.LOST and self.registry.durable:
            return outcome
        if execution.stopped is Stop.ROLLBACK:
            await self._endings.undo(run)
            return outcome
        if outcome.status is None:
            await self.registry.release(run)
            return outcome
        thread_status = ThreadStatus.IDLE
        if outcome.status in (RunStatus.ERROR, RunStatus.TIMEOUT):
            thread_status = ThreadStatus.ERROR
        elif outcome.status is RunStatus.INTERRUPTED or execution.waits:
            thread_status = ThreadStatus.INTERRUPTED
        return await self._finish(execution, outcome, outcome.status, thread_status)

    async def _finish(
        self, execution: Execution, outcome: Outcome, status: RunStatus, thread_status: ThreadStatus
    ) -> Outcome:
        """Record how the run ended. Returns how it did for everybody."""
        run = execution.run
        result = _result(execution, outcome) if run.webhook else None
        # Whoever follows the run on another process answers as this one does.
        error = {**(outcome.error or {}), "refused": True} if outcome.refused else outcome.error
        recorded = await self.registry.finish(run, status, error, thread_status, result)
        if recorded is None or recorded not in (status, RunStatus.INTERRUPTED):
            log.warning("the run ended elsewhere, or goes on there; that outcome counts")
            return Outcome(None)
        if run.payload.get("temporary"):
            self._endings.forget_later(run)
        if recorded is status:
            return outcome
        # A cancel came in before this process heard of it.
        cancelled = self._cancelled(execution)
        if run.record_events:
            await execution.events.record(self.registry, run.run_id)
        return cancelled

    async def _maintain_leases(self) -> None:
        """Until the process ends: renew leases, carry out cancellations, start runs that wait, find dead processes."""
        reaped = time.monotonic()
        strays: set[str] = set()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
            self._wake.clear()
            mine = {execution.run.run_id: execution for execution in self.running}
            try:
                for execution in mine.values():
                    if execution.left is not None and await execution.left():
                        execution.stop(Stop.CANCEL)
                async with asyncio.timeout(self._settings.lease_seconds):  # a silent server answers never
                    orders = await self.registry.beat(len(self._executions))
                self._leases.renewed()
                # Held by this process, but by none of its tasks, at two beats in a row: a request was cut off
                # between entry and start, or the database forgot the run's end when it crashed.
                strays, before = (orders.held or set()) - set(self._executions), strays
                await self.registry.give_back(strays & before)
                for run_id, execution in mine.items():
                    self._apply_orders(run_id, execution, orders)
                metrics.pending_runs.set(orders.pending)
                self.open_runs = orders.pending + orders.elsewhere + len(self._executions)
                metrics.open_runs.set(self.open_runs)
                self._expecting = orders.pending > 0
                if orders.pending and self._executes and not self.draining:
                    await self._take_up()
                if time.monotonic() - reaped > self._settings.lease_seconds / 3:
                    reaped = time.monotonic()
                    await self.registry.reap()
            except (*UNAVAILABLE, TimeoutError) as error:
                log.warning("the registry does not answer", extra={"error": type(error).__name__})
                if self._leases.over:  # so this process must not go on with its runs
                    for execution in mine.values():
                        if not execution.stateless:
                            execution.stop(Stop.LOST)
            except Exception:
                log.exception("housekeeping failed")

    def _apply_orders(self, run_id: str, execution: Execution, orders: Orders) -> None:
        if orders.held is not None and run_id not in orders.held and not execution.stateless:
            execution.stop(Stop.LOST)
        elif run_id in orders.rollback:
            execution.stop(Stop.ROLLBACK)
        elif run_id in orders.cancel:
            execution.stop(Stop.CANCEL)
        elif run_id in orders.record:
            execution.run.record_events = True

    async def _take_up(self) -> None:
        free = self._settings.max_concurrent_runs - len(self._executions)
        if free > 0:
            for run in await self.registry.claim(min(free, 10), self.driver.graphs.names):
                await self._places.take(run)
                self._spawn(self._execution(run))


def _result(execution: Execution, outcome: Outcome) -> bytes:
    """What the run's webhook is told besides the run."""
    ended = now()
    started = ended - timedelta(seconds=time.perf_counter() - execution.began)
    return dumps({"values": outcome.values, "run_started_at": started, "run_ended_at": ended})


def text_of(problem: BaseException) -> str:
    """What an exception says, as text that can be kept and sent."""
    try:
        return clean(str(problem))
    except Exception:
        return f"a {type(problem).__name__} that cannot say what it is"
