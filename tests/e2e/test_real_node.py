"""The development stack on a real node: its agent answers, and nothing is left of it afterwards.

The tests stand in the order of a working day: each goes on from what the one before it left.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from sandbox.__main__ import default_cache
from sandbox.binaries import debian
from sandbox.common import processes
from tests.e2e.harness import ROOT, Done, Sandbox, needs_a_real_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]

NAMESPACE = "langgraph-agents"
_SYSCTLS = (
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "net/ipv4/ip_forward",
)


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def footprint() -> dict[str, Any]:
    """Everything of this machine that a node could leave something in."""
    groups = (str(path) for path in Path("/sys/fs/cgroup").rglob("lga-*"))
    return {
        "links": {line.split(":")[1].split("@")[0] for line in _lines("ip", "-o", "link")},
        "routes": set(_lines("ip", "route", "show", "table", "all")),
        "rules": _lines("nft", "list", "ruleset"),
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "groups": set(groups),
        "sysctls": {name: (Path("/proc/sys") / name).read_text() for name in _SYSCTLS},
        "folders": {str(path) for path in Path("/run").glob("lga-*")},
    }


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for a sandbox on a machine that can carry a real node."""
    folder = tmp_path_factory.mktemp("real")
    needs_a_real_node(folder)
    # The tests look by `ip` and `nft` as well.
    debian.use(debian.ensure(default_cache()))
    return folder


@pytest.fixture(scope="module")
def before(machine: Path) -> dict[str, Any]:
    return footprint()


@pytest.fixture(scope="module")
def real(product: Sandbox, machine: Path, before: dict[str, Any]) -> Iterator[Sandbox]:
    """A sandbox of the product with a real node."""
    sandbox = Sandbox(product.project, machine / ".sandbox", nodes="real")
    yield sandbox
    sandbox.run("down")


@pytest.fixture(scope="module")
def first(real: Sandbox) -> Done:
    return real.up()


@pytest.fixture
def agent(real: Sandbox, first: Done) -> Iterator[httpx.Client]:
    """A client of the agent, through its Service's address."""
    (service,) = [each for each in real.objects("service") if each["metadata"]["name"] == "support"]
    key = real.kubectl(
        "-n", NAMESPACE, "get", "secret", "support", "-o", "go-template={{.data.API_KEYS | base64decode}}"
    ).stdout
    url = f"http://{service['spec']['clusterIP']}"
    with httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=30, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_up_that_was_ended_in_its_midst_leaves_nothing_after_down(
    product: Sandbox, machine: Path, before: dict[str, Any], number: int
) -> None:
    sandbox = Sandbox(product.project, machine / f"ended-{number}", nodes="real")
    with subprocess.Popen(
        sandbox.command("up"), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as up:
        deadline = time.monotonic() + 1800
        # The engine is at work: a store or an image is under way, and the node has mounts and links.
        while not sandbox.state.updating.exists():
            assert up.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(5)
        up.send_signal(number)
        up.wait(120)
    assert sandbox.run("down").code == 0
    assert footprint() == before


def test_the_agent_answers_on_its_own_database_and_cache(agent: httpx.Client) -> None:
    assert agent.get("/ready").json()["checks"] == {"database": "ok", "cache": "ok"}
    body = {"input": {"messages": [{"role": "user", "content": "What is 6*7?"}]}}
    assert "42" in agent.post("/invoke", json=body).json()["output"]["messages"][-1]["content"]


def test_the_printed_line_answers_as_it_is(real: Sandbox, first: Done) -> None:
    # Told once more when add-ons had to be built.
    *_, asked = [line.strip() for line in first.out.splitlines() if line.startswith("  . ")]
    done = subprocess.run(["sh", "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "42" in json.loads(done.stdout)["output"]["messages"][-1]["content"]


def test_what_runs_is_what_was_unpacked_with_its_own_libraries(real: Sandbox, first: Done) -> None:
    unpacked = {_identity(path) for path in debian.find(default_cache()).root.rglob("*") if path.is_file()}
    found = processes.running(real.state.id)
    roles = [role for role in found if role.startswith(("postgresql-", "redis-", "namespaces"))]
    assert len(roles) == 3
    for process in (process for role in roles for process in found[role]):
        mapped = set((Path("/proc") / str(process.pid) / "map_files").iterdir())
        programs = {_identity(file) for file in mapped if _is_code(file)}
        assert programs
        assert programs <= unpacked, process


def test_the_pods_run_the_image_that_was_built_by_its_digest(real: Sandbox, first: Done) -> None:
    (deployment,) = real.objects("deployment")
    wanted = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    (pod,) = [each for each in real.objects("pod") if each["status"]["phase"] == "Running"]
    assert wanted.partition("@")[2] in pod["status"]["containerStatuses"][0]["imageID"]


def test_a_repeat_changes_nothing_and_keeps_the_pod(real: Sandbox, first: Done) -> None:
    before = {pod["metadata"]["uid"] for pod in real.objects("pod")}
    assert "No changes" in real.up().out
    assert {pod["metadata"]["uid"] for pod in real.objects("pod")} == before


def test_simulated_nodes_are_refused_while_real_ones_run(real: Sandbox, first: Done) -> None:
    refused = real.run("up", "--nodes", "simulated")
    assert refused.code == 2
    assert "runs on real nodes: `make down STACK=dev` first" in refused.out


def test_after_a_crash_of_everything_the_next_up_finds_the_data_again(
    real: Sandbox, agent: httpx.Client
) -> None:
    thread = agent.post("/threads", json={}).json()["thread_id"]
    for group in processes.running(real.state.id).values():
        for process in group:
            _kill(process)
    real.up()
    deadline = time.monotonic() + 120
    while (found := _status(agent, f"/threads/{thread}")) != httpx.codes.OK:
        assert time.monotonic() < deadline, found
        time.sleep(1)


def test_down_leaves_nothing(real: Sandbox, first: Done, before: dict[str, Any]) -> None:
    owner = real.state.id
    for process in processes.running(owner).get("kubelet", []):
        _kill(process)
    assert real.run("down").code == 0
    assert processes.running(owner) == {}
    assert footprint() == before


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _is_code(file: Path) -> bool:
    try:
        with file.open("rb") as content:
            return content.read(4) == b"\x7fELF"
    except OSError:
        # Memory that is shared, under the name of a file that is gone.
        return False


def _kill(process: psutil.Process) -> None:
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _status(client: httpx.Client, url: str) -> int | str:
    try:
        return client.get(url).status_code
    except httpx.HTTPError as error:
        return str(error)
