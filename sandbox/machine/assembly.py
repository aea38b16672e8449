"""A stack's machine, whole: the node, the stores beside it, and the backends that reach them."""

from pathlib import Path

from sandbox.binaries.build import Engine
from sandbox.cluster import agents
from sandbox.cluster.agents import Agent, Reached
from sandbox.cluster.api import Api
from sandbox.common.state import State
from sandbox.machine import admission
from sandbox.machine.account import Account
from sandbox.machine.addons import keda, traefik
from sandbox.machine.addons.cert_manager import CertManager
from sandbox.machine.addons.keda import Keda
from sandbox.machine.addons.metrics_server import MetricsServer
from sandbox.machine.addons.running import Addons
from sandbox.machine.addons.traefik import Traefik
from sandbox.machine.hosted import Cluster, Hosted
from sandbox.machine.images import Builder
from sandbox.machine.node import Node
from sandbox.machine.postgresql import Databases
from sandbox.machine.redis import Caches
from sandbox.machine.secrets import Secrets
from sandbox.machine.stores import Stores
from sandbox.providers.cloud import PACKAGES
from sandbox.providers.server import Backend

# A Service waits for its pods, they for their image, and that for its packages.
_PATIENCE = 900.0


class Machine:
    """What a stack runs on."""

    def __init__(self, state: State, engine: Engine, cache: Path) -> None:
        self.node = Node(state, engine)
        self._account = Account(state.machine / "account.json")
        self._stores = Stores(state, self.node.namespaces, self.node.dns, self.node.addresses)
        self._databases = Databases(self._stores, self._account, engine.debian)
        self._caches = Caches(self._stores, self._account)
        self.certificates = CertManager(state)
        self.addons = Addons(
            state,
            cache,
            self.node.namespaces,
            self._account,
            [
                MetricsServer(state, self.node.addresses),
                self.certificates,
                Traefik(self.node.addresses, state.kubeconfig, self.certificates.authority),
                *keda.parts(Keda(state, self.node.addresses, engine.manifests / "keda")),
            ],
        )
        self._images = Builder(state, engine, cache, self.node.containers, self.node.namespaces)

    def resume(self, api: Api) -> None:
        """Run again what the account has, as after a reboot; nothing the first time."""
        admission.ensure(api, self._stores.authority.certificate.read_text())
        self._databases.ensure()
        self._caches.ensure()
        self.addons.resume(api)

    def reachable_agents(self, api: Api) -> list[tuple[Agent, Reached]]:
        """The agents, and how this machine reaches each."""
        served = traefik.hosts(api) if self.addons.run("traefik") else []
        return agents.reachable(api, str(self.node.addresses.ingress), self.certificates.authority, served)

    def backends(self, api: Api) -> dict[str, Backend]:
        """What answers the engine, by package."""
        secrets = Secrets(api, self._account)
        hosted = Hosted(self._account, self._databases, self._caches, secrets, self._images)
        return {
            **dict.fromkeys(PACKAGES, hosted),
            "kubernetes": Cluster(
                api,
                self._account,
                secrets,
                lambda: self.addons.require(self.certificates, api),
                patience=_PATIENCE,
            ),
        }
