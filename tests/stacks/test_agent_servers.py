"""Agents that LangGraph's Agent Server serves: `runtime: langgraph-server`."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from policies import check
from preview.recording.recorder import Recording
from stacks import agent_image
from stacks.agent_server import command
from stacks.loading import SettingsError, load
from tests.conftest import record_with
from tests.policies.plans import MadePlan
from tests.stacks.stack_files import settings_of
from tests.stacks.test_agent_sources import own, with_agents
from tests.stacks.test_workers import problems

IMAGE = f"example.com/research@sha256:{'a' * 64}"
LICENCE = {"name": "LANGGRAPH_CLOUD_LICENSE_KEY", "source": "manual"}
SERVER: dict[str, Any] = {
    "name": "research",
    "runtime": "langgraph-server",
    "image": IMAGE,
    "env": {"LANGGRAPH_AUTH_TYPE": "langsmith"},
    "secrets": [LICENCE],
}


def objects(made: Recording, kind: str) -> dict[str, Mapping[str, Any]]:
    """By name, of the agent alone."""
    return {
        given["metadata"].get("name", "job"): given
        for urn, given in own(made, "research").items()
        if f"${kind}::" in urn or f"::{kind}::" in urn
    }


@pytest.fixture(scope="module")
def made() -> Recording:
    return record_with("dev", with_agents(SERVER))


@pytest.fixture(scope="module")
def split() -> Recording:
    return record_with("dev", with_agents({**SERVER, "workers": {"pool": {"maxSize": 4}}}))


def container(deployment: Mapping[str, Any]) -> Any:
    return deployment["spec"]["template"]["spec"]["containers"][0]


def test_its_pods_are_asked_as_the_agent_server_answers(made: Recording) -> None:
    (deployment,) = objects(made, "kubernetes:apps/v1:Deployment").values()
    server = container(deployment)
    assert server["image"] == IMAGE
    paths = {
        probe: server[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")
    }
    assert paths == {
        "startup": "/ok?check_db=0",
        "liveness": "/ok?check_db=0",
        "readiness": "/ok?check_db=1",
    }
    assert server["ports"] == [{"name": "http", "containerPort": 8000, "protocol": "TCP"}]
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == "8000"


def test_it_is_told_what_the_stack_file_says_in_its_own_names(made: Recording) -> None:
    data = objects(made, "kubernetes:core/v1:ConfigMap")["research"]["data"]
    assert data["REDIS_KEY_PREFIX"] == "research:"
    assert data["BG_JOB_TIMEOUT_SECS"] == "300"
    assert data["BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS"] == "310"
    assert data["LANGGRAPH_POSTGRES_POOL_MAX_SIZE"] == "10"
    assert json.loads(data["LANGGRAPH_THREAD_TTL"])["default_ttl"] == 30 * 24 * 60
    assert data["CORS_ALLOW_ORIGINS"] == ""
    assert data["LANGSMITH_TRACING"] == "false"
    assert data["LANGGRAPH_AUTH_TYPE"] == "langsmith"
    assert "N_JOBS_PER_WORKER" not in data
    assert not [name for name in data if name.startswith(("CHECKPOINT", "DATABASE_", "MODEL"))]


def test_a_trace_goes_to_langsmith_where_the_agent_says_so() -> None:
    env = {**SERVER["env"], "LANGSMITH_TRACING": "true"}
    made = record_with("dev", with_agents({**SERVER, "env": env}))
    assert objects(made, "kubernetes:core/v1:ConfigMap")["research"]["data"]["LANGSMITH_TRACING"] == "true"


def test_no_secret_is_a_variable_of_a_pod_and_the_server_finds_all_of_them(
    tmp_path: Path, made: Recording
) -> None:
    (deployment,) = objects(made, "kubernetes:apps/v1:Deployment").values()
    server = container(deployment)
    assert "env" not in server
    assert [list(source) for source in server["envFrom"]] == [["configMapRef"]]
    *start, entry_point = server["command"]
    assert entry_point == "/storage/entrypoint.sh"
    files = {
        "DATABASE_URI": "postgresql://a:b%20c@db:5432/a?sslmode=verify-full\n",
        "LANGGRAPH_CLOUD_LICENSE_KEY": 'it\'s "$HOME" `id` \\n',
        "SEVERAL": "one\ntwo",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    shown = tmp_path.parent / "entry_point"
    shown.write_text("#!/bin/sh\nenv -0\n")
    shown.chmod(0o755)
    done = subprocess.run(
        [*start, str(shown)],
        env={"PATH": os.environ["PATH"], "SECRETS_DIR": str(tmp_path)},
        capture_output=True,
    )
    found = dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line)
    assert {name: found.get(name) for name in files} == {n: c.rstrip("\n") for n, c in files.items()}
    assert found["POSTGRES_URI"] == found["DATABASE_URI"]


def test_a_secret_that_cannot_be_read_keeps_the_server_from_starting(tmp_path: Path) -> None:
    (tmp_path / "GONE").symlink_to(tmp_path / "nowhere")
    done = subprocess.run(
        command("/bin/true"), env={"PATH": os.environ["PATH"], "SECRETS_DIR": str(tmp_path)}
    )
    assert done.returncode


def test_login_and_database_are_made_for_it_and_its_tables_are_its_own(made: Recording) -> None:
    (job,) = objects(made, "kubernetes:batch/v1:Job").values()
    migrate = container(job)
    assert migrate["command"][-2:] == ["migrate", "--database-only"]
    support = next(g for urn, g in own(made, "support").items() if "kubernetes:batch/v1:Job::" in urn)
    assert migrate["image"] == container(support)["image"]
    assert not objects(made, "kubernetes:batch/v1:CronJob")


def test_with_workers_the_one_answers_and_the_other_executes(split: Recording) -> None:
    deployments = objects(split, "kubernetes:apps/v1:Deployment")
    data = {name: given["data"] for name, given in objects(split, "kubernetes:core/v1:ConfigMap").items()}
    assert data["research"]["N_JOBS_PER_WORKER"] == "0"
    assert "N_JOBS_PER_WORKER" not in data["research-worker"]
    assert data["research-worker"]["LANGGRAPH_POSTGRES_POOL_MAX_SIZE"] == "4"
    worker = container(deployments["research-worker"])
    assert worker["command"][-1] == "/storage/queue_entrypoint.sh"
    assert worker["readinessProbe"]["httpGet"]["path"] == "/ok?check_db=1"


def test_production_with_it_keeps_every_rule() -> None:
    settings = settings_of("prod")
    two = {"replicas": {"min": 2, "max": 3}}
    host = f"planner.{settings['ingress']['hostedZone']}"
    settings["agents"].append(
        {**SERVER, **two, "name": "planner", "workers": two, "host": host, "pool": {"maxSize": 5}}
    )
    settings["cluster"]["nodeGroups"][0]["maxSize"] += 3
    assert check(MadePlan(tuple(record_with("prod", settings).resources.values()))) == []


def test_others_of_the_stack_stay_as_they_are(made: Recording, dev: Recording) -> None:
    assert own(made, "support") == own(dev, "support")


def test_a_project_in_javascript_is_built_from_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_image, "CONTEXTS", tmp_path / "contexts")
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "agent.ts").write_text("")
    (tmp_path / "langgraph.json").write_text(
        json.dumps({"node_version": "20", "dependencies": ["."], "graphs": {"a": "./agent.ts:graph"}})
    )
    agent = {name: value for name, value in SERVER.items() if name != "image"}
    made = record_with("dev", with_agents({**agent, "source": str(tmp_path)}))
    (build,) = [
        found for found in made.of_type("docker-build:index:Image") if found.name.startswith("research")
    ]
    dockerfile = Path(build.inputs["dockerfile"]["location"])
    assert dockerfile.read_text().startswith("FROM langchain/langgraphjs-api:20\n")
    assert Path(build.inputs["context"]["location"]) == dockerfile.parent / "project"


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"image": None}, "runtime", "name the project's folder as source"),
        ({"secrets": []}, "secrets", "add {name: LANGGRAPH_CLOUD_LICENSE_KEY}"),
        ({"env": {}}, "env", "set LANGGRAPH_AUTH_TYPE to langsmith"),
        ({"checkpointer": "valkey"}, "checkpointer", "keeps threads in PostgreSQL"),
        ({"checkpointHistory": "keep_latest"}, "checkpointHistory", "checkpointer.ttl"),
        ({"autoscaling": {"queue": 10}}, "autoscaling.queue", "CPU and memory scale it"),
        ({"workers": {"autoscaling": {"queue": 10}}}, "workers.autoscaling.queue", "CPU and memory scale it"),
        (
            {"env": {"LANGGRAPH_AUTH_TYPE": "noop", "REDIS_KEY_PREFIX": "x"}},
            "env.REDIS_KEY_PREFIX",
            "the stack sets",
        ),
    ],
)
def test_what_does_not_go_with_it_is_refused_with_what_to_do(
    change: dict[str, Any], field: str, words: str
) -> None:
    agent = {name: value for name, value in {**SERVER, **change}.items() if value is not None}
    assert words in problems(with_agents(agent))[f"agents[1].{field}"]


def test_pgbouncer_is_not_put_before_it() -> None:
    settings = with_agents(SERVER)
    settings["database"]["pooler"] = "pgbouncer"
    assert "is between research and PostgreSQL" in problems(settings)["database.pooler"]


def test_a_source_that_lets_everybody_in_has_to_say_so(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text("graph = None")
    (tmp_path / "pyproject.toml").write_text("")
    config = {"dependencies": ["."], "graphs": {"a": "./agent.py:graph"}, "env": ".env"}
    (tmp_path / ".env").write_text("SHOP_TOKEN=1")
    (tmp_path / "langgraph.json").write_text(json.dumps(config))
    agent = {"name": "research", "runtime": "langgraph-server", "source": str(tmp_path), "secrets": [LICENCE]}
    with pytest.raises(SettingsError) as raised:
        load(with_agents(agent), stack="dev")
    found = [problem.remedy for problem in raised.value.problems if problem.field == "agents[1].source"]
    assert len(found) == 2
    assert "sets SHOP_TOKEN, and it never enters an image: declare what is secret" in found[0]
    assert "its langgraph.json has no auth" in found[1]
