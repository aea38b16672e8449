"""Agents that run as processes in the place of simulated pods, by a program that only tells what it was given."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from sandbox import local_agents
from sandbox.cluster.api import Api
from sandbox.common import processes
from sandbox.common.state import State
from sandbox.local_agents import LocalAgents
from tests.sandbox.fakes import FakeApi

TELLING = """
import http.server, json, os, sys
if os.environ["MODEL"] == "broken":
    sys.exit("MODEL is broken: give another")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"given": dict(os.environ), "arguments": sys.argv[1:]}).encode())
port = int(sys.argv[1].partition("=")[2])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

SOURCES: dict[str, Path | None] = {"support": None}


class Cluster(FakeApi):
    """One whose pods are simulated, with an agent."""

    def __init__(self) -> None:
        super().__init__()
        self.variables = {"MODEL": "fake", "PORT": "8000", "SECRETS_DIR": "/var/run/secrets/x"}
        self.deploy("support", "registry.example.com/support@sha256:1")

    def deploy(self, name: str, image: str) -> None:
        labels = {"app.kubernetes.io/component": "server"}
        metadata: dict[str, Any] = {"name": name, "namespace": "agents", "labels": labels}
        container = {
            "image": image,
            "envFrom": [{"configMapRef": {"name": name}}],
            "env": [{"name": "LOG_LEVEL", "value": "debug"}, {"name": "POD", "valueFrom": {"fieldRef": {}}}],
        }
        for kind, more in (
            ("Service", {"spec": {"clusterIP": "10.0.0.7"}}),
            ("ConfigMap", {"data": self.variables}),
            ("Deployment", {"spec": {"template": {"spec": {"containers": [container]}}}}),
        ):
            self.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata, **more})


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    program = tmp_path / "telling.py"
    program.write_text(TELLING)
    monkeypatch.setattr(local_agents, "_COMMAND", (sys.executable, str(program)))
    state = State(tmp_path / ".sandbox", "dev")
    state.create()
    yield state
    for group in processes.running(state.id).values():
        processes.stop(group)


def ensure(state: State, cluster: Cluster, sources: dict[str, Path | None] = SOURCES) -> dict[str, Any]:
    """The agents that answer, each with what it tells."""
    reached = LocalAgents(state, cast(Api, cluster)).ensure(sources)
    return {agent.name: httpx.get(way.url, trust_env=False).json() for agent, way in reached}


def pids(state: State) -> list[int]:
    return [process.pid for group in processes.running(state.id).values() for process in group]


def test_an_agent_has_the_settings_of_its_pods_but_for_what_holds_in_pods_alone(state: State) -> None:
    given = ensure(state, Cluster())["support"]["given"]
    assert (given["MODEL"], given["LOG_LEVEL"]) == ("fake", "debug")
    assert not {"PORT", "SECRETS_DIR", "POD"} & given.keys()


def test_its_key_is_in_the_cluster_where_ask_reads_it_and_stays(state: State) -> None:
    cluster = Cluster()
    ((agent, way),) = LocalAgents(state, cast(Api, cluster)).ensure(SOURCES)
    assert len(way.key) > 20
    ((again, same),) = LocalAgents(state, cast(Api, cluster)).ensure(SOURCES)
    assert same.key == again.key == way.key
    assert ensure(state, cluster)["support"]["given"]["API_KEYS"] == way.key
    assert agent.name == "support"


def test_one_whose_settings_and_image_are_the_same_goes_on_and_any_other_is_started_anew(
    state: State,
) -> None:
    cluster = Cluster()
    ensure(state, cluster)
    first = pids(state)
    ensure(state, cluster)
    assert pids(state) == first
    cluster.deploy("support", "registry.example.com/support@sha256:2")
    ensure(state, cluster)
    second = pids(state)
    assert second != first
    cluster.variables["MODEL"] = "another"
    assert ensure(state, cluster)["support"]["given"]["MODEL"] == "another"
    assert len(pids(state)) == len(second) == 1


def test_one_that_is_no_longer_deployed_ends(state: State) -> None:
    cluster = Cluster()
    ensure(state, cluster)
    cluster.delete("v1", "Service", "agents", "support")
    assert ensure(state, cluster) == {}
    assert pids(state) == []


def test_a_project_is_served_from_its_folder(state: State) -> None:
    told = ensure(state, Cluster(), {"support": Path("/projects/orders")})
    assert "--project=/projects/orders" in told["support"]["arguments"]


def test_one_that_does_not_start_is_told_of_with_its_last_words_and_keeps_no_other_from_it(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster()
    cluster.variables = {"MODEL": "broken"}
    cluster.deploy("broken", "x")
    assert list(ensure(state, cluster, {"support": None, "broken": None})) == ["support"]
    told = capsys.readouterr().out
    assert "broken does not run here" in told
    assert "MODEL is broken: give another" in told


def test_one_with_an_image_of_its_own_is_told_to_need_a_pod(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensure(state, Cluster(), {}) == {}
    assert "support has an image of its own" in capsys.readouterr().out


def test_the_notes_hold_no_key(state: State) -> None:
    ((_, way),) = LocalAgents(state, cast(Api, Cluster())).ensure(SOURCES)
    files = [path for path in state.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if way.key in path.read_text()]
    assert json.loads((state.folder / "agents.json").read_text())["support"]["port"]
