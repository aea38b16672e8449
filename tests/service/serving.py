"""Services for the tests, in a thread of the test process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from langgraph_agents_service.api.app import create_app
from langgraph_agents_service.api.connection import Connection
from langgraph_agents_service.configuration.settings import Settings
from langgraph_agents_service.ports import free_port
from langgraph_agents_service.service import Service

GRAPHS = Path(__file__).parent / "graphs" / "langgraph.json"
KEY = "alice:alices-key-0123456789"
OTHER_KEY = "bob:bobs-key-0123456789"


class Served:
    """A service in a thread, and how to reach it."""

    def __init__(self, url: str, service: Service) -> None:
        self.url = url
        self.service = service

    def client(self, key: str | None = KEY) -> LangGraphClient:
        return get_client(url=self.url, api_key=key.partition(":")[2] if key else None)


@contextmanager
def serving(*, connection: type[Connection] = Connection, **settings: Any) -> Iterator[Served]:
    """A service with these settings, in a thread of this process."""
    port = free_port()
    values = {
        "host": "127.0.0.1",
        "port": port,
        "metrics_port": 0,
        "langgraph_config": GRAPHS,
        "api_keys": f"{KEY}\n{OTHER_KEY}",
        "rate_limit_per_minute": 0,
        **settings,
    }
    app = create_app(Settings(**values))
    config = uvicorn.Config(app, http=connection, host="127.0.0.1", port=port, log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the service did not start")
        time.sleep(0.01)
    try:
        yield Served(f"http://127.0.0.1:{port}", app.state.service)
    finally:
        server.should_exit = True
        thread.join(timeout=20)
