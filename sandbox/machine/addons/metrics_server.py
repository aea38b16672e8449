"""metrics-server: what the pods use, for the HPA and for `kubectl top`."""

import base64

from sandbox.binaries.build import ADDONS
from sandbox.cluster.api import Api
from sandbox.cluster.authority import SERVER
from sandbox.cluster.pki import Pki
from sandbox.common.addresses import Addresses
from sandbox.common.state import State
from sandbox.machine.account import Account
from sandbox.machine.addons.addon import is_addon

_NAMESPACE = "kube-system"
_HOST = f"metrics-server.{_NAMESPACE}.svc"
_PORT = 4443
_API = ("metrics.k8s.io", "v1beta1")


class MetricsServer:
    """Its process, and the APIService that names it."""

    role = "metrics-server"
    module = ADDONS

    def __init__(self, state: State, addresses: Addresses) -> None:
        self._state = state
        self._addresses = addresses

    def wanted(self, account: Account) -> bool:
        return is_addon(account, self.role)

    def prepare(self, api: Api, account: Account) -> list[str]:
        pki = Pki(self._state.pki)
        certificate, key = pki.authority.issue(
            self.role, purposes=[SERVER], common_name=_HOST, alternatives=[_HOST]
        )
        for manifest in self._manifests(pki.ca.read_bytes()):
            api.apply(manifest, force=True)
        kubeconfig = self._state.kubeconfig
        return [
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--bind-address={self._addresses.node}",
            f"--secure-port={_PORT}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--kubelet-certificate-authority={pki.ca}",
            "--kubelet-preferred-address-types=InternalIP",
            # The shortest that it takes; a kubelet is asked for longer than it takes to answer.
            "--metric-resolution=10s",
            "--kubelet-request-timeout=5s",
        ]

    def obstacle(self, api: Api) -> str:
        group, version = _API
        live = api.get("apiregistration.k8s.io/v1", "APIService", None, f"{version}.{group}") or {}
        conditions = live.get("status", {}).get("conditions") or [{}]
        available = conditions[0].get("status") == "True"
        return "" if available else str(conditions[0].get("message", "the API server has not asked it yet"))

    def _manifests(self, authority: bytes) -> list[dict[str, object]]:
        group, version = _API
        metadata = {"name": self.role, "namespace": _NAMESPACE}
        return [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"ports": [{"name": "https", "port": 443, "targetPort": _PORT}]},
            },
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {**metadata, "labels": {"kubernetes.io/service-name": self.role}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": [str(self._addresses.node)], "conditions": {"ready": True}}],
                "ports": [{"name": "https", "port": _PORT, "protocol": "TCP"}],
            },
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": f"{version}.{group}"},
                "spec": {
                    "group": group,
                    "version": version,
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "service": {"name": self.role, "namespace": _NAMESPACE},
                    "caBundle": base64.b64encode(authority).decode(),
                },
            },
        ]
