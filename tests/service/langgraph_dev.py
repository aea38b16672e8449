"""`langgraph dev`, LangGraph's own server, where it is installed (LANGGRAPH_DEV names its `langgraph`)."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from langgraph_agents_service.ports import free_port

installed = pytest.mark.skipif("LANGGRAPH_DEV" not in os.environ, reason="LANGGRAPH_DEV names no `langgraph`")


@contextmanager
def answering(command: list[str], port: int, *, folder: Path, log: Path) -> Iterator[str]:
    """The address of a server that this command starts in this folder, while it runs."""
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + 200
            while True:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/ok", timeout=2)
                    break
                except httpx.HTTPError:
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < deadline, log.read_text()
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(30)


@contextmanager
def langgraph_dev(folder: Path, *, log: Path) -> Iterator[str]:
    """The address of `langgraph dev` for the project of a folder."""
    port = free_port()
    command = [os.environ["LANGGRAPH_DEV"], "dev", "--no-browser", "--no-reload", "--port", str(port)]
    with answering(command, port, folder=folder, log=log) as url:
        yield url
