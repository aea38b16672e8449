"""metrics-server: what the pods use, for the HPA and for `kubectl top`."""

from sandbox.binaries.build import ADDONS
from sandbox.cluster.api import Api
from sandbox.cluster.authority import SERVER
from sandbox.cluster.pki import Pki
from sandbox.common.addresses import Addresses
from sandbox.common.state import State
from sandbox.machine.account import Account
from sandbox.machine.addons.addon import Command, api_hook, api_service, host, is_addon, service, unavailable

_NAMESPACE = "kube-system"
_PORT = 4443
_API = ("metrics.k8s.io", "v1beta1")


class MetricsServer:
    """Its process, and the APIService that names it."""

    role = "metrics-server"
    module = ADDONS
    hooks = (api_hook(*_API),)

    def __init__(self, state: State, addresses: Addresses) -> None:
        self._state = state
        self._addresses = addresses

    def wanted(self, account: Account) -> bool:
        return is_addon(account, self.role)

    def prepare(self, api: Api, account: Account) -> Command:
        pki = Pki(self._state.pki)
        name = host(self.role, _NAMESPACE)
        certificate, key = pki.authority.issue(
            self.role, purposes=[SERVER], common_name=name, alternatives=[name]
        )
        for manifest in (
            *service(self.role, _NAMESPACE, self._addresses.node, _PORT),
            api_service(*_API, self.role, _NAMESPACE, pki.ca.read_bytes()),
        ):
            api.apply(manifest, force=True)
        kubeconfig = self._state.kubeconfig
        arguments = [
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
        return Command(arguments)

    def obstacle(self, api: Api) -> str:
        return unavailable(api, *_API)
