"""What may happen to agents in operation, done to real pods: their callers notice nothing, or are told.

The tests share one sandbox of the development stack, and leave it as they found it.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient

from sandbox.cluster import agents
from sandbox.cluster.agents import Agent, Reached
from sandbox.cluster.api import Api
from sandbox.cluster.controlplane import running_endpoint
from sandbox.common import addresses, processes
from sandbox.rehearsal.load import Load, Observed
from tests.e2e.harness import ROOT, Sandbox, needs_a_real_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

NAMESPACE = "langgraph-agents"
BAD_IMAGE = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/nowhere@sha256:{'0' * 64}"
SECRETS = "/var/run/secrets/langgraph-agents"

# Makes a thread look idle for longer than the retention, and prints how many checkpoints it has. Its age is that of its
# newest checkpoint, whose id (a UUID of version 6) holds the time.
_AGE = """
import pathlib, psycopg, sys, uuid
uri, thread = pathlib.Path(sys.argv[1]).read_text(), sys.argv[2]
TICKS = 31 * 86_400 * 10**7

def aged(told):
    given = uuid.UUID(told).int
    time = ((given >> 80) << 12 | (given >> 64) & 0xFFF) - TICKS
    return str(uuid.UUID(int=(time >> 12) << 80 | 6 << 76 | (time & 0xFFF) << 64 | given & (1 << 64) - 1))

with psycopg.connect(uri) as connection:
    ids = connection.execute("SELECT checkpoint_id FROM checkpoints WHERE thread_id = %s", (thread,)).fetchall()
    for (old,) in ids:
        for table in ("checkpoints", "checkpoint_writes"):
            update = f"UPDATE {table} SET checkpoint_id = %s WHERE thread_id = %s AND checkpoint_id = %s"
            connection.execute(update, (aged(old), thread, old))
    print(len(ids))
"""


@pytest.fixture(scope="module")
def real(product: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The development stack on a real node."""
    folder = tmp_path_factory.mktemp("pods")
    needs_a_real_node(folder)
    sandbox = Sandbox(product.project, folder / ".sandbox", nodes="real")
    try:
        sandbox.up()
        yield sandbox
    finally:
        sandbox.run("down")


@contextmanager
def cluster(real: Sandbox) -> Iterator[Api]:
    endpoint = running_endpoint(real.state)
    assert endpoint is not None
    with Api(endpoint) as api:
        yield api


@pytest.fixture
def agent(real: Sandbox) -> Agent:
    with cluster(real) as api:
        (agent,) = agents.find(api)
    return agent


@pytest.fixture
def ingress(real: Sandbox, agent: Agent) -> Reached:
    """The agent as its callers reach it: by TLS, through Traefik."""
    address = addresses.ensure(real.state.machine / "addresses.json").ingress
    return agent.through_ingress(str(address), real.state.machine / "ingress-authority" / "ca.crt")


