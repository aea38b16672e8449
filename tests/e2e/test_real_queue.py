"""An agent whose workers go to zero and come back with its queue, behind PgBouncer: on real pods, by the real KEDA.

The tests share one sandbox, and follow one another as a day does: nothing to do, a first request, a burst, its end.
"""

import asyncio
import base64
import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from components.pooling import pgbouncer
from components.workload.network_policies import POOLER_PORT
from sandbox.cluster import agents
from sandbox.cluster.api import Api
from sandbox.cluster.controlplane import running_endpoint
from sandbox.common import processes
from stacks.connections import POOLERS
from tests.conftest import record_with
from tests.e2e.harness import Sandbox, needs_a_real_node
from tests.e2e.test_pooled_agents import AGENTS, CLASS, load, make_databases, shared_without_an_error
from tests.stacks.test_pooler import many

# For the night: to build KEDA takes seven minutes, and its day another seven.
pytestmark = [pytest.mark.e2e, pytest.mark.nightly, pytest.mark.timeout(1800)]

NAMESPACE = "langgraph-agents"
WORKER = "support-worker"
MOST = 3
"""Workers."""
LONG, SHORT = 40, 30
"""Runs of the burst: those that keep the queue long until there are more workers, and those that come then."""
SMALL = {"requests": {"cpu": "100m", "memory": "256Mi"}}
ROOMY = {"requests": {"cpu": "250m", "memory": "512Mi"}}
"""So that the queue alone decides, and neither processors nor memory keep a worker."""


def asks(settings: dict[str, Any]) -> None:
    settings["database"]["pooler"] = "pgbouncer"
    settings["agents"][0].update(
        # Steps of a run that counts for a minute.
        maxIterations=100,
        resources=SMALL,
        workers={"replicas": {"min": 0, "max": MOST}, "autoscaling": {"queue": 5}, "resources": ROOMY},
    )


@pytest.fixture(scope="module")
def real(product: Sandbox) -> Iterator[Sandbox]:
    """The development stack, with workers that its queue decides on."""
    needs_a_real_node(product.root)
    sandbox = Sandbox(product.project, product.root, nodes="real")
    sandbox.edit(asks)
    try:
        with pytest.MonkeyPatch.context() as environment:
            # Nothing that is awaited may need what comes after it: servers PgBouncer, and it its certificate.
            environment.setenv("PULUMI_PARALLEL", "1")
            sandbox.up()
        yield sandbox
    finally:
        sandbox.run("down")


@contextmanager
def support(real: Sandbox, timeout: float = 300) -> Iterator[httpx.Client]:
    """A client of the agent's, through its Service."""
    endpoint = running_endpoint(real.state)
    assert endpoint is not None
    with Api(endpoint) as api:
        (agent,) = agents.find(api)
    way = agent.reached()
    with httpx.Client(
        base_url=way.url, headers={"X-API-Key": way.key}, timeout=timeout, trust_env=False
    ) as client:
        yield client


