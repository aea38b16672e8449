"""KEDA: its operator, its adapter for the autoscaler and its webhook, with the rights that the stack's release leaves.

The three know each other by an authority of their own, and the API server knows them as the ServiceAccount that KEDA's
manifests give them.
"""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

from sandbox.binaries.build import KEDA
from sandbox.cluster import addons
from sandbox.cluster.api import Api, Object
from sandbox.cluster.authority import CLIENT, SERVER, Authority
from sandbox.cluster.kubeconfig import with_user
from sandbox.cluster.pki import Pki
from sandbox.common.addresses import Addresses
from sandbox.common.state import State, write_private
from sandbox.machine.account import Account
from sandbox.machine.addons.addon import (
    Addon,
    Command,
    Hook,
    api_hook,
    api_service,
    host,
    release,
    service,
    unavailable,
)

_NAMESPACE = "keda"
_ACCOUNT = f"system:serviceaccount:{_NAMESPACE}:keda-operator"
_API = ("external.metrics.k8s.io", "v1beta1")
# All are the node's own, beside which nothing else listens on them.
_OPERATOR_PORT, _METRICS_PORT, _WEBHOOKS_PORT = 9666, 6443, 9443
_OPERATOR_HEALTH, _WEBHOOKS_HEALTH = 8081, 8082
_SECONDS = 2.0


class Keda:
    """What its three parts have in common."""

    def __init__(self, state: State, addresses: Addresses, definitions: Path) -> None:
        """
        Args:
            state: the sandbox's files.
            addresses: those of the sandbox.
            definitions: KEDA's own manifests, a folder for each part, and `crds`.
        """
        self.node = addresses.node
        self.definitions = definitions
        self._state = state
        self._folder = state.machine / "keda"

    @property
    def folder(self) -> Path:
        """What it reads; nobody else may."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return self._folder

    @property
    def authority(self) -> Authority:
        """Signs for its parts, and for nobody else."""
        return Authority(self.folder, "langgraph-agents sandbox KEDA CA")

    @property
    def certificate(self) -> tuple[Path, Path]:
        """By which its parts know each other, and the API server knows them: the certificate, and its key.

        Made once, since those that run have read it.
        """
        certificate, key = self.folder / "tls.crt", self.folder / "tls.key"
        if not key.exists():
            names = [host(part.role, _NAMESPACE) for part in (Operator, Metrics, Webhooks)]
            self.authority.issue("tls", purposes=[SERVER, CLIENT], common_name=_NAMESPACE, alternatives=names)
        return certificate, key

    @property
    def kubeconfig(self) -> Path:
        """Its way to the API server, which may have moved to another port."""
        pki = Pki(self._state.pki)
        certificate, key = pki.certificate("keda")
        if not key.exists():
            pki.authority.issue(
                "keda", purposes=[CLIENT], common_name=_ACCOUNT, organization="system:serviceaccounts"
            )
        user = {"client-certificate": str(certificate), "client-key": str(key)}
        file = self.folder / "kubeconfig"
        write_private(file, with_user(self._state.kubeconfig.read_text(), user))
        return file

    def command(self, *arguments: str) -> Command:
        """How a part is run."""
        environment = {
            "KUBECONFIG": str(self.kubeconfig),
            "POD_NAMESPACE": _NAMESPACE,
            "WATCH_NAMESPACE": "",
            "KEDA_CLUSTER_OBJECT_NAMESPACE": _NAMESPACE,
            "KEDA_RESTRICT_SECRET_ACCESS": "true",
        }
        return Command([f"--cert-dir={self.certificate[0].parent}", *arguments], environment)

    def manifests(self, part: str) -> Iterator[Object]:
        """KEDA's own manifests of a part."""
        for file in sorted((self.definitions / part).glob("*.yaml")):
            yield from (each for each in yaml.safe_load_all(file.read_text()) if each)

    def rights(self, part: str) -> Iterator[Object]:
        """Those that give rights, without what the stack's release refuses."""
        for manifest in self.manifests(part):
            if manifest["apiVersion"].startswith("rbac.authorization.k8s.io/"):
                yield restricted(manifest) if manifest["kind"] == "ClusterRole" else manifest

    def health(self, port: int) -> str:
        """Why a part does not serve yet; empty when it does."""
        try:
            answer = httpx.get(f"http://{self.node}:{port}/readyz", timeout=_SECONDS, trust_env=False)
        except httpx.HTTPError as error:
            return str(error)
        return "" if answer.is_success else answer.text