def until(condition: Callable[[], Any], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not after {seconds:.0f} s: {what}"
        time.sleep(0.5)


def ready(real: Sandbox, count: int) -> bool:
    return real.ready_servers() == len(real.servers()) == count


def inside(real: Sandbox, script: str, *arguments: str) -> str:
    """What a Python script prints that runs in the agent's container."""
    (pod,) = real.servers()
    return real.kubectl(
        "exec",
        "-n",
        NAMESPACE,
        pod["metadata"]["name"],
        "-c",
        "agent",
        "--",
        "python",
        "-c",
        script,
        *arguments,
    ).stdout


def unharmed(observed: Observed) -> None:
    assert observed.failures == []
    assert observed.lost == []
    assert observed.runs >= 1


def asked(real: Sandbox, arguments: list[str], text: str) -> None:
    command = [sys.executable, "-m", "sandbox", *arguments, "--state", str(real.root), "--stack", real.stack]
    subprocess.run(command, cwd=ROOT, input=text, text=True, check=True, capture_output=True)


async def test_the_official_client_talks_to_the_agent_through_the_ingress(ingress: Reached) -> None:
    async with ingress.client() as http:
        client = LangGraphClient(http)
        thread = await client.threads.create()
        question: dict[str, Any] = {"messages": [{"role": "user", "content": "What is 6 * 7?"}]}
        parts = [
            part
            async for part in client.runs.stream(
                thread["thread_id"], "agent", input=question, stream_mode=["messages-tuple", "values"]
            )
        ]
        last: Any = [part.data for part in parts if part.event == "values"][-1]
        assert "42" in last["messages"][-1]["content"]
        history = await client.threads.get_history(thread["thread_id"])
        assert len(history) > 2


def test_the_rate_limit_of_the_ingress_is_in_force(real: Sandbox, ingress: Reached) -> None:
    async def burst() -> set[int]:
        async with ingress.client() as client:
            answers = await asyncio.gather(*(client.get("/health") for _ in range(20)))
        return {answer.status_code for answer in answers}

    (middleware,) = real.objects("middleware")
    patch = ["patch", "middleware", "-n", NAMESPACE, middleware["metadata"]["name"], "--type=merge", "-p"]
    kept = middleware["spec"]["rateLimit"]
    # Its own numbers are more than a test can ask.
    real.kubectl(*patch, json.dumps({"spec": {"rateLimit": {"average": 1, "burst": 3}}}))
    until(lambda: asyncio.run(burst()) == {httpx.codes.OK, httpx.codes.TOO_MANY_REQUESTS}, 30, "429")
    real.kubectl(*patch, json.dumps({"spec": {"rateLimit": kept}}))
    until(lambda: asyncio.run(burst()) == {httpx.codes.OK}, 30, "all are served again")


def test_the_image_has_a_bill_of_materials_with_every_package_in_it(real: Sandbox) -> None:
    sbom = json.loads(inside(real, "print(open('/usr/local/share/sbom/langgraph-agent.cdx.json').read())"))
    assert sbom["bomFormat"] == "CycloneDX"
    named = {f"{component['name']}=={component['version']}" for component in sbom["components"]}
    installed = inside(
        real,
        "import importlib.metadata as m; [print(d.name, d.version, sep='==') for d in m.distributions()]",
    ).split()
    assert "langgraph" in {package.partition("==")[0] for package in installed}
    assert named == set(installed)


def test_a_rolling_update_under_load_fails_no_request(real: Sandbox, ingress: Reached) -> None:
    before = {pod["metadata"]["name"] for pod in real.servers()}
    real.edit(lambda settings: settings["agents"][0].update(maxIterations=40))
    with Load([ingress]) as load:
        time.sleep(3)
        real.up()
        time.sleep(3)
    assert before.isdisjoint(pod["metadata"]["name"] for pod in real.servers())
    unharmed(load.observed[0])


async def test_a_renamed_agent_has_its_threads_and_no_caller_notices(real: Sandbox, ingress: Reached) -> None:
    async with ingress.client() as http:
        client = LangGraphClient(http)
        thread = (await client.threads.create())["thread_id"]
        question: dict[str, Any] = {"messages": [{"role": "user", "content": "What is 6 * 7?"}]}
        await client.runs.wait(thread, "agent", input=question)
        known = (await client.threads.get_state(thread))["values"]
    real.edit(lambda settings: settings["agents"][0].update(name="helpdesk", renamedFrom="support"))
    with Load([ingress]) as load:
        await asyncio.sleep(3)
        real.up()
        await asyncio.sleep(3)
    unharmed(load.observed[0])
    assert all(pod["metadata"]["name"].startswith("helpdesk-") for pod in real.servers())
    async with ingress.client() as http:
        assert (await LangGraphClient(http).threads.get_state(thread))["values"] == known

    def back(settings: dict[str, Any]) -> None:
        settings["agents"][0]["name"] = settings["agents"][0].pop("renamedFrom")

    real.edit(back)
    real.up()
    async with ingress.client() as http:
        assert (await LangGraphClient(http).threads.get_state(thread))["values"] == known


def test_a_changed_source_file_rolls_the_pods_to_a_new_digest(real: Sandbox, ingress: Reached) -> None:
    def images() -> set[str]:
        return {pod["spec"]["containers"][0]["image"] for pod in real.servers()}

    before = images()
    source = real.project / "service" / "langgraph_agents_service" / "reference" / "agent.py"
    source.write_text(source.read_text() + "\n# changed\n")
    with Load([ingress]) as load:
        real.up()
    assert images().isdisjoint(before)
    unharmed(load.observed[0])


async def test_a_run_whose_pod_is_killed_goes_on_from_its_checkpoint_in_another(
    real: Sandbox, ingress: Reached
) -> None:
    def kill() -> None:
        (pod,) = real.servers()
        real.kubectl("delete", "pod", "-n", NAMESPACE, pod["metadata"]["name"], "--force", "--grace-period=0")

    def load() -> Observed:
        with Load([ingress], rate=0.2, run_every=60) as under_load:
            time.sleep(4)
            kill()
            until(lambda: ready(real, 1), 60, "another pod is ready")
        return under_load.observed[0]

    observed = await asyncio.to_thread(load)
    assert observed.lost == []
    assert (observed.runs, observed.resumed) == (1, 1)


def test_postgresql_restarted_under_load_loses_no_run_and_restarts_no_pod(
    real: Sandbox, ingress: Reached
) -> None:
    def restarts() -> list[tuple[str, int]]:
        return [
            (pod["metadata"]["name"], pod["status"]["containerStatuses"][0]["restartCount"])
            for pod in real.servers()
        ]

    before = restarts()
    with Load([ingress]) as load:
        time.sleep(3)
        server = [name for name in processes.running(real.state.id) if name.startswith("postgresql-")]
        group = processes.running(real.state.id)[server[0]]
        os.kill(min(process.pid for process in group), signal.SIGINT)
        time.sleep(3)
        assert "No changes" in real.up().out
        until(lambda: ready(real, 1), 60, "the agent is ready again")
        time.sleep(3)
    assert restarts() == before
    assert load.observed[0].lost == []
    assert load.observed[0].runs > 1


def test_a_rotated_api_key_is_accepted_while_the_old_one_still_is(
    real: Sandbox, agent: Agent, ingress: Reached
) -> None:
    new = Reached(ingress.url, "another-key-of-thirty-two-characters", ingress.host, ingress.authority)

    def accepted(key: Reached) -> bool:
        async def ask() -> int:
            async with key.client() as client:
                return (await client.get("/assistants/agent")).status_code

        return asyncio.run(ask()) != httpx.codes.UNAUTHORIZED

    assert accepted(ingress)
    assert not accepted(new)
    entry = "langgraph-agents/dev/support/API_KEYS"
    with Load([ingress]) as load:
        asked(real, ["put-secret-value", "--secret-id", entry], f"{new.key},{ingress.key}")
        until(lambda: accepted(new), 60, "the new key is accepted")
    unharmed(load.observed[0])
    asked(real, ["put-secret-value", "--secret-id", entry], ingress.key)
    until(lambda: not accepted(new), 60, "the new key is taken back")


def test_a_rotated_database_password_fails_no_request(real: Sandbox, ingress: Reached) -> None:
    password = "another-password"
    change = f"""
import pathlib, psycopg
uri = pathlib.Path("{SECRETS}/DATABASE_URI").read_text()
with psycopg.connect(uri) as connection:
    connection.execute("ALTER ROLE CURRENT_USER PASSWORD '{password}'")
    # Connections that are open live on; new ones have to know.
    print(uri.replace(connection.info.password, "{password}"))
"""
    with Load([ingress]) as load:
        time.sleep(2)
        uri = inside(real, change).strip()
        asked(real, ["put-secret-value", "--secret-id", "langgraph-agents/dev/support/database"], uri)
        read = f"import pathlib; print(pathlib.Path('{SECRETS}/DATABASE_URI').read_text())"
        until(lambda: password in inside(real, read), 60, "the pod has the new password")
        time.sleep(5)
    unharmed(load.observed[0])


def test_the_hpa_scales_out_and_in(real: Sandbox) -> None:
    quick = {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}}
    real.kubectl("patch", "hpa", "-n", NAMESPACE, "support", "--type=merge", "-p", json.dumps(quick))
    (pod,) = real.servers()
    busy = "import time; end = time.time() + 100\nwhile time.time() < end: pass"
    name = pod["metadata"]["name"]
    command = ["exec", "-n", NAMESPACE, name, "-c", "agent", "--", "python", "-c", busy]
    with subprocess.Popen([*real.kubectl_command(), *command]) as working:
        until(lambda: len(real.servers()) > 1, 100, "a second pod")
        working.kill()
    until(lambda: ready(real, 1), 420, "one pod again")


