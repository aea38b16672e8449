"""Makes the runs of crons when they are due: each of them once, whichever process does it."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langgraph_agents_service.access import callers
from langgraph_agents_service.access.authorization import RefusedError
from langgraph_agents_service.access.callers import Caller
from langgraph_agents_service.access.users import restored
from langgraph_agents_service.api.errors import ApiError
from langgraph_agents_service.api.runs.making import allow, bound_thread, build
from langgraph_agents_service.api.schemas import RunCreate
from langgraph_agents_service.observability import metrics
from langgraph_agents_service.persistence.crons.base import Firing, TakenAwayError
from langgraph_agents_service.persistence.registry.base import NotFoundError, Run, ThreadBusyError
from langgraph_agents_service.runs.runner import UNAVAILABLE
from langgraph_agents_service.service import Service

LOOK_SECONDS = 1.0
"""How soon a cron that is due is seen."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def firing(service: Service) -> AsyncIterator[None]:
    """Crons are carried out as long as this is open."""
    task = asyncio.create_task(_keep_firing(service)) if service.keeps_threads else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _keep_firing(service: Service) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            while not service.runner.draining and await fire(service):
                pass
        except UNAVAILABLE as error:
            log.warning("crons wait for the registry", extra={"error": type(error).__name__})
        except Exception:
            log.exception("a cron was not carried out")


async def fire(service: Service) -> bool:
    """Make the run of one cron that is due; False if there is none."""
    made: Run | None = None
    async with service.crons.due() as due:
        if due is None:
            return False
        cron = due.cron
        caller = service.identification.on_behalf(
            Caller(cron.owner, restored(cron.user) if cron.user else None, configurable=cron.configurable)
        )
        try:
            made = await _make(service, due, caller)
            outcome = "made"
        except (ThreadBusyError, TakenAwayError):
            outcome = "skipped"
        except (ApiError, RefusedError, NotFoundError) as problem:
            # Told each time, and tried each time: whoever lost a right may get it back.
            outcome = "refused"
            why = getattr(problem, "detail", "its thread is not there")
            log.warning("a cron cannot run", extra={"cron_id": cron.cron_id, "reason": str(why)})
    metrics.series(metrics.crons, outcome).inc()
    log.info("cron", extra={"cron_id": cron.cron_id, "outcome": outcome})
    if made is not None:
        await bound_thread(service, made)
    return True


async def _make(service: Service, due: Firing, caller: Caller) -> Run:
    """Raises ApiError, RefusedError, NotFoundError, ThreadBusyError."""
    cron = due.cron
    if not service.identification.still_in(caller):
        raise RefusedError(401, "the key that it was made with is out of use")
    callers.current.set(caller)
    run = await build(
        service, caller, RunCreate.model_validate(cron.payload), cron.thread_id or str(uuid.uuid4())
    )
    run.metadata = {**cron.metadata, **run.metadata}
    configurable = run.payload["config"].get("configurable") or {}
    run.payload["config"]["configurable"] = {**configurable, "cron_id": cron.cron_id}
    owner = await allow(caller, run, thread_id=cron.thread_id)
    if cron.on_run_completed == "delete":
        run.payload["temporary"] = True
    await due.enter(run, owner, create_thread=cron.thread_id is None)
    return run
