"""What a shell is given to talk to a sandbox, run by a shell."""

import base64
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from sandbox import shell
from sandbox.binaries.build import Engine
from sandbox.binaries.debian import Debian
from sandbox.cluster import agents
from sandbox.cluster.agents import Agent, Reached
from sandbox.cluster.api import Api
from sandbox.common.state import State
from tests.sandbox.fakes import FakeApi

SUPPORT = Agent("support", "langgraph-agents", "http://10.254.128.7", "support.example.com", "key")


def asked(folder: Path, line: str) -> "subprocess.CompletedProcess[str]":
    """What `line` does in a shell that has read the file; curl and kubectl only tell their arguments."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    for name, script in (("kubectl", 'echo "first,second"'), ("curl", 'printf "%s\\n" "$@"')):
        (bin_folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (bin_folder / name).chmod(0o755)
    engine = Engine(None, "", bin_folder, folder, folder, folder, Debian(folder))
    state = State(folder, "dev")
    state.create()
    ways = [
        (SUPPORT, Reached("https://10.254.0.80", "key", SUPPORT.host, folder / "ca.crt")),
        (
            Agent("re-search", "langgraph-agents", "http://10.254.128.8", None, "key"),
            Reached("http://10.254.128.8", ""),
        ),
    ]
    shell.write(state, engine, ways)
    assert state.env.stat().st_mode & 0o777 == 0o600
    return subprocess.run(["sh", "-c", f". {state.env}; {line}"], capture_output=True, text=True, check=False)


def test_an_agent_is_asked_by_its_ingress_with_its_first_key(tmp_path: Path) -> None:
    told = asked(tmp_path, "ask support /invoke -d 'a b'").stdout.splitlines()
    assert "X-API-Key: first" in told
    assert "https://support.example.com/invoke" in told
    assert told[told.index("--resolve") + 1] == "support.example.com:443:10.254.0.80"
    assert told[told.index("--cacert") + 1] == str(tmp_path / "ca.crt")
    assert told[-2:] == ["-d", "a b"]


def test_an_agent_without_ingress_is_asked_by_its_service(tmp_path: Path) -> None:
    told = asked(tmp_path, "ask re-search /ready").stdout.splitlines()
    assert "http://10.254.128.8/ready" in told
    assert "--resolve" not in told


def test_an_agent_that_is_not_there_is_reported_with_those_that_are(tmp_path: Path) -> None:
    done = asked(tmp_path, "ask nobody /ready")
    assert done.returncode == 2
    assert done.stderr.strip() == "there is no agent nobody, but support, re-search"


@pytest.mark.parametrize("served", [True, False])
def test_an_agent_is_reached_by_its_ingress_only_where_that_is_served(served: bool) -> None:
    api = FakeApi()
    labels = {"app.kubernetes.io/component": "server"}
    metadata = {"name": "support", "namespace": "langgraph-agents"}
    backend: dict[str, Any] = {"service": {"name": "support"}}
    rule = {"host": "support.example.com", "http": {"paths": [{"backend": backend}]}}
    keys = base64.b64encode(b"key,older").decode()
    for kind, more in (
        ("Service", {"metadata": metadata | {"labels": labels}, "spec": {"clusterIP": "10.254.128.7"}}),
        ("Ingress", {"metadata": metadata, "spec": {"rules": [rule]}}),
        ("Secret", {"metadata": metadata, "data": {"API_KEYS": keys}}),
    ):
        api.objects[kind, "langgraph-agents", "support"] = more
    hosts = ["support.example.com"] if served else []
    ((agent, way),) = agents.reachable(cast(Api, api), "10.254.0.80", Path("ca.crt"), hosts)
    assert agent == SUPPORT
    assert way.url == ("https://10.254.0.80" if served else "http://10.254.128.7")
    assert (way.host == agent.host) is served