def test_an_image_that_is_not_there_leaves_the_old_version_serving(real: Sandbox, ingress: Reached) -> None:
    before = [pod["metadata"]["name"] for pod in real.servers()]
    real.edit(lambda settings: settings["agents"][0].update(image=BAD_IMAGE))
    try:
        with Load([ingress]) as load:
            failed = real.run("up")
        unharmed(load.observed[0])
        assert failed.code == 1
        assert "support-migration" in failed.out
        assert "ImagePull" in failed.out
        assert before == [pod["metadata"]["name"] for pod in real.servers()]
    finally:
        real.edit(lambda settings: settings["agents"][0].pop("image"))
        real.up()


def pod_manifest(real: Sandbox, name: str, script: str) -> str:
    """A pod beside the agent's, of its image and under its restrictions."""
    (pod,) = real.servers()
    container = pod["spec"]["containers"][0]
    limits = {"cpu": "200m", "memory": "64Mi"}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "automountServiceAccountToken": False,
                "securityContext": pod["spec"]["securityContext"],
                "containers": [
                    {
                        "name": "agent",
                        "image": container["image"],
                        "command": ["python", "-c", script],
                        "securityContext": container["securityContext"],
                        "resources": {"requests": limits, "limits": limits},
                    }
                ],
            },
        }
    )


