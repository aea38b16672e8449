"""What a stack tells LangGraph's Agent Server, given to LangGraph's own server on PostgreSQL and Valkey.

The licensed image cannot be had here. `langhost` runs the same `langgraph-api` on an open runtime, and takes its place:
what its settings are called, how it starts and which rights its login needs is real; that the image has its entry
points where the stack looks for them, and keeps its keys below the prefix, is not seen.
"""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from langgraph_sdk import get_client
from tenacity import Retrying, stop_after_delay, wait_fixed

from bench.peers import PEERS, installed
from langgraph_agents_service import local
from langgraph_agents_service.ports import free_port
from stacks.agent_server import command, plain_variables
from stacks.agent_settings import Agent, AgentSecret, Workers
from stacks.vocabulary import Runtime, SecretSource

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

AGENT = Agent(
    name="research",
    host="research.example.com",
    runtime=Runtime.LANGGRAPH_SERVER,
    secrets=(AgentSecret(name="LANGGRAPH_CLOUD_LICENSE_KEY", source=SecretSource.MANUAL),),
)
GRAPH = """
from langgraph.graph import START, MessagesState, StateGraph

def answer(state):
    return {"messages": [("ai", f"you said: {state['messages'][-1].content}")]}

graph = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").compile()
"""


@pytest.fixture(scope="module")
def server() -> Path:
    """Its environment."""
    (peer,) = (peer for peer in PEERS if peer.package.startswith("langhost"))
    environment = installed(peer)
    assert environment is not None
    return environment


@pytest.fixture(scope="module")
def served(
    server: Path, postgres: local.Postgres, valkey_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Where it answers, and its database."""
    folder = tmp_path_factory.mktemp("agent-server")
    secrets = folder / "secrets"
    secrets.mkdir()
    database = postgres.uri(f"research_{uuid.uuid4().hex}")
    for name, value in {
        "DATABASE_URI": database,
        "REDIS_URI": valkey_uri,
        "LANGGRAPH_CLOUD_LICENSE_KEY": "none is asked for",
    }.items():
        (secrets / name).write_text(value)
    _make_database(database, postgres.admin_uri)
    (folder / "graph.py").write_text(GRAPH)
    (folder / "langgraph.json").write_text('{"dependencies": ["."], "graphs": {"agent": "./graph.py:graph"}}')
    entry_point = folder / "entrypoint.sh"
    entry_point.write_text(
        f'#!/bin/sh\nexec {server}/bin/langhost serve --host 127.0.0.1 --port "$PORT" --no-browser\n'
    )
    entry_point.chmod(0o755)
    port = free_port()
    variables = {**plain_variables(AGENT), "SECRETS_DIR": str(secrets), "PORT": str(port)}
    process = subprocess.Popen(
        command(str(entry_point)),
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **variables},
        cwd=folder,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for attempt in Retrying(stop=stop_after_delay(120), wait=wait_fixed(0.5), reraise=True):
            with attempt:
                assert process.poll() is None, "it ended by itself"
                assert httpx.get(f"{url}/ok?check_db=1").json() == {"ok": True}
        yield url, database
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _make_database(uri: str, admin: str) -> None:
    """As the agent's migration does."""
    subprocess.run(
        [sys.executable, "-m", "langgraph_agents_service", "migrate", "--database-only"],
        env={**os.environ, "DATABASE_URI": uri, "DATABASE_ADMIN_URI": admin},
        check=True,
    )


async def test_a_run_is_answered_and_its_thread_is_kept_in_the_agents_database(
    served: tuple[str, str],
) -> None:
    url, database = served
    client = get_client(url=url)
    thread = await client.threads.create()
    said: Any = {"messages": [{"role": "user", "content": "hello"}]}
    answer: Any = await client.runs.wait(thread["thread_id"], "agent", input=said)
    assert answer["messages"][-1]["content"] == "you said: hello"
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    tables = {name for (name,) in found}
    assert tables
    assert not [name for name in tables if name.startswith("agent_")], "none of the agent service's own"


_READ = """
import json
from langgraph_api import config
print(json.dumps({
    "jobs": config.N_JOBS_PER_WORKER, "prefix": config.REDIS_KEY_PREFIX, "ttl": config.THREAD_TTL,
    "timeout": config.BG_JOB_TIMEOUT_SECS, "grace": config.BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS,
    "pool": config.POSTGRES_POOL_MAX_SIZE, "body": config.HTTP_MAX_REQUEST_BODY_BYTES,
}))
"""


def test_the_server_reads_what_the_stack_tells_it(server: Path) -> None:
    variables = plain_variables(AGENT.model_copy(update={"workers": Workers()}))
    done = subprocess.run(
        [server / "bin" / "python", "-c", _READ],
        env={**variables, "DATABASE_URI": "postgresql://", "REDIS_URI": "redis://"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "jobs": 0,
        "prefix": "research:",
        "ttl": {"strategy": "delete", "default_ttl": 30 * 24 * 60, "sweep_interval_minutes": 60},
        "timeout": AGENT.lifetimes.run_timeout,
        "grace": 310,
        "pool": AGENT.pool.max_size,
        "body": AGENT.max_request_bytes,
    }


def test_a_body_is_as_large_as_the_stack_says(served: tuple[str, str]) -> None:
    url, _ = served
    answer = httpx.post(f"{url}/threads", content=b"{" + b" " * AGENT.max_request_bytes + b"}")
    assert answer.status_code == 413


def test_no_origin_is_let_in_that_the_stack_does_not_name(served: tuple[str, str]) -> None:
    url, _ = served
    answer = httpx.options(
        f"{url}/threads", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert "access-control-allow-origin" not in answer.headers
