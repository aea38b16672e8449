"""A Kubernetes control plane of this checkout: etcd, API server, controller manager, scheduler and kwok.

It listens on loopback only, or within the namespaces of a real node, and outlives the command that starts it.
"""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import psutil

from sandbox.cluster import addons, pki
from sandbox.cluster.agents import LOCAL, LOCAL_GRACE
from sandbox.cluster.api import Api, Endpoint
from sandbox.cluster.kubeconfig import kubeconfig
from sandbox.cluster.nodes import SIMULATED
from sandbox.cluster.pki import Pki
from sandbox.common import processes
from sandbox.common.console import step
from sandbox.common.errors import SandboxError
from sandbox.common.namespaces import Namespaces
from sandbox.common.state import State, write_private

ROLES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
"""The processes, in the order in which they start."""

_START_SECONDS = 60.0
# A controller that cannot work says so and ends within this time.
_SETTLE_SECONDS = 1.0
# Between the choice of a free port and its use another program may take it: then all is started on other ports.
_ATTEMPTS = 3


class EndedError(SandboxError):
    """A process ended at its start."""


class PortTakenError(EndedError):
    """It could not listen on the port that was free a moment ago."""


@dataclass(frozen=True)
class Place:
    """Where a control plane runs. By default on this machine's loopback, where no pod looks for it."""

    enter: tuple[str, ...] = ()
    """The command that runs another one there."""
    address: str = "127.0.0.1"
    """What the API server listens on."""
    advertised: str = "10.0.2.1"
    """The address in the `kubernetes` Service's endpoints, which may not be a loopback address."""
    services: str = "10.96.0.0/16"
    """The range of the Services' addresses."""
    emulated: tuple[str, ...] = ("certificates", "load-balancers")
    """The controllers for which kwok answers, by the files of their stages."""
    neighbours: tuple[str, ...] = ()
    """The processes without which it is not whole, besides its own."""

    @property
    def service_address(self) -> str:
        """The address of the `kubernetes` Service: the first of the range."""
        return str(IPv4Network(self.services)[1])


