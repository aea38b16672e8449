"""The add-ons beside a real node: which ones run, by which arguments, and what the cluster is told of them."""

import base64
import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from sandbox.binaries import build
from sandbox.binaries.build import ADDONS, Module
from sandbox.cluster import pki
from sandbox.cluster.api import Api
from sandbox.common import processes
from sandbox.common.addresses import Addresses
from sandbox.common.errors import SandboxError
from sandbox.common.namespaces import Namespaces
from sandbox.common.state import State
from sandbox.machine.account import ADDON, RELEASE, Account
from sandbox.machine.addons import running
from sandbox.machine.addons.addon import Addon
from sandbox.machine.addons.cert_manager import CertManager
from sandbox.machine.addons.metrics_server import MetricsServer
from sandbox.machine.addons.running import Addons
from sandbox.machine.addons.traefik import Traefik, hosts
from tests.sandbox.fakes import FakeApi

ADDRESSES = Addresses(IPv4Network("10.254.0.0/16"))


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path, "dev")
    state.create()
    state.machine.mkdir()
    return state


@pytest.fixture
def account(state: State) -> Account:
    return Account(state.machine / "account.json")


class Sleeper:
    """An add-on whose process only sleeps; a script stands for its binary."""

    role = "sleeper"
    module = ADDONS

    def __init__(self) -> None:
        self.arguments = ["30"]
        self.lacks = ""
        self.asked = True

    def wanted(self, account: Account) -> bool:
        return self.asked

    def prepare(self, api: Api, account: Account) -> list[str]:
        return self.arguments

    def obstacle(self, api: Api) -> str:
        return self.lacks


class Here:
    """No namespaces: processes run where the tests do."""

    enter = ()


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Module]:
    modules: list[Module] = []
    monkeypatch.setattr(build, "ensure", lambda _, wanted: modules.extend(wanted))
    return modules


@pytest.fixture
def addons(state: State, account: Account, sleeper: Sleeper, built: list[Module]) -> Any:
    binary = state.root / ADDONS.key / "bin" / "sleeper"
    binary.parent.mkdir(parents=True)
    binary.symlink_to("/bin/sleep")
    known: Sequence[Addon] = [sleeper]
    yield Addons(state, state.root, cast(Namespaces, Here()), account, known)
    for group in processes.running(state.id).values():
        processes.stop(group)


def pids(state: State) -> list[int]:
    return [process.pid for process in processes.running(state.id).get("sleeper", [])]


def test_an_addon_that_runs_as_it_should_is_left_alone_and_another_is_started_anew(
    addons: Addons, sleeper: Sleeper, state: State
) -> None:
    addons.ensure(cast(Api, FakeApi()))
    first = pids(state)
    addons.ensure(cast(Api, FakeApi()))
    assert pids(state) == first
    sleeper.arguments = ["31"]
    addons.ensure(cast(Api, FakeApi()))
    assert pids(state) != first
    assert len(pids(state)) == 1


def test_an_addon_that_ends_while_it_is_looked_at_is_started_anew(
    addons: Addons, sleeper: Sleeper, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["sleep", "30"]) as ended:
        gone = psutil.Process(ended.pid)
        ended.kill()
    found = iter([{"sleeper": [gone]}])
    monkeypatch.setattr(processes, "running", lambda _id: next(found))
    addons._run(sleeper, ["30"])
    monkeypatch.undo()
    assert len(pids(state)) == 1


def test_an_addon_that_the_stack_gives_up_ends(addons: Addons, sleeper: Sleeper, state: State) -> None:
    addons.ensure(cast(Api, FakeApi()))
    sleeper.asked = False
    addons.ensure(cast(Api, FakeApi()))
    assert pids(state) == []


def test_an_addon_that_ended_is_reported_with_the_end_of_its_log(addons: Addons, sleeper: Sleeper) -> None:
    sleeper.arguments, sleeper.lacks = ["no-number"], "it does not answer"
    with pytest.raises(SandboxError, match=r"(?s)sleeper ended.*invalid time interval"):
        addons.ensure(cast(Api, FakeApi()))


