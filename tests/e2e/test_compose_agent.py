"""An agent with what a written Compose file gives it: its variables, its secret files, its stores' certificates.

Docker is not needed: the agent is a process, the cache a real server with the options of the file. PostgreSQL is an
embedded one, which has no TLS; certificates of both stores are looked at in tests/compose.
"""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from valkey import Valkey
from valkey.exceptions import NoPermissionError

from compose.writing import write
from langgraph_agents_service import local
from langgraph_agents_service.ports import free_port
from sandbox.__main__ import default_cache
from sandbox.binaries import debian
from stacks.of_stack import read_stack
from stacks.reading import read

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux runs what Debian builds"),
]

SERVICE = Path(__file__).parents[2] / "service"


@dataclass(frozen=True)
class Written:
    """A written folder."""

    folder: Path
    services: Mapping[str, Any]
    files: Mapping[str, str]

    def file(self, service: str, target: str) -> Path:
        """The file that a service sees at `target`."""
        (source,) = [each["source"] for each in self.services[service]["secrets"] if each["target"] == target]
        return self.folder / self.files[source]

    def seen(self, service: str, text: str) -> str:
        """A text of a service with the paths of this machine in the place of the container's."""
        for each in self.services[service]["secrets"]:
            text = text.replace(each["target"], str(self.folder / self.files[each["source"]]))
        return text


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("compose")
    write(read_stack("dev"), "dev", folder)
    content = read(folder / "compose.yaml").content
    return Written(
        folder, content["services"], {key: each["file"] for key, each in content["secrets"].items()}
    )


@pytest.fixture(scope="module")
def cache(written: Written, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of the cache, started with the options of the file."""
    data, port = tmp_path_factory.mktemp("data"), free_port()
    given = [written.seen("valkey", part) for part in written.services["valkey"]["command"]][1:]
    options = dict(zip(given[::2], given[1::2], strict=True)) | {"--tls-port": str(port), "--dir": str(data)}
    program = debian.ensure(default_cache()).programs / "redis-server"
    command = [str(program), *(part for pair in options.items() for part in pair)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            assert server.stdout
            for line in server.stdout:
                if "Ready to accept connections" in line:
                    break
            else:
                raise AssertionError("it ended")
            yield port
        finally:
            server.terminate()


def uri_of(written: Written, port: int) -> str:
    """The agent's own URI, with the port that the cache has here."""
    given = written.file("support", "/var/run/secrets/langgraph-agents/REDIS_URI").read_text()
    return written.seen("support", given).replace("@valkey:6379/", f"@localhost:{port}/")


def test_an_agent_s_login_to_the_cache_sees_its_own_keys_alone(written: Written, cache: int) -> None:
    with Valkey.from_url(uri_of(written, cache)) as client:
        assert client.set("support:a", "b")
        assert client.get("support:a") == b"b"
        with pytest.raises(NoPermissionError):
            client.get("other:a")
        with pytest.raises(NoPermissionError):
            client.flushall()


def test_who_has_no_login_to_the_cache_can_ask_whether_it_lives_and_nothing_else(
    written: Written, cache: int
) -> None:
    authority = str(written.file("valkey", "/run/secrets/ca.crt"))
    with Valkey(host="localhost", port=cache, ssl=True, ssl_ca_certs=authority) as stranger:
        assert stranger.ping()
        with pytest.raises(NoPermissionError):
            stranger.get("support:a")
        with pytest.raises(NoPermissionError):
            stranger.dbsize()


@contextmanager
def running(
    command: list[str], environment: Mapping[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with (
        log.open("ab") as output,
        subprocess.Popen(
            [sys.executable, *command[1:]],
            env={**inherited, **environment, "PYTHONPATH": str(SERVICE)},
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


def test_the_migration_and_the_agent_run_with_what_the_file_gives_them(
    written: Written, cache: int, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "log"

    def files(service: str, postgres: local.Postgres) -> Path:
        """The service's secret files, with the addresses that the stores have here."""
        folder = tmp_path / service
        folder.mkdir()
        for each in written.services[service]["secrets"]:
            target = Path(each["target"])
            if target.parent == Path("/var/run/secrets/langgraph-agents"):
                text = (written.folder / written.files[each["source"]]).read_text()
                parts = urlsplit(text)
                if target.name == "DATABASE_ADMIN_URI":
                    text = postgres.admin_uri
                elif target.name == "DATABASE_URI":
                    text = postgres.uri(parts.path.strip("/"), str(parts.username), str(parts.password))
                elif target.name == "REDIS_URI":
                    text = uri_of(written, cache)
                (folder / target.name).write_text(text)
        return folder

    here = {"HOST": "127.0.0.1", "PORT": str(port), "METRICS_PORT": "0"}
    with local.postgres() as postgres:
        migrate, serve = written.services["support-migrate"], written.services["support"]
        given = {**migrate["environment"], "SECRETS_DIR": str(files("support-migrate", postgres))}
        with running(migrate["entrypoint"], given, log) as process:
            assert process.wait(60) == 0, log.read_text()
        given = {**serve["environment"], **here, "SECRETS_DIR": str(files("support", postgres))}
        with running(["python", "-m", "langgraph_agents_service"], given, log) as process:
            url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
            while not _ready(url):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            asked = {"input": {"messages": [{"role": "user", "content": "hello"}]}}
            key = written.file("support", "/var/run/secrets/langgraph-agents/API_KEYS").read_text()
            assert httpx.post(f"{url}/invoke", json=asked, headers={"X-API-Key": key}).status_code == 200
            assert (
                httpx.post(f"{url}/invoke", json=asked, headers={"X-API-Key": "another"}).status_code == 401
            )
            # The check of Compose, at the port that the agent has here.
            check = serve["healthcheck"]["test"]
            assert check[:3] == ["CMD", "python", "-c"]
            script = check[3].replace(":8000", f":{port}")
            assert subprocess.run([sys.executable, "-c", script]).returncode == 0, shlex.join(check)
        assert subprocess.run([sys.executable, "-c", script], stderr=subprocess.DEVNULL).returncode != 0


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False
