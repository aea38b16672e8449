"""CoreDNS: the names of the cluster, and those of the stores that AWS would host.

It runs beside the pods and not in one: so it is there before the first pod asks.
"""

import json
from pathlib import Path

from sandbox.common import processes
from sandbox.common.addresses import Addresses
from sandbox.common.namespaces import Namespaces
from sandbox.common.state import State, write_private

ROLE = "coredns"
DOMAIN = "cluster.local"

_COREFILE = """
.:53 {{
    bind {address}
    errors
    hosts {hosts} {{
        reload 1s
        ttl 5
        fallthrough
    }}
    kubernetes {domain} in-addr.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        fallthrough in-addr.arpa
    }}
    cache 5
    loadbalance
}}
"""


class Dns:
    """The name server of one cluster."""

    def __init__(self, state: State, binaries: Path, namespaces: Namespaces) -> None:
        self._state = state
        self._binaries = binaries
        self._namespaces = namespaces

    @property
    def _folder(self) -> Path:
        return self._state.machine / "dns"

    def start(self, addresses: Addresses, kubeconfig: Path) -> None:
        """Start it."""
        self.publish({})
        corefile = self._folder / "Corefile"
        text = _COREFILE.format(
            address=addresses.dns, hosts=self._folder / "hosts", domain=DOMAIN, kubeconfig=kubeconfig
        )
        corefile.write_text(text)
        log = self._state.logs / f"{ROLE}.log"
        log.unlink(missing_ok=True)
        command: list[str | Path] = [*self._namespaces.enter, self._binaries / "coredns", "-conf", corefile]
        processes.start(self._state.id, ROLE, command, log)

    def publish(self, names: dict[str, str]) -> None:
        """Answer for host names with addresses, besides those published before."""
        self._folder.mkdir(parents=True, exist_ok=True)
        known = self._folder / "names.json"
        merged = {**(json.loads(known.read_text()) if known.exists() else {}), **names}
        write_private(known, json.dumps(merged))
        write_private(
            self._folder / "hosts", "".join(f"{address} {name}\n" for name, address in sorted(merged.items()))
        )
