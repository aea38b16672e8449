"""A real node of one sandbox, from its namespaces to the moment when it is Ready."""

import time
from datetime import UTC, datetime
from pathlib import Path

from sandbox.binaries.build import Engine
from sandbox.cluster.api import Api, Endpoint
from sandbox.cluster.controlplane import Place
from sandbox.cluster.nodes import Topology
from sandbox.common import addresses, processes
from sandbox.common.console import step
from sandbox.common.errors import SandboxError
from sandbox.common.namespaces import Namespaces
from sandbox.common.state import State
from sandbox.machine import containers, dns, kubelet
from sandbox.machine.containers import Containers
from sandbox.machine.dns import Dns
from sandbox.machine.kubelet import Kubelet

ROLES = (containers.ROLE, dns.ROLE, *kubelet.ROLES)
"""The processes of a node, besides the one that holds its namespaces."""

_READY_SECONDS = 60.0


class Node:
    """The machine that the pods of one stack run on."""

    def __init__(self, state: State, engine: Engine) -> None:
        self._state = state
        self.namespaces = Namespaces(state)
        self.containers = Containers(state, engine.containers, engine.debian, self.namespaces)
        self.dns = Dns(state, engine.node, self.namespaces)
        self._kubelet = Kubelet(state, engine.node, self.namespaces)
        self._name = f"sandbox-{state.stack}"
        state.machine.mkdir(exist_ok=True)
        self.addresses = addresses.ensure(state.machine / "addresses.json")

    def place(self) -> Place:
        """Where the control plane runs: within the namespaces, which are made unless they are there."""
        if not self.namespaces.exist():
            self.namespaces.start(self._name, self.addresses)
        return Place(
            enter=self.namespaces.enter,
            address=str(self.addresses.node),
            advertised=str(self.addresses.node),
            services=str(self.addresses.services),
            # cert-manager runs, where a stack asks for it; load balancers are AWS's.
            emulated=("load-balancers",),
            neighbours=ROLES,
        )

    def join(self, api: Api, endpoint: Endpoint, kubeconfig: Path, topology: Topology) -> None:
        """Start the node's processes and wait until it is Ready.

        Raises:
            SandboxError: it does not become Ready; with its condition's words.
        """
        with step("Node"):
            # The API server has it to the second.
            began = datetime.now(UTC).replace(microsecond=0)
            self.containers.start(str(self.addresses.pods))
            self.dns.start(self.addresses, kubeconfig)
            self._kubelet.start(self._name, endpoint, self.addresses, topology)
            deadline = time.monotonic() + _READY_SECONDS
            while (obstacle := self._obstacle(api, began)) is not None:
                if time.monotonic() > deadline:
                    raise SandboxError(
                        f"the node is not Ready after {_READY_SECONDS:.0f} s: {obstacle}; see kubelet.log and"
                        f" containerd.log in {self._state.logs}"
                    )
                time.sleep(0.2)
            for role in set(ROLES) - processes.running(self._state.id).keys():
                log = self._state.logs / f"{role}.log"
                words = "\n  ".join(processes.last_lines(log, 12))
                raise SandboxError(f"{role} ended at its start; the end of {log}:\n  {words}")

    def _obstacle(self, api: Api, began: datetime) -> str | None:
        live = api.get("v1", "Node", None, self._name)
        if live is None:
            return "the kubelet has not registered it"
        conditions = live.get("status", {}).get("conditions") or []
        ready: dict[str, str] = next(
            (condition for condition in conditions if condition["type"] == "Ready"), {}
        )
        if ready.get("status") != "True":
            return str(ready.get("message", "it tells no condition"))
        # After a crash the API server still has what the former kubelet said.
        if datetime.fromisoformat(ready["lastHeartbeatTime"]) < began:
            return "the kubelet has said nothing since it was started"
        # The controller takes the taint away a moment later, and pods are kept off until then.
        taints = live["spec"].get("taints") or []
        return f"it is tainted {taints[0]['key']}" if taints else None