@dataclass(frozen=True)
class ControlPlane:
    """The control plane of one sandbox."""

    state: State
    binaries: Path
    """The folder with the Kubernetes binaries."""
    manifests: Path
    """The folder with the add-ons' CRDs (`crds`) and kwok's stages (`stages`)."""
    find_place: Callable[[], Place] = Place
    """Makes the place when it has to."""

    def ensure(self) -> Endpoint:
        """Start it unless it runs whole and from these binaries. What etcd holds is kept.

        Raises:
            SandboxError: a process ends or does not become ready; with the end of its log.
        """
        endpoint = running_endpoint(self.state)
        if endpoint is not None and self._made_of() == json.loads(self.state.endpoint.read_text())["made_of"]:
            return endpoint
        stop(self.state)
        with step("Kubernetes control plane"):
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    return self._start()
                except EndedError as ended:
                    stop(self.state)
                    if attempt < _ATTEMPTS:
                        continue
                    if isinstance(ended, PortTakenError):
                        raise SandboxError(
                            f"no free ports on 127.0.0.1 after {_ATTEMPTS} attempts: {ended}"
                        ) from None
                    raise
        raise AssertionError("unreachable")

    def _start(self) -> Endpoint:
        place = self.find_place()
        addresses = dict.fromkeys(["127.0.0.1", place.address, place.service_address])
        certificates = pki.ensure(self.state.pki, list(addresses))
        etcd_port, peer_port, api_port, kwok_port = _free_ports(4)
        endpoint = Endpoint(f"https://{place.address}:{api_port}", str(certificates.ca), certificates.token)
        write_private(
            self.state.kubeconfig,
            kubeconfig(endpoint, f"sandbox-{self.state.stack}", {"token": endpoint.token}),
        )

        started = [
            self._run(place, "etcd", self._etcd(certificates, etcd_port, peer_port)),
            self._run(place, "kube-apiserver", self._apiserver(place, certificates, etcd_port, api_port)),
        ]
        api = Api(endpoint)
        try:
            self._wait(api.ready, started)
            # Before kwok starts, which has to find the kinds that its stages name.
            addons.ensure(api, self.manifests / "crds")
        finally:
            api.close()
        private, _ = certificates.service_accounts
        for role, arguments in {
            "kube-controller-manager": [
                *self._client_arguments(),
                f"--service-account-private-key-file={private}",
                f"--root-ca-file={certificates.ca}",
                "--use-service-account-credentials=false",
                "--secure-port=0",
            ],
            "kube-scheduler": [*self._client_arguments(), "--secure-port=0"],
            "kwok": [
                f"--kubeconfig={self.state.kubeconfig}",
                # Not all nodes: a real one answers for itself.
                f"--manage-nodes-with-annotation-selector={SIMULATED}",
                "--node-lease-duration-seconds=40",
                f"--server-address=127.0.0.1:{kwok_port}",
                *(f"--config={stage}" for stage in self._stages(place)),
            ],
        }.items():
            started.append(self._run(place, role, arguments))
        self._settle(started)
        # Written last: a control plane without it did not start whole.
        roles = [*ROLES, *place.neighbours]
        note = {"server": endpoint.server, "made_of": self._made_of(), "roles": roles}
        write_private(self.state.endpoint, json.dumps(note))
        return endpoint

    def _stages(self, place: Place) -> list[Path]:
        """Those of nodes and pods, and those of the controllers that do not run here."""
        real = {f"{name}.yaml" for name in set(Place.emulated) - set(place.emulated)}
        return [file for file in sorted((self.manifests / "stages").glob("*.yaml")) if file.name not in real]

    def _made_of(self) -> list[str]:
        return [str(self.binaries), str(self.manifests)]

    def _run(
        self, place: Place, role: str, arguments: Sequence[str]
    ) -> "tuple[str, subprocess.Popen[bytes]]":
        log = self.state.logs / f"{role}.log"
        log.unlink(missing_ok=True)
        command: list[str | Path] = [*place.enter, self.binaries / role, *arguments]
        return role, processes.start(self.state.id, role, command, log)

    def _client_arguments(self) -> list[str]:
        return [f"--kubeconfig={self.state.kubeconfig}", "--leader-elect=false", "--profiling=false"]

    def _etcd(self, certificates: Pki, port: int, peer_port: int) -> list[str]:
        certificate, key = certificates.certificate("server")
        client, peer = f"https://127.0.0.1:{port}", f"https://127.0.0.1:{peer_port}"
        return [
            f"--data-dir={self.state.etcd}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            *(f"--{side}cert-file={certificate}" for side in ("", "peer-")),
            *(f"--{side}key-file={key}" for side in ("", "peer-")),
            *(f"--{side}trusted-ca-file={certificates.ca}" for side in ("", "peer-")),
            *(f"--{side}client-cert-auth" for side in ("", "peer-")),
            # A crash of the machine may cost this sandbox its data, which the next `make up` makes again.
            "--unsafe-no-fsync",
        ]

    def _apiserver(self, place: Place, certificates: Pki, etcd_port: int, port: int) -> list[str]:
        certificate, key = certificates.certificate("server")
        client_certificate, client_key = certificates.certificate("client")
        proxy_certificate, proxy_key = certificates.certificate("front-proxy")
        private, public = certificates.service_accounts
        return [
            f"--etcd-servers=https://127.0.0.1:{etcd_port}",
            f"--etcd-cafile={certificates.ca}",
            f"--etcd-certfile={client_certificate}",
            f"--etcd-keyfile={client_key}",
            f"--secure-port={port}",
            f"--bind-address={place.address}",
            f"--advertise-address={place.advertised}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={certificates.ca}",
            f"--token-auth-file={certificates.tokens}",
            "--anonymous-auth=false",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={private}",
            f"--service-account-key-file={public}",
            f"--service-cluster-ip-range={place.services}",
            f"--kubelet-certificate-authority={certificates.ca}",
            f"--kubelet-client-certificate={client_certificate}",
            f"--kubelet-client-key={client_key}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--requestheader-client-ca-file={certificates.ca}",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={proxy_certificate}",
            f"--proxy-client-key-file={proxy_key}",
            "--allow-privileged=true",
            "--profiling=false",
        ]

    def _wait(
        self, ready: Callable[[], bool], started: "Sequence[tuple[str, subprocess.Popen[bytes]]]"
    ) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            for role, process in started:
                if process.poll() is not None:
                    raise self._ended(role)
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"the API server is not ready after {_START_SECONDS:.0f} s; see the logs in {self.state.logs}"
                )
            time.sleep(0.1)

    def _settle(self, started: "Sequence[tuple[str, subprocess.Popen[bytes]]]") -> None:
        """Look whether what nobody asks anything of has stayed."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            for role, process in started:
                if process.poll() is not None:
                    raise self._ended(role)
            time.sleep(0.05)

    def _ended(self, role: str) -> EndedError:
        log = self.state.logs / f"{role}.log"
        end = processes.last_lines(log, 12)
        if any("address already in use" in line for line in end):
            return PortTakenError(end[-1])
        words = "\n  ".join(line[:400] for line in end)
        return EndedError(
            f"{role} ended at its start; the end of {log}:\n  {words}\n"
            "If its data was damaged: `make down` removes it, and `make up` begins anew."
        )


def running_endpoint(state: State) -> Endpoint | None:
    """The running control plane, or None unless every process of it lives and the API server is ready."""
    if not state.endpoint.exists():
        return None
    if missing(state):
        return None
    certificates = Pki(state.pki)
    server = json.loads(state.endpoint.read_text())["server"]
    endpoint = Endpoint(server, str(certificates.ca), certificates.token)
    api = Api(endpoint)
    try:
        return endpoint if api.ready() else None
    finally:
        api.close()


def missing(state: State) -> list[str]:
    """The processes that should run and do not."""
    noted = json.loads(state.endpoint.read_text()) if state.endpoint.exists() else {}
    alive = processes.running(state.id)
    return [role for role in noted.get("roles", ROLES) if role not in alive]


def stop(state: State) -> list[psutil.Process]:
    """End every process of the sandbox, the control plane's and any that an interrupted command left; return which."""
    if not state.exists:
        return []
    state.endpoint.unlink(missing_ok=True)
    alive = processes.running(state.id)
    if state.machine.exists():
        Namespaces(state).stop()
    # What writes goes before what stores: etcd last.
    last = alive.pop("etcd", [])
    local = [process for role, group in alive.items() if role.startswith(LOCAL) for process in group]
    processes.stop(local, LOCAL_GRACE)
    others = [process for group in alive.values() for process in group]
    processes.stop(others)
    processes.stop(last)
    return [*others, *last]


def _free_ports(count: int) -> list[int]:
    """Ports on loopback that nothing listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
