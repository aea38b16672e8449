"""Services as processes of their own, which tests can kill."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from langgraph_agents_service.__main__ import main
from langgraph_agents_service.ports import free_port
from tests.service.serving import GRAPHS, KEY

# Without certificates: loading them takes longer than all that is asked over loopback.
_PROBE = httpx.Client(verify=False, timeout=3)  # noqa: S501

SERVICE = Path(__file__).parents[2] / "service"


def environment(**settings: Any) -> dict[str, str]:
    """The environment of a service: these settings, and defaults fit for tests."""
    values: dict[str, Any] = {
        "HOST": "127.0.0.1",
        # Whatever is not told a port of its own has a free one, beside anything that listens on the default.
        "PORT": free_port(),
        "METRICS_PORT": 0,
        "LANGGRAPH_CONFIG": GRAPHS,
        "API_KEYS": KEY,
        "RATE_LIMIT_PER_MINUTE": 0,
        "SECRETS_DIR": "/nonexistent",
        "LEASE_SECONDS": 2,
        "PYTHONPATH": SERVICE,
        **{name.upper(): value for name, value in settings.items()},
    }
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**inherited, **{name: str(value) for name, value in values.items()}}


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def agent(*arguments: str, **settings: Any) -> Done:
    """Run a command of the agent to its end, in this process: what it lets escape fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in environment(**settings).items():
            patch.setenv(name, value)
        code = main(arguments)
    return Done(code, out.getvalue(), err.getvalue())


class Process:
    """A serving process."""

    def __init__(self, port: int | None = None, *, log: Path | None = None, **settings: Any) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        output = log.open("ab") if log else subprocess.DEVNULL
        self._process = subprocess.Popen(
            [sys.executable, "-m", "langgraph_agents_service"],
            env=environment(port=self.port, **settings),
            stdout=output,
            stderr=output,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def client(self) -> LangGraphClient:
        return get_client(url=self.url, api_key=KEY.partition(":")[2])

    def status(self, path: str = "/ready") -> int:
        """The status of a probe; 0 if nothing answers."""
        with suppress(httpx.HTTPError):
            return _PROBE.get(self.url + path).status_code
        return 0

    def wait_for(self, status: int, path: str = "/ready", seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while (found := self.status(path)) != status:
            if time.monotonic() > deadline or (status == 200 and not self.alive):
                raise AssertionError(f"{path} answers {found}, not {status}, after {seconds} s")
            time.sleep(0.05)

    def kill(self) -> None:
        """As the kernel does when memory runs out: no chance to say goodbye."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """As Kubernetes does."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 30) -> int:
        return self._process.wait(seconds)

    def close(self) -> None:
        if self.alive:
            self.kill()


@contextmanager
def processes(count: int, **settings: Any) -> Iterator[list[Process]]:
    """So many services that are ready, side by side on one storage."""
    started = [Process(**settings) for _ in range(count)]
    try:
        for process in started:
            process.wait_for(200)
        yield started
    finally:
        for process in started:
            process.close()