class _Part:
    module = KEDA
    hooks: Sequence[Hook] = ()

    def __init__(self, keda: Keda) -> None:
        self._keda = keda

    def wanted(self, account: Account) -> bool:
        return bool(release(account, "keda"))


class Operator(_Part):
    """Looks at queues, starts the first pod, takes the last, and makes a HorizontalPodAutoscaler of a ScaledObject."""

    role = "keda-operator"

    def prepare(self, api: Api, account: Account) -> Command:
        addons.ensure(api, self._keda.definitions / "crds")
        for manifest in self._keda.rights("operator"):
            api.apply(manifest, force=True)
        return self._keda.command(
            f"--metrics-service-bind-address={self._keda.node}:{_OPERATOR_PORT}",
            f"--health-probe-bind-address={self._keda.node}:{_OPERATOR_HEALTH}",
            "--metrics-bind-address=0",
            "--zap-encoder=console",
        )

    def obstacle(self, api: Api) -> str:
        if obstacle := self._keda.health(_OPERATOR_HEALTH):
            return obstacle
        for scaled in api.list("keda.sh/v1alpha1", "ScaledObject"):
            conditions = scaled.get("status", {}).get("conditions") or []
            ready: dict[str, Any] = next((each for each in conditions if each["type"] == "Ready"), {})
            if ready.get("status") != "True":
                name = f"{scaled['metadata']['namespace']}/{scaled['metadata']['name']}"
                return f"ScaledObject {name} is not ready. {ready.get('message', '')}"
        return ""


class Metrics(_Part):
    """Tells the HorizontalPodAutoscaler's controller what the operator read."""

    role = "keda-metrics-apiserver"
    hooks = (api_hook(*_API),)

    def prepare(self, api: Api, account: Account) -> Command:
        for manifest in (
            *self._keda.rights("metrics"),
            *service(self.role, _NAMESPACE, self._keda.node, _METRICS_PORT),
            api_service(*_API, self.role, _NAMESPACE, self._keda.authority.certificate.read_bytes()),
        ):
            api.apply(manifest, force=True)
        kubeconfig = self._keda.kubeconfig
        certificate, key = self._keda.certificate
        return self._keda.command(
            f"--lister-kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--bind-address={self._keda.node}",
            f"--secure-port={_METRICS_PORT}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--metrics-service-address={self._keda.node}:{_OPERATOR_PORT}",
            f"--metrics-service-grpc-authority={host(Operator.role, _NAMESPACE)}",
            # Its own figures, which nobody reads here: any free port.
            "--port=0",
        )

    def obstacle(self, api: Api) -> str:
        return unavailable(api, *_API)


class Webhooks(_Part):
    """Refuses a ScaledObject that KEDA could not act on, in a preview too."""

    role = "keda-admission-webhooks"
    # As KEDA's manifest names it.
    hooks = (Hook("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "keda-admission"),)

    def prepare(self, api: Api, account: Account) -> Command:
        for manifest in service(self.role, _NAMESPACE, self._keda.node, _WEBHOOKS_PORT):
            api.apply(manifest, force=True)
        authority = base64.b64encode(self._keda.authority.certificate.read_bytes()).decode()
        for manifest in self._keda.manifests("webhooks"):
            for webhook in manifest["webhooks"]:
                webhook["clientConfig"]["caBundle"] = authority
            api.apply(manifest, force=True)
        return self._keda.command(
            f"--port={_WEBHOOKS_PORT}",
            f"--health-probe-bind-address={self._keda.node}:{_WEBHOOKS_HEALTH}",
            "--metrics-bind-address=0",
            "--zap-encoder=console",
        )

    def obstacle(self, api: Api) -> str:
        return self._keda.health(_WEBHOOKS_HEALTH)


def parts(keda: Keda) -> list[Addon]:
    """All of it; the operator comes first, since the others ask it."""
    return [Operator(keda), Metrics(keda), Webhooks(keda)]


def restricted(role: Object) -> Object:
    """The rights that the stack's values for the chart leave: no Secrets, and Deployments are all that is scaled."""
    rules: list[dict[str, list[str]]] = []
    for rule in role["rules"]:
        resources = [each for each in rule["resources"] if each != "secrets"]
        if rule["apiGroups"] != ["*"]:
            rules.append({**rule, "resources": resources})
        elif resources == ["*/scale"]:
            rules.append({**rule, "apiGroups": ["apps"], "resources": ["deployments/scale"]})
    return {**role, "rules": rules}
