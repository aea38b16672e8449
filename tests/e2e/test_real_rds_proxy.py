"""A stack behind RDS Proxy on a real node: AWS's proxy is not there, and its name leads to PostgreSQL itself."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.cluster import agents
from sandbox.cluster.api import Api
from sandbox.cluster.controlplane import running_endpoint
from tests.e2e.harness import Sandbox, needs_a_real_node

# For the night: a node of its own, for what the sandbox emulates.
pytestmark = [pytest.mark.e2e, pytest.mark.nightly, pytest.mark.timeout(1800)]

# Prints by whose name the server of the agent's own connection was verified, and who answers.
_WHO = """
import pathlib, psycopg
uri = pathlib.Path("/var/run/secrets/langgraph-agents/DATABASE_URI").read_text()
with psycopg.connect(uri) as connection:
    (ssl,) = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
    print(connection.info.host, connection.info.get_parameters()["sslmode"], ssl)
"""


@pytest.fixture(scope="module")
def real(product: Sandbox) -> Iterator[Sandbox]:
    """The development stack with it."""
    needs_a_real_node(product.root)
    sandbox = Sandbox(product.project, product.root, nodes="real")
    sandbox.edit(lambda settings: settings["database"].update(pooler="rds-proxy"))
    try:
        sandbox.up()
        yield sandbox
    finally:
        sandbox.run("down")


def test_the_agent_answers_and_its_database_is_verified_by_the_name_of_the_proxy(real: Sandbox) -> None:
    endpoint = running_endpoint(real.state)
    assert endpoint is not None
    with Api(endpoint) as api:
        (agent,) = agents.find(api)
    way = agent.reached()
    body: dict[str, Any] = {"input": {"messages": [{"role": "user", "content": "What is 6*7?"}]}}
    answer = httpx.post(
        f"{way.url}/invoke", json=body, headers={"X-API-Key": way.key}, timeout=60, trust_env=False
    )
    assert answer.status_code == 200, answer.text
    assert "42" in json.dumps(answer.json())
    pod = real.servers()[0]["metadata"]
    who = real.kubectl("exec", "-n", pod["namespace"], pod["name"], "--", "python", "-c", _WHO).stdout.split()
    host, sslmode, encrypted = who
    assert ".proxy-" in host
    assert host.endswith(".eu-central-1.rds.amazonaws.com")
    assert (sslmode, encrypted) == ("verify-full", "True")
