"""`POST /invoke`: one question, one answer, for callers that want neither threads nor an SDK."""

import uuid
from typing import Any

from fastapi import APIRouter, Request, Response
from langgraph.errors import GraphRecursionError

from langgraph_agents_service.api import follow
from langgraph_agents_service.api.bodies import DirectRoute
from langgraph_agents_service.api.context import caller_of, service_of
from langgraph_agents_service.api.errors import ANSWERS, ApiError
from langgraph_agents_service.api.runs import making
from langgraph_agents_service.api.schemas import Answer, Invoke
from langgraph_agents_service.runs.wire import dumps

router = APIRouter(tags=["invoke"], route_class=DirectRoute, responses=ANSWERS)


@router.post("/invoke", response_model=Answer)
async def invoke(request: Request, body: Invoke) -> Response:
    service, caller = service_of(request), caller_of(request)
    stateless = body.thread_id is None
    if stateless and body.command:
        raise ApiError(422, "command: names no thread to go on with; give its thread_id")
    if not stateless and not service.keeps_threads:
        raise ApiError(422, "thread_id: CHECKPOINTER=none keeps no threads; leave it out")
    assistant_id = body.assistant_id or service.graphs.names[0]
    # No stream modes: nobody reads along, so that its events need not be made.
    run = await making.new(
        service, caller, body, assistant_id, str(body.thread_id or uuid.uuid4()), stream_mode=[]
    )
    owner = await making.allow(
        caller, run, thread_id=None if stateless else run.thread_id, if_not_exists="create"
    )
    headers = making.headers_of(run, stateless=stateless)
    if stateless and service.settings.process_role.executes:
        found = await service.runner.run_stateless(run, left=request.is_disconnected)
    else:
        if stateless:
            run.payload["temporary"] = True
        started = await service.runner.start(run, owner, create_thread=True)
        if started is None:
            await making.bound_thread(service, run)
        found = await follow.outcome(service, run, owner, started)
    follow.check(found)
    if found.error is not None:
        # Whoever asks sets the limit, and can set a higher one.
        status = 422 if found.error["error"] == GraphRecursionError.__name__ else 500
        raise ApiError(status, f"the graph failed: {found.error['error']}: {found.error['message']}")
    values: Any = found.values
    interrupts = values.pop("__interrupt__", ()) if isinstance(values, dict) else ()
    answer = {
        "output": values,
        "thread_id": None if stateless else run.thread_id,
        "run_id": run.run_id,
        "interrupts": list(interrupts),
    }
    return Response(dumps(answer), media_type="application/json", headers=headers)
