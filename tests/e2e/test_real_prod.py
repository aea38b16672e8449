"""Production's settings on a real node. One, since three do not fit a machine of two cores; zones are one, then."""

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.harness import Sandbox, needs_a_real_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

NAMESPACE = "langgraph-agents"


@pytest.fixture(scope="module")
def prod(product: Sandbox) -> Iterator[Sandbox]:
    """The production stack with one of its agents, whose pods ask for less than they would on AWS."""
    needs_a_real_node(product.root)
    sandbox = Sandbox(product.project, product.root, stack="prod", nodes="real")

    def fit(settings: dict[str, Any]) -> None:
        del settings["agents"][1:]
        settings["agents"][0]["resources"] = {"requests": {"cpu": "100m", "memory": "256Mi"}}

    sandbox.edit(fit)
    try:
        sandbox.up()
        # The Deployment leaves the number of its pods to the HPA, which sees to the lower bound within seconds.
        await_ready(sandbox, 3)
        yield sandbox
    finally:
        sandbox.run("down")


def await_ready(prod: Sandbox, count: int) -> None:
    deadline = time.monotonic() + 120
    while prod.ready_servers() < count:
        assert time.monotonic() < deadline, f"{prod.ready_servers()} of {count} pods are ready"
        time.sleep(1)


def evict(prod: Sandbox, pod: dict[str, Any]) -> str:
    """What the API server answers to the eviction of a pod, as a drain of its node asks for it."""
    name = pod["metadata"]["name"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": NAMESPACE},
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction"
    done = subprocess.run(
        [*prod.kubectl_command(), "create", "--raw", path, "-f", "-"],
        input=json.dumps(eviction),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_three_replicas_are_ready_side_by_side_under_the_spread(prod: Sandbox) -> None:
    assert prod.ready_servers() == 3
    (deployment,) = prod.objects("deployment")
    constraints = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert {each["whenUnsatisfiable"] for each in constraints} == {"DoNotSchedule", "ScheduleAnyway"}


def test_the_quota_counts_what_the_pods_ask_for(prod: Sandbox) -> None:
    (quota,) = prod.objects("resourcequota")
    used, hard = quota["status"]["used"], quota["status"]["hard"]
    assert used["requests.cpu"] == "300m"
    assert int(used["pods"]) == 3
    assert int(used["pods"]) <= int(hard["pods"])


def test_a_drain_takes_one_pod_at_a_time(prod: Sandbox) -> None:
    first, second, _ = prod.servers()
    assert "Success" in evict(prod, first)
    assert "disruption budget" in evict(prod, second)
    await_ready(prod, 3)


def test_a_pod_beyond_the_quota_is_refused(prod: Sandbox) -> None:
    (pod, *_) = prod.servers()
    spec = {key: pod["spec"][key] for key in ("securityContext", "containers")}
    greedy: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "greedy", "namespace": NAMESPACE},
        "spec": {**spec, "automountServiceAccountToken": False},
    }
    container = greedy["spec"]["containers"][0]
    container["resources"] = {
        "requests": {"cpu": "1000", "memory": "1Gi"},
        "limits": {"cpu": "1000", "memory": "1Gi"},
    }
    container.pop("volumeMounts", None)
    command = [*prod.kubectl_command(), "apply", "-f", "-"]
    done = subprocess.run(command, input=json.dumps(greedy), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "exceeded quota" in done.stderr
