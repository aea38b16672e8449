"""kubelet and kube-proxy, with the identities of a node."""

import json
from pathlib import Path

from sandbox.cluster.api import Endpoint
from sandbox.cluster.authority import CLIENT, SERVER
from sandbox.cluster.kubeconfig import kubeconfig
from sandbox.cluster.nodes import Topology
from sandbox.cluster.pki import Pki
from sandbox.common import processes
from sandbox.common.addresses import Addresses
from sandbox.common.namespaces import Namespaces
from sandbox.common.state import State
from sandbox.machine.containers import SOCKET
from sandbox.machine.dns import DOMAIN

ROLES = ("kubelet", "kube-proxy")


class Kubelet:
    """What makes a machine a node."""

    def __init__(self, state: State, binaries: Path, namespaces: Namespaces) -> None:
        self._state = state
        self._binaries = binaries
        self._namespaces = namespaces
        self._folder = state.machine / "kubelet"

    def start(self, name: str, endpoint: Endpoint, addresses: Addresses, topology: Topology) -> None:
        """Start both; the node registers itself under `name`, in the topology's first zone."""
        self._folder.mkdir(parents=True, exist_ok=True)
        kubelet = self._kubelet(name, endpoint, addresses)
        labels = {
            # Images are built for this machine, whatever the stack's nodes have for a processor.
            "kubernetes.io/arch": topology.architecture,
            "node.kubernetes.io/instance-type": "sandbox",
            "topology.kubernetes.io/region": topology.region,
            "topology.kubernetes.io/zone": topology.zone_names[0],
        }
        arguments = [
            f"--config={self._write('kubelet.json', kubelet)}",
            f"--kubeconfig={self._kubeconfig(f'system:node:{name}', 'system:nodes', endpoint)}",
            "--root-dir=/run/kubelet",
            "--cert-dir=/run/kubelet/pki",
            f"--hostname-override={name}",
            f"--node-ip={addresses.node}",
            f"--node-labels={','.join(f'{key}={value}' for key, value in labels.items())}",
        ]
        self._run("kubelet", arguments)
        proxy = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "bindAddress": str(addresses.node),
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "clientConnection": {"kubeconfig": str(self._kubeconfig("system:kube-proxy", "", endpoint))},
            "clusterCIDR": str(addresses.pods),
            "hostnameOverride": name,
            "oomScoreAdj": 0,
            # The table of connections is the machine's, and its size not the node's to set.
            "conntrack": {"maxPerCore": 0},
            "nodePortAddresses": [f"{addresses.node}/32"],
        }
        self._run("kube-proxy", [f"--config={self._write('kube-proxy.json', proxy)}"])

    def _kubelet(self, name: str, endpoint: Endpoint, addresses: Addresses) -> dict[str, object]:
        certificate, key = Pki(self._state.pki).authority.issue(
            "kubelet", purposes=[SERVER], common_name=name, alternatives=[name, str(addresses.node)]
        )
        # Pods ask the cluster's name server, which asks nobody: nothing beyond the sandbox has a name in it.
        resolver = self._folder / "resolv.conf"
        resolver.write_text(f"nameserver {addresses.dns}\n")
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": str(addresses.node),
            "readOnlyPort": 0,
            "healthzPort": 0,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": endpoint.ca_file},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(certificate),
            "tlsPrivateKeyFile": str(key),
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self._namespaces.cgroup,
            "failCgroupV1": False,
            "failSwapOn": False,
            # Not every machine lets root lower the out-of-memory score (CAP_SYS_RESOURCE).
            "oomScoreAdj": 0,
            "clusterDNS": [str(addresses.dns)],
            "clusterDomain": DOMAIN,
            "resolvConf": str(resolver),
            "podLogsDir": str(self._state.machine / "pod-logs"),
            "volumePluginDir": "/run/kubelet/volume-plugins",
            # Images are imported, not pulled: one that was removed would not come back.
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            # The disk is the user's own, and a machine that is short of it says so itself.
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
            },
            "nodeStatusUpdateFrequency": "5s",
            # How soon a changed ConfigMap or Secret reaches the pods that mount it; a minute otherwise.
            "syncFrequency": "10s",
            "configMapAndSecretChangeDetectionStrategy": "Watch",
        }

    def _kubeconfig(self, user: str, group: str, endpoint: Endpoint) -> Path:
        name = user.replace(":", "-")
        certificate, key = Pki(self._state.pki).authority.issue(
            name, purposes=[CLIENT], common_name=user, organization=group
        )
        credentials = {"client-certificate": str(certificate), "client-key": str(key)}
        file = self._folder / f"{name}.kubeconfig"
        file.write_text(kubeconfig(endpoint, name, credentials))
        return file

    def _write(self, name: str, content: dict[str, object]) -> Path:
        file = self._folder / name
        file.write_text(json.dumps(content, indent=2))
        return file

    def _run(self, role: str, arguments: list[str]) -> None:
        log = self._state.logs / f"{role}.log"
        log.unlink(missing_ok=True)
        command: list[str | Path] = [*self._namespaces.enter, self._binaries / role, *arguments]
        processes.start(self._state.id, role, command, log)