def until(condition: Callable[[], Any], seconds: float, what: str) -> float:
    """Wait for it, and tell how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not after {seconds:.0f} s: {what}"
        time.sleep(0.5)
    return time.monotonic() - began


def pods(real: Sandbox, component: str) -> list[str]:
    """Those of the agent that are ready."""
    found = real.objects("pod", "-l", f"app.kubernetes.io/component={component}")
    return [
        pod["metadata"]["name"]
        for pod in found
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in pod["status"].get("conditions", ())
        )
    ]


def replicas(real: Sandbox) -> int:
    """How many workers there shall be."""
    (deployment,) = [each for each in real.objects("deployment") if each["metadata"]["name"] == WORKER]
    return int(deployment["spec"]["replicas"])


def executed(real: Sandbox) -> Counter[str]:
    """Runs that ended well, by the pod that executed them."""
    counted: Counter[str] = Counter()
    for pod in (*pods(real, "server"), *pods(real, "worker")):
        logs = real.kubectl("logs", "-n", NAMESPACE, pod, "-c", "agent").stdout
        lines = [line for line in logs.splitlines() if "run ended" in line]
        assert all('"status": "success"' in line for line in lines), lines
        counted[pod] = len(lines)
    return counted


def question(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def submit(client: httpx.Client, count: int, text: str) -> list[tuple[str, str]]:
    """Runs that nobody waits for: their threads, and themselves."""
    body = {"assistant_id": "agent", "input": question(text), "on_completion": "keep"}
    answer = client.post("/runs/batch", json=[body] * count)
    answer.raise_for_status()
    return [(run["thread_id"], run["run_id"]) for run in answer.json()]


def ended(client: httpx.Client, runs: list[tuple[str, str]], seconds: float) -> Counter[str]:
    """Wait until all have ended, and tell how."""
    counted: Counter[str] = Counter()
    deadline = time.monotonic() + seconds
    for thread, run in runs:
        # One by one, within what a key may ask in a minute.
        while (status := status_of(client, thread, run)) in ("pending", "running"):
            assert time.monotonic() < deadline, f"run {run} is {status} after {seconds:.0f} s"
            time.sleep(1)
        counted[status] += 1
    return counted


def status_of(client: httpx.Client, thread: str, run: str) -> str:
    answer = client.get(f"/threads/{thread}/runs/{run}")
    answer.raise_for_status()
    return str(answer.json()["status"])


def test_the_real_keda_runs_with_rights_of_its_own_and_reads_no_secret(real: Sandbox) -> None:
    assert {"keda-operator", "keda-metrics-apiserver", "keda-admission-webhooks"} <= set(
        processes.running(real.state.id)
    )
    own = ["--kubeconfig", str(real.state.machine / "keda" / "kubeconfig"), "-n", NAMESPACE]

    def may(*what: str) -> bool:
        return real.kubectl("auth", "can-i", *what, *own, check=False).stdout.strip() == "yes"

    assert may("update", "deployments.apps", "--subresource=scale")
    assert not may("update", "deployments.apps")
    assert not may("get", "secrets")


def test_its_webhook_refuses_a_second_scaler_of_a_deployment(real: Sandbox) -> None:
    (scaled,) = real.objects("scaledobject")
    second = {
        **{key: scaled[key] for key in ("apiVersion", "kind", "spec")},
        "metadata": {"name": "second", "namespace": NAMESPACE},
    }
    file = real.root / "second.json"
    file.write_text(json.dumps(second))
    done = real.kubectl("apply", "--dry-run=server", "-f", str(file), check=False)
    assert done.returncode
    assert "is already managed by" in done.stderr


def test_an_idle_agent_has_no_worker(real: Sandbox) -> None:
    until(lambda: replicas(real) == 0 and not pods(real, "worker"), 120, "no worker")
    assert len(pods(real, "server")) == 1


def test_the_first_request_starts_the_first_worker_and_is_answered_by_it(real: Sandbox) -> None:
    with support(real) as client:
        began = time.monotonic()
        answer = client.post("/invoke", json={"input": question("What is 6 * 7?")})
        print(f"answered after {time.monotonic() - began:.1f} s")
    assert answer.status_code == httpx.codes.OK, answer.text
    assert "42" in answer.text
    (worker,) = pods(real, "worker")
    counted = executed(real)
    assert counted[worker] == 1
    assert counted.total() == 1


def test_a_burst_has_more_workers_and_every_run_is_answered(real: Sandbox) -> None:
    with support(real) as client:
        began = time.monotonic()
        runs = submit(client, LONG, "count to 45")
        until(lambda: len(pods(real, "worker")) == MOST, 240, f"{MOST} workers are ready")
        print(f"{MOST} workers after {time.monotonic() - began:.0f} s")
        runs += submit(client, SHORT, "count to 3")
        assert ended(client, runs, 300) == {"success": LONG + SHORT}
        print(f"all {len(runs)} runs have ended after {time.monotonic() - began:.0f} s")
    counted = executed(real)
    assert len(counted) == 1 + MOST
    assert not any(counted[pod] for pod in pods(real, "server"))
    assert all(counted[pod] for pod in pods(real, "worker"))
    assert counted.total() == 1 + LONG + SHORT


def test_a_short_queue_has_fewer_workers_an_empty_one_has_none_and_a_request_has_one_again(
    real: Sandbox,
) -> None:
    # The stack's own waits are five minutes each, and a minute from pod to pod.
    soon = {
        "spec": {
            "cooldownPeriod": 20,
            "advanced": {
                "horizontalPodAutoscalerConfig": {
                    "behavior": {
                        "scaleDown": {
                            "stabilizationWindowSeconds": 15,
                            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}],
                        }
                    }
                }
            },
        }
    }
    seen = [replicas(real)]

    def fell_to(count: int) -> bool:
        seen.append(replicas(real))
        return seen[-1] == count

    with support(real) as client:
        last = submit(client, 1, "count to 45")
        real.kubectl("patch", "scaledobject", "-n", NAMESPACE, WORKER, "--type=merge", "-p", json.dumps(soon))
        print(f"one worker after {until(lambda: fell_to(1), 180, 'one worker'):.0f} s")
        assert seen == sorted(seen, reverse=True)
        assert set(seen) == {3, 2, 1}
        # Whichever pods went: the one that executes a run stays until that has ended.
        assert ended(client, last, 180) == {"success": 1}
        print(f"none {until(lambda: fell_to(0), 120, 'no worker'):.0f} s after the last run")
        until(lambda: not pods(real, "worker"), 60, "no worker is left")
        answer = client.post("/invoke", json={"input": question("What is 6 * 8?")})
    assert "48" in answer.text


def poolers(real: Sandbox) -> list[dict[str, Any]]:
    """PgBouncer's pods that stay, the oldest first."""
    labels = ",".join(f"{key}={value}" for key, value in pgbouncer.POD_LABELS.items())
    found = real.objects("pod", "-l", labels, "--sort-by=.metadata.creationTimestamp")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