@pytest.mark.parametrize(
    ("script", "reason"), [("bytearray(512 << 20)", "OOMKilled"), ("raise SystemExit(3)", "Error")]
)
def test_what_ends_again_and_again_is_seen_where_alerts_look(
    real: Sandbox, tmp_path: Path, script: str, reason: str
) -> None:
    """kube-state-metrics reads these very fields (`kube_pod_container_status_{last_terminated,waiting}_reason`)."""
    name = reason.lower()
    file = tmp_path / "pod.json"
    file.write_text(pod_manifest(real, name, script))
    real.kubectl("apply", "-f", str(file))

    def container() -> dict[str, Any]:
        (pod,) = [each for each in real.objects("pod") if each["metadata"]["name"] == name]
        found: dict[str, Any] = (pod["status"].get("containerStatuses") or [{}])[0]
        return found

    try:
        until(
            lambda: (container().get("state", {}).get("waiting") or {}).get("reason") == "CrashLoopBackOff",
            60,
            "a crash loop",
        )
        assert container()["lastState"]["terminated"]["reason"] == reason
        assert container()["restartCount"] >= 1
    finally:
        real.kubectl("delete", "pod", "-n", NAMESPACE, name, "--grace-period=0", "--force")


async def test_the_retention_cronjob_removes_idle_threads_and_no_others(
    real: Sandbox, ingress: Reached
) -> None:
    async with ingress.client() as http:
        client = LangGraphClient(http)
        idle, busy = [(await client.threads.create())["thread_id"] for _ in range(2)]
        for thread in (idle, busy):
            question: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}
            await client.runs.wait(thread, "agent", input=question)
        assert int(inside(real, _AGE, f"{SECRETS}/DATABASE_URI", idle)) > 0
        (cronjob,) = real.objects("cronjob")
        name = cronjob["metadata"]["name"]
        real.kubectl("create", "job", "-n", NAMESPACE, "--from", f"cronjob/{name}", "prune-now")
        real.kubectl("wait", "-n", NAMESPACE, "--for=condition=Complete", "--timeout=120s", "job/prune-now")
        with pytest.raises(httpx.HTTPStatusError, match="there is no such thread"):
            await client.threads.get(idle)
        assert (await client.threads.get(busy))["thread_id"] == busy
        assert int(inside(real, _AGE, f"{SECRETS}/DATABASE_URI", idle)) == 0
