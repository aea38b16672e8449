"""Routes, middleware, a lifespan and exception handlers of a project's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse
from langgraph_sdk import get_client

journal: list[str] = []


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    threads = await get_client().threads.count()
    journal.append(f"opened on a server with {threads} threads")
    yield {"greeting": "good day"}
    journal.append(f"closed on a server with {await get_client().threads.count()} threads")


app = FastAPI(lifespan=lifespan)


class TeapotError(Exception):
    pass


@app.exception_handler(TeapotError)
async def teapot(_request: Request, _error: TeapotError) -> JSONResponse:
    return JSONResponse({"i am": "a teapot"}, 418)


@app.exception_handler(404)
async def lost(_request: Request, _error: Exception) -> JSONResponse:
    return JSONResponse({"lost": True}, 404)


@app.middleware("http")
async def stamp(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    response.headers["x-house"] = "north"
    response.headers["x-user"] = getattr(request.scope.get("user"), "identity", "nobody")
    return response


@app.get("/hello")
async def hello(request: Request) -> dict[str, Any]:
    return {"started": bool(journal), "greeting": getattr(request.state, "greeting", None)}


@app.get("/hello/{name}")
async def hello_to(name: str) -> str:
    return name


@app.post("/echo")
async def echo(request: Request) -> int:
    return len(await request.body())


@app.get("/teapot")
async def brew() -> None:
    raise TeapotError


@app.get("/fails")
async def fails() -> None:
    raise RuntimeError("a secret of the house")


@app.get("/me")
async def me(request: Request) -> str:
    return str(request.user.identity)


@app.get("/inside")
async def inside() -> int:
    return await get_client().threads.count()


@app.get("/assistants/{assistant_id}")
async def shadow(assistant_id: str) -> str:
    return f"shadow of {assistant_id}"


@app.get("/ok")
@app.get("/health")
@app.get("/openapi.json")
async def not_reached() -> PlainTextResponse:
    return PlainTextResponse("taken", 418)


@app.websocket("/talk")
async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello " + getattr(socket.scope.get("user"), "identity", "nobody"))
    await socket.close()


bare = FastAPI()
"""Without middleware, and so without tasks between the server and a route."""
bare.get("/inside")(inside)
