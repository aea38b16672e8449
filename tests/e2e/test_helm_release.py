"""A release of an agent's chart on a real node, beside the stack's own agent: installed, changed, rolled back, asked.

The tests stand in the order of a working day: each goes on from what the one before it left.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from manifests.chart.__main__ import main
from tests.e2e.harness import Sandbox, needs_a_real_node

pytestmark = [pytest.mark.e2e, pytest.mark.nightly, pytest.mark.timeout(2400)]

NAMESPACE = "langgraph-agents"
RELEASE = "helped"


class Helm:
    """Helm on a sandbox's cluster, with the chart of its agent."""

    def __init__(self, command: Path, real: Sandbox, chart: Path, values: Path) -> None:
        self._command = [str(command), "--kubeconfig", str(real.state.kubeconfig), "--namespace", NAMESPACE]
        self._chart, self._values = str(chart), str(values)

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, verb: str, *more: str) -> str:
        return self(verb, RELEASE, self._chart, "--values", self._values, "--timeout", "8m", *more)

    def revision(self) -> tuple[int, str]:
        """The number of what is deployed, and how it is."""
        last = json.loads(self("history", RELEASE, "--output", "json"))[-1]
        return last["revision"], last["status"]


@pytest.fixture(scope="module")
def real(product: Sandbox) -> Iterator[Sandbox]:
    """The development stack on a real node."""
    needs_a_real_node(product.root)
    sandbox = Sandbox(product.project, product.root, nodes="real")
    try:
        sandbox.up()
        yield sandbox
    finally:
        sandbox.run("down")


@pytest.fixture(scope="module")
def deployed(real: Sandbox, helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm, with values of a cluster that has a Secret and no AWS."""
    folder = tmp_path_factory.mktemp("charts")
    assert main(["--project", str(real.project), "--stack", "dev", "--out", str(folder)]) == 0
    deployment = json.loads(
        real.kubectl("-n", NAMESPACE, "get", "deployment", "support", "-o", "json").stdout
    )
    image, digest = deployment["spec"]["template"]["spec"]["containers"][0]["image"].split("@")
    values = {
        "image": {"repository": image, "digest": digest},
        # The sandbox keeps the files of a SecretProviderClass in a Secret of that name.
        "secrets": {
            "source": "existingSecret",
            "existingSecret": "support",
            "existingMigrationSecret": "support-migrate",
        },
        "database": {"certificates": {"create": False}},
        # The sandbox's own authority signs for the cache as well; pods of the stack are told so as they are made.
        "config": {"SSL_CERT_FILE": "/etc/langgraph-agents/rds-ca.pem"},
        "ingress": {"enabled": False},
        "autoscaling": {"enabled": False},
        "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}},
    }
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    return Helm(helm, real, folder / "support", folder / "values.yaml")


@pytest.fixture
def agent(real: Sandbox) -> Iterator[httpx.Client]:
    """A client of the release's agent, through its Service's address."""
    [service] = [each for each in real.objects("service") if each["metadata"]["name"] == RELEASE]
    key = real.kubectl(
        "-n", NAMESPACE, "get", "secret", "support", "-o", "go-template={{.data.API_KEYS | base64decode}}"
    ).stdout
    url = f"http://{service['spec']['clusterIP']}"
    with httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=60, trust_env=False) as client:
        yield client


def answers(agent: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while (checks := agent.get("/ready").json()["checks"]) != {"database": "ok", "cache": "ok"}:
        assert time.monotonic() < deadline, checks
        time.sleep(1)
    body = {"input": {"messages": [{"role": "user", "content": "What is 6*7?"}]}}
    assert "42" in agent.post("/invoke", json=body).json()["output"]["messages"][-1]["content"]


def iterations(real: Sandbox) -> list[str]:
    """What the settings of the release's pods say, as their processes have them."""
    command = ["-n", NAMESPACE, "exec", f"deployment/{RELEASE}", "--", "printenv", "MAX_ITERATIONS"]
    return real.kubectl(*command).stdout.split()


def objects(real: Sandbox) -> set[tuple[str, str]]:
    """Those of the release, of the kinds that it has."""
    kinds = "deployment,service,configmap,serviceaccount,networkpolicy,poddisruptionbudget,job,cronjob"
    found: list[dict[str, Any]] = real.objects(kinds, "-l", f"app.kubernetes.io/instance={RELEASE}")
    return {(each["kind"], each["metadata"]["name"]) for each in found}


def test_an_installed_release_migrates_and_answers(
    real: Sandbox, deployed: Helm, request: pytest.FixtureRequest
) -> None:
    notes = deployed.deploy("install", "--wait", "--wait-for-jobs")
    assert f"helm test {RELEASE} -n {NAMESPACE}" in notes
    assert deployed.revision() == (1, "deployed")
    answers(request.getfixturevalue("agent"))
    assert ("Deployment", RELEASE) in objects(real)


def test_its_own_test_asks_it_by_its_service(deployed: Helm) -> None:
    told = deployed("test", RELEASE, "--logs", "--timeout", "3m")
    assert "Phase:          Succeeded" in told
    assert "assistants: agent" in told


def test_an_upgrade_gives_its_pods_the_new_setting(
    real: Sandbox, deployed: Helm, agent: httpx.Client
) -> None:
    assert iterations(real) == ["25"]
    jobs = {name for kind, name in objects(real) if kind == "Job"}
    deployed.deploy("upgrade", "--wait", "--wait-for-jobs", "--set-string", "config.MAX_ITERATIONS=7")
    assert deployed.revision() == (2, "deployed")
    assert iterations(real) == ["7"]
    assert {name for kind, name in objects(real) if kind == "Job"} == jobs
    answers(agent)


def test_a_rollback_gives_them_the_one_before(real: Sandbox, deployed: Helm, agent: httpx.Client) -> None:
    deployed("rollback", RELEASE, "1", "--wait", "--timeout", "8m")
    assert deployed.revision() == (3, "deployed")
    assert iterations(real) == ["25"]
    answers(agent)


def test_the_api_server_takes_stores_of_its_own(deployed: Helm) -> None:
    stores = ["postgresql.enabled=true", "valkey.enabled=true"]
    told = deployed.deploy(
        "upgrade", "--dry-run=server", *(part for each in stores for part in ("--set", each))
    )
    assert f"name: {RELEASE}-postgresql" in told
    assert f"name: {RELEASE}-valkey" in told


def test_nothing_of_an_uninstalled_release_is_left_and_the_stacks_agent_stays(
    real: Sandbox, deployed: Helm
) -> None:
    deployed("uninstall", RELEASE, "--wait", "--timeout", "8m")
    assert objects(real) == set()
    assert real.ready_servers() == 1
