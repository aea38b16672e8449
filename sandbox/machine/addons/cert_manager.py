"""cert-manager: it signs the Ingresses' certificates by an authority of the sandbox's own."""

import base64
from pathlib import Path

from sandbox.binaries.build import ADDONS
from sandbox.cluster.api import Api
from sandbox.cluster.authority import Authority
from sandbox.common.state import State
from sandbox.machine.account import Account
from sandbox.machine.addons.addon import Command, is_addon
from sandbox.machine.admission import ISSUER_SECRET

_NAMESPACE = "cert-manager"


class CertManager:
    """Its process, and the authority that takes the place of Let's Encrypt."""

    role = "cert-manager"
    module = ADDONS
    hooks = ()

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def authority(self) -> Path:
        """The certificate by which clients know what it signed."""
        return self._authority().certificate

    def wanted(self, account: Account) -> bool:
        return is_addon(account, self.role)

    def prepare(self, api: Api, account: Account) -> Command:
        authority = self._authority()
        files = {"tls.crt": authority.certificate, "tls.key": authority.key}
        api.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}},
            force=True,
        )
        api.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": {"name": ISSUER_SECRET, "namespace": _NAMESPACE},
                "data": {name: base64.b64encode(file.read_bytes()).decode() for name, file in files.items()},
            },
            force=True,
        )
        return Command(
            [f"--kubeconfig={self._state.kubeconfig}", f"--cluster-resource-namespace={_NAMESPACE}"]
        )

    def obstacle(self, api: Api) -> str:
        for issuer in api.list("cert-manager.io/v1", "ClusterIssuer"):
            conditions = issuer.get("status", {}).get("conditions") or [{}]
            if conditions[0].get("status") != "True":
                name = issuer["metadata"]["name"]
                return f"ClusterIssuer {name} is not ready. {conditions[0].get('message', '')}"
        return ""

    def _authority(self) -> Authority:
        return Authority(self._state.machine / "ingress-authority", "langgraph-agents sandbox ingress CA")