def test_an_addon_that_never_serves_is_reported_with_what_it_lacks(
    addons: Addons, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_START_SECONDS", 0.0)
    sleeper.lacks = "no certificate yet"
    with pytest.raises(SandboxError, match="sleeper does not serve after 0 s: no certificate yet"):
        addons.ensure(cast(Api, FakeApi()))


def test_only_what_a_stack_asks_for_is_built(
    addons: Addons, sleeper: Sleeper, built: list[Module], state: State
) -> None:
    assert addons.unbuilt() == []
    (state.root / ADDONS.key / "bin" / "sleeper").unlink()
    (state.root / ADDONS.key / "bin").rmdir()
    (state.root / ADDONS.key).rmdir()
    assert addons.unbuilt() == [ADDONS]
    sleeper.asked = False
    addons.ensure(cast(Api, FakeApi()))
    assert built == []


def test_the_api_server_gets_the_address_and_authority_of_metrics_server(
    state: State, account: Account
) -> None:
    pki.ensure(state.pki, ["127.0.0.1"])
    api = FakeApi()
    addon = MetricsServer(state, ADDRESSES)
    assert not addon.wanted(account)
    account.put(ADDON, {"addonName": "metrics-server"})
    assert addon.wanted(account)
    arguments = addon.prepare(cast(Api, api), account)
    service = api.objects["APIService", None, "v1beta1.metrics.k8s.io"]
    assert base64.b64decode(service["spec"]["caBundle"]) == pki.Pki(state.pki).ca.read_bytes()
    assert service["spec"]["service"] == {"name": "metrics-server", "namespace": "kube-system"}
    (piece,) = api.list("discovery.k8s.io/v1", "EndpointSlice", "kube-system")
    assert piece["endpoints"][0]["addresses"] == [str(ADDRESSES.node)]
    assert f"--secure-port={piece['ports'][0]['port']}" in arguments
    certificate = next(each for each in arguments if each.startswith("--tls-cert-file=")).partition("=")[2]
    told = subprocess.run(
        ["openssl", "verify", "-CAfile", str(pki.Pki(state.pki).ca), certificate],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], "the API server has not asked it yet"),
        ([{"status": "False", "message": "no response"}], "no response"),
        ([{"status": "True"}], ""),
    ],
)
def test_metrics_are_served_once_the_api_server_says_so(
    state: State, conditions: list[dict[str, str]], expected: str
) -> None:
    api = FakeApi()
    api.objects["APIService", None, "v1beta1.metrics.k8s.io"] = {
        "metadata": {},
        "status": {"conditions": conditions},
    }
    assert MetricsServer(state, ADDRESSES).obstacle(cast(Api, api)) == expected


def test_cert_manager_signs_by_the_authority_that_clients_are_given(state: State, account: Account) -> None:
    api = FakeApi()
    addon = CertManager(state)
    addon.prepare(cast(Api, api), account)
    secret = api.objects["Secret", "cert-manager", "sandbox-ingress-authority"]
    assert base64.b64decode(secret["data"]["tls.crt"]) == addon.authority.read_bytes()
    issuer = {
        "metadata": {"name": "ours"},
        "status": {"conditions": [{"status": "False", "message": "no key"}]},
    }
    api.objects["ClusterIssuer", None, "ours"] = issuer
    assert addon.obstacle(cast(Api, api)) == "ClusterIssuer ours is not ready. no key"


def test_traefik_runs_by_the_arguments_of_the_stacks_own_release(state: State, account: Account) -> None:
    addon = Traefik(ADDRESSES, state.root)
    assert not addon.wanted(account)
    own = "--entryPoints.websecure.transport.lifeCycle.graceTimeOut=300s"
    account.put(RELEASE, {"name": "traefik", "chart": "traefik", "values": {"additionalArguments": [own]}})
    assert addon.wanted(account)
    arguments = addon.prepare(cast(Api, FakeApi()), account)
    assert own in arguments
    assert f"--entryPoints.websecure.address={ADDRESSES.ingress}:443/tcp" in arguments


def test_traefik_serves_the_ingresses_of_its_class_alone() -> None:
    api = FakeApi()
    for name in ("traefik", "alb"):
        spec = {"ingressClassName": name, "rules": [{"host": f"{name}.example.com"}]}
        api.objects["Ingress", "a", name] = {"metadata": {"name": name}, "spec": spec}
    assert hosts(cast(Api, api)) == ["traefik.example.com"]
