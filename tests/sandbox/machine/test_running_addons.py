"""The add-ons beside a real node: which ones run, by which arguments, and what the cluster is told of them."""

import base64
import shutil
import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, cast

import httpx
import psutil
import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from sandbox.binaries import build
from sandbox.binaries.build import ADDONS, Module
from sandbox.cluster import pki
from sandbox.cluster.api import Api, Endpoint
from sandbox.cluster.kubeconfig import kubeconfig
from sandbox.common import processes
from sandbox.common.addresses import Addresses
from sandbox.common.errors import SandboxError
from sandbox.common.namespaces import Namespaces
from sandbox.common.state import State
from sandbox.machine.account import ADDON, RELEASE, Account
from sandbox.machine.addons import running
from sandbox.machine.addons.addon import Addon, Command, Hook
from sandbox.machine.addons.cert_manager import CertManager
from sandbox.machine.addons.keda import Keda, parts
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
    hooks = (Hook("v1", "Namespace", "asks-it"),)

    def __init__(self) -> None:
        self.arguments = ["30"]
        self.environment: dict[str, str] = {}
        self.lacks = ""
        self.asked = True

    def wanted(self, account: Account) -> bool:
        return self.asked

    def prepare(self, api: Api, account: Account) -> Command:
        return Command(self.arguments, self.environment)

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
    addons._run(sleeper, Command(["30"]))
    monkeypatch.undo()
    assert len(pids(state)) == 1


def test_an_addon_that_the_stack_gives_up_ends(addons: Addons, sleeper: Sleeper, state: State) -> None:
    api = FakeApi()
    api.objects["Namespace", None, "asks-it"] = {"metadata": {}}
    addons.ensure(cast(Api, api))
    assert api.objects
    sleeper.asked = False
    addons.ensure(cast(Api, api))
    assert pids(state) == []
    assert not api.objects


def test_an_addon_has_the_settings_that_it_has_no_argument_for(
    addons: Addons, sleeper: Sleeper, state: State
) -> None:
    sleeper.environment = {"WATCH_NAMESPACE": "all"}
    addons.ensure(cast(Api, FakeApi()))
    (process,) = processes.running(state.id)["sleeper"]
    assert process.environ()["WATCH_NAMESPACE"] == "all"


def test_after_a_reboot_what_is_built_runs_again_before_an_update_and_nothing_is_built_for_it(
    addons: Addons, sleeper: Sleeper, state: State, built: list[Module]
) -> None:
    sleeper.lacks = "nobody waits for it"
    addons.resume(cast(Api, FakeApi()))
    assert len(pids(state)) == 1
    sleeper.asked = False
    processes.stop(processes.running(state.id)["sleeper"])
    addons.resume(cast(Api, FakeApi()))
    assert pids(state) == []
    sleeper.asked = True
    shutil.rmtree(state.root / ADDONS.key)
    addons.resume(cast(Api, FakeApi()))
    assert pids(state) == []
    assert built == []


