"""The peer that most teams start with: a FastAPI handler and LangGraph's own PostgreSQL saver on a pool."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from langchain_core.messages import messages_to_dict
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from bench.graph import echo


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool: Any = AsyncConnectionPool(os.environ["DATABASE_URI"], max_size=10, kwargs=options, open=False)
    async with pool:
        app.state.graph = echo.compile(checkpointer=AsyncPostgresSaver(pool))
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/invoke")
async def invoke(request: Request) -> dict[str, Any]:
    body = await request.json()
    config = {"configurable": {"thread_id": body["thread_id"]}}
    values = await request.app.state.graph.ainvoke(body["input"], config)
    return {"output": {"messages": messages_to_dict(values["messages"])}}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", access_log=False)