# Prints by which addresses sessions of the agent's login came to PostgreSQL, and the agent's own connection's version.
_SESSIONS = """
import pathlib, psycopg, sys
with psycopg.connect(pathlib.Path(sys.argv[1]).read_text()) as connection:
    query = "SELECT DISTINCT host(client_addr) FROM pg_stat_activity WHERE usename = current_user"
    print(*(row[0] for row in connection.execute(query)))
"""


def test_every_session_of_the_agent_at_postgresql_is_pgbouncers(real: Sandbox) -> None:
    (server,) = pods(real, "server")
    secrets = "/var/run/secrets/langgraph-agents"
    command = ["exec", "-n", NAMESPACE, server, "-c", "agent", "--", "python", "-c", _SESSIONS]
    sessions = set(real.kubectl(*command, f"{secrets}/DATABASE_URI").stdout.split())
    addresses = {pod["status"]["podIP"] for pod in poolers(real)}
    assert len(addresses) == POOLERS
    assert sessions
    assert sessions <= addresses
    # And by TLS, to a server that is known.
    uri = real.kubectl("exec", "-n", NAMESPACE, server, "-c", "agent", "--", "cat", f"{secrets}/DATABASE_URI")
    assert re.search(r"@pgbouncer\.\S+sslmode=verify-full", uri.stdout)


@contextmanager
def administrator(real: Sandbox) -> Iterator[str]:
    """The URI of PostgreSQL's own superuser, whom nobody but this machine is."""
    (folder,) = (real.state.machine / "stores").glob("postgresql-*/data")
    # The path of a socket has about a hundred characters at most.
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        link = Path(short) / "s"
        link.symlink_to(folder)
        yield f"postgresql://rdsadmin@/postgres?host={link}&port=5432"


def give(real: Sandbox, kind: str, name: str, patch: dict[str, Any]) -> None:
    file = real.root / "patch.json"
    file.write_text(json.dumps(patch))
    real.kubectl("patch", kind, "-n", NAMESPACE, name, "--patch-file", str(file))


def rolled(real: Sandbox) -> None:
    real.kubectl("rollout", "status", "-n", NAMESPACE, f"deployment/{pgbouncer.NAME}", "--timeout=240s")


def test_a_hundred_agents_share_the_connections_by_the_pods_of_pgbouncer(
    real: Sandbox, tmp_path: Path
) -> None:
    """A hundred agents' pods are more than one machine carries. PgBouncer's pods get the files that they would have for
    them, and this machine opens the connections, as the agents' processes do."""
    recording = record_with("dev", many(AGENTS, instanceClass=CLASS, pooler="pgbouncer"))
    theirs = recording.named("pgbouncer-config").inputs["data"]["pgbouncer.ini"]
    (config,) = [each for each in real.objects("configmap") if each["metadata"]["name"] == pgbouncer.NAME]
    here = re.search(r"host=(\S+)", config["data"]["pgbouncer.ini"])
    assert here
    files = {"pgbouncer.ini": re.sub(r"host=\S+", here[0], theirs)}
    logins = recording.named("pooler-logins-version").inputs["secretString"].value
    give(real, "configmap", pgbouncer.NAME, {"data": files})
    give(real, "secret", pgbouncer.NAME, {"stringData": {pgbouncer.LOGINS: logins}})
    (recorded,) = [
        each
        for each in recording.of_type("kubernetes:apps/v1:Deployment")
        if each.inputs["metadata"]["name"] == pgbouncer.NAME
    ]
    size = recorded.inputs["spec"]["template"]["spec"]["containers"][0]["resources"]
    template = {
        "metadata": {"annotations": {"checksum/config": "of a hundred agents"}},
        "spec": {"containers": [{"name": pgbouncer.NAME, "resources": size}]},
    }
    give(real, "deployment", pgbouncer.NAME, {"spec": {"template": template}})

    def replace(_: int) -> None:
        real.kubectl("delete", "pod", "-n", NAMESPACE, poolers(real)[0]["metadata"]["name"])
        rolled(real)

    (service,) = [each for each in real.objects("service") if each["metadata"]["name"] == pgbouncer.NAME]
    (trusted,) = [
        each for each in real.objects("secret") if each["metadata"]["name"] == pgbouncer.CERTIFICATE_SECRET
    ]
    authority = tmp_path / "ca.crt"
    authority.write_bytes(base64.b64decode(trusted["data"]["ca.crt"]))
    with administrator(real) as admin:
        uris = [
            f"{each.partition('@')[0]}@/{urlsplit(each).path.lstrip('/')}?host={pgbouncer.host(NAMESPACE)}"
            f"&hostaddr={service['spec']['clusterIP']}&port={POOLER_PORT}&sslmode=verify-full&sslrootcert={authority}"
            for each in make_databases(recording, admin)
        ]
        rolled(real)
        before = {pod["metadata"]["uid"] for pod in poolers(real)}
        seen = asyncio.run(load(uris, admin, replace))
    print(f"{seen.statements} statements on {seen.clients} connections over {seen.servers}")
    assert before.isdisjoint(pod["metadata"]["uid"] for pod in poolers(real))
    shared_without_an_error(seen)