def test_an_addon_that_pods_wait_for_is_built_and_serves_in_the_midst_of_an_update(
    addons: Addons, sleeper: Sleeper, state: State, built: list[Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    addons.require(sleeper, cast(Api, FakeApi()))
    assert built == [ADDONS]
    assert len(pids(state)) == 1
    monkeypatch.setattr(running, "_START_SECONDS", 0.0)
    sleeper.lacks = "no certificate yet"
    with pytest.raises(SandboxError, match="no certificate yet"):
        addons.require(sleeper, cast(Api, FakeApi()))


def test_an_addon_that_ended_is_reported_with_the_end_of_its_log(addons: Addons, sleeper: Sleeper) -> None:
    sleeper.arguments, sleeper.lacks = ["no-number"], "it does not answer"
    with pytest.raises(SandboxError, match=r"(?s)sleeper ended.*invalid time interval"):
        addons.ensure(cast(Api, FakeApi()))


def test_an_addon_that_is_still_on_its_way_into_the_namespaces_has_not_ended(
    addons: Addons, sleeper: Sleeper, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["not yet", "not yet", ""])
    monkeypatch.setattr(sleeper, "obstacle", lambda _: next(answers))
    with monkeypatch.context() as unseen:
        unseen.setattr(processes, "running", lambda _: {})
        addons.require(sleeper, cast(Api, FakeApi()))
    assert len(pids(state)) == 1


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
    command = addon.prepare(cast(Api, api), account)
    service = api.objects["APIService", None, "v1beta1.metrics.k8s.io"]
    assert base64.b64decode(service["spec"]["caBundle"]) == pki.Pki(state.pki).ca.read_bytes()
    assert service["spec"]["service"] == {"name": "metrics-server", "namespace": "kube-system"}
    (piece,) = api.list("discovery.k8s.io/v1", "EndpointSlice", "kube-system")
    assert piece["endpoints"][0]["addresses"] == [str(ADDRESSES.node)]
    arguments = command.arguments
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
    addon = Traefik(ADDRESSES, state.kubeconfig, state.root)
    assert not addon.wanted(account)
    own = "--entryPoints.websecure.transport.lifeCycle.graceTimeOut=300s"
    account.put(RELEASE, {"name": "traefik", "chart": "traefik", "values": {"additionalArguments": [own]}})
    assert addon.wanted(account)
    command = addon.prepare(cast(Api, FakeApi()), account)
    assert own in command.arguments
    assert f"--entryPoints.websecure.address={ADDRESSES.ingress}:443/tcp" in command.arguments
    assert command.environment == {"KUBECONFIG": str(state.kubeconfig)}


def test_traefik_serves_the_ingresses_of_its_class_alone() -> None:
    api = FakeApi()
    for name in ("traefik", "alb"):
        spec = {"ingressClassName": name, "rules": [{"host": f"{name}.example.com"}]}
        api.objects["Ingress", "a", name] = {"metadata": {"name": name}, "spec": spec}
    assert hosts(cast(Api, api)) == ["traefik.example.com"]


# What KEDA publishes, in short.
OPERATORS_RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: keda-operator}
rules:
- {apiGroups: [""], resources: [configmaps, secrets], verbs: [get, list]}
- {apiGroups: ["*"], resources: ["*"], verbs: [get]}
- {apiGroups: ["*"], resources: ["*/scale"], verbs: [get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: keda-operator, namespace: keda}
rules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]
"""
METRICS_RIGHTS = """
apiVersion: v1
kind: Service
metadata: {name: keda-metrics-apiserver, namespace: keda}
spec: {selector: {app: keda-metrics-apiserver}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: keda-system-auth-delegator}
"""
WEBHOOKS = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: keda-admission}
webhooks: [{name: vscaledobject.kb.io, clientConfig: {service: {name: keda-admission-webhooks}}}]
"""


@pytest.fixture
def keda(state: State) -> Keda:
    pki.ensure(state.pki, ["127.0.0.1"])
    endpoint = Endpoint("https://127.0.0.1:6443", str(pki.Pki(state.pki).ca), "administrator")
    state.kubeconfig.write_text(kubeconfig(endpoint, "sandbox-dev", {"token": endpoint.token}))
    definitions = state.root / "keda"
    for part, text in {"operator": OPERATORS_RIGHTS, "metrics": METRICS_RIGHTS, "webhooks": WEBHOOKS}.items():
        (definitions / part).mkdir(parents=True)
        (definitions / part / "all.yaml").write_text(text)
    (definitions / "crds").mkdir()
    return Keda(state, ADDRESSES, definitions)


def test_keda_runs_where_a_stack_has_its_release_as_whom_its_manifests_give_rights(
    keda: Keda, state: State, account: Account
) -> None:
    api = FakeApi()
    assert not any(part.wanted(account) for part in parts(keda))
    account.put(RELEASE, {"name": "keda", "chart": "keda"})
    assert all(part.wanted(account) for part in parts(keda))
    for part in parts(keda):
        command = part.prepare(cast(Api, api), account)
        config = yaml.safe_load(Path(command.environment["KUBECONFIG"]).read_text())
        (user,) = config["users"]
        assert "token" not in user["user"]
        subject = x509.load_pem_x509_certificate(
            Path(user["user"]["client-certificate"]).read_bytes()
        ).subject
        (name,) = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert name.value == "system:serviceaccount:keda:keda-operator"
        assert command.environment["WATCH_NAMESPACE"] == ""
        assert f"--cert-dir={state.machine / 'keda'}" in command.arguments


def test_keda_is_asked_by_names_that_are_in_its_certificate_which_its_own_authority_signed(
    keda: Keda, account: Account
) -> None:
    api = FakeApi()
    for part in parts(keda):
        part.prepare(cast(Api, api), account)
    certificate, _ = keda.certificate
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    loaded.verify_directly_issued_by(x509.load_pem_x509_certificate(keda.authority.certificate.read_bytes()))
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = set(names.get_values_for_type(x509.DNSName))
    named = {f"{service['metadata']['name']}.keda.svc" for service in api.list("v1", "Service")}
    assert named == {"keda-metrics-apiserver.keda.svc", "keda-admission-webhooks.keda.svc"}
    assert named < known
    trusted = base64.b64encode(keda.authority.certificate.read_bytes()).decode()
    served = api.objects["APIService", None, "v1beta1.external.metrics.k8s.io"]
    assert served["spec"]["caBundle"] == trusted
    (webhook,) = api.objects["ValidatingWebhookConfiguration", None, "keda-admission"]["webhooks"]
    assert webhook["clientConfig"]["caBundle"] == trusted
    assert ("ClusterRoleBinding", None, "keda-system-auth-delegator") in api.objects
    # What runs has read them.
    before = certificate.read_bytes()
    for part in parts(keda):
        part.prepare(cast(Api, api), account)
    assert certificate.read_bytes() == before


def test_keda_reads_no_secret_but_its_own_and_scales_deployments_alone(keda: Keda, account: Account) -> None:
    api = FakeApi()
    parts(keda)[0].prepare(cast(Api, api), account)
    assert api.objects["ClusterRole", None, "keda-operator"]["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
        {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "update"]},
    ]
    assert api.objects["Role", "keda", "keda-operator"]["rules"][0]["resources"] == ["secrets"]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], "ScaledObject a/support is not ready. "),
        ([{"type": "Ready", "status": "False", "message": "no trigger"}], "not ready. no trigger"),
        ([{"type": "Active", "status": "False"}, {"type": "Ready", "status": "True"}], ""),
    ],
)
def test_keda_serves_once_every_scaled_object_is_ready(
    keda: Keda, conditions: list[dict[str, str]], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = FakeApi()
    operator = parts(keda)[0]
    answers = {"http://10.254.0.1:8081/readyz": httpx.Response(500, text="not yet")}
    monkeypatch.setattr(httpx, "get", lambda url, **_: answers[url])
    assert operator.obstacle(cast(Api, api)) == "not yet"
    answers["http://10.254.0.1:8081/readyz"] = httpx.Response(200)
    api.objects["ScaledObject", "a", "support"] = {
        "metadata": {"namespace": "a", "name": "support"},
        "status": {"conditions": conditions},
    }
    told = operator.obstacle(cast(Api, api))
    assert told.endswith(expected)
    assert bool(told) == bool(expected)
