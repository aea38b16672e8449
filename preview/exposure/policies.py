"""NetworkPolicies: what a namespace's pods may send and receive."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from preview.exposure.labels import Labels, Selecting, selects
from preview.exposure.network import overlap, within
from preview.recording.plan import Plan, PlannedResource


@dataclass(frozen=True)
class Verdict:
    """Whether traffic passes, and what decides it."""

    allowed: bool
    why: str


class NetworkPolicies:
    """The policies of a plan."""

    def __init__(self, plan: Plan) -> None:
        sorted_out: dict[tuple[str, str], list[PlannedResource]] = {}
        for policy in plan.of_type("kubernetes:networking.k8s.io/v1:NetworkPolicy"):
            namespace = policy.inputs["metadata"].get("namespace") or "default"
            for direction in _directions(policy):
                sorted_out.setdefault((namespace, direction), []).append(policy)
        self._policies = {
            place: Selecting(policies, lambda policy: policy.inputs["spec"].get("podSelector") or {})
            for place, policies in sorted_out.items()
        }
        self._namespaces: dict[str, Labels] = {}
        for namespace_object in plan.of_type("kubernetes:core/v1:Namespace"):
            metadata = namespace_object.inputs.get("metadata") or {}
            self._namespaces[str(metadata.get("name"))] = metadata.get("labels") or {}

    def to_addresses(self, namespace: str, labels: Labels, cidrs: Iterable[str], port: int) -> Verdict:
        """Whether a pod may connect to ``port`` somewhere in ``cidrs``."""
        cidrs = list(cidrs)
        return self._judge(
            "Egress",
            namespace,
            labels,
            lambda rule: (
                _port(rule, port, {})
                and _any(
                    rule.get("to"), lambda peer: any(_block(peer.get("ipBlock"), cidr) for cidr in cidrs)
                )
            ),
        )

    def egress(self, namespace: str, labels: Labels) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The rules of what a pod may connect to, each with its policy's name."""
        policies = self._policies.get((namespace, "Egress"))
        for policy in policies.of(labels) if policies else ():
            for rule in policy.inputs["spec"].get("egress") or ():
                yield _name(policy), rule

    def from_pods(
        self,
        namespace: str,
        labels: Labels,
        port: int,
        named_ports: Mapping[str, int],
        source_namespace: str,
        source: Labels,
    ) -> Verdict:
        """Whether pods of another namespace may connect to ``port`` of a pod."""
        return self._judge(
            "Ingress",
            namespace,
            labels,
            lambda rule: (
                _port(rule, port, named_ports)
                and _any(rule.get("from"), lambda peer: self._is(peer, namespace, source_namespace, source))
            ),
        )

    def from_addresses(
        self, namespace: str, labels: Labels, port: int, named_ports: Mapping[str, int], cidrs: Iterable[str]
    ) -> Verdict:
        """Whether addresses outside the cluster's pods may connect to ``port`` of a pod."""
        cidrs = list(cidrs)
        return self._judge(
            "Ingress",
            namespace,
            labels,
            lambda rule: (
                _port(rule, port, named_ports)
                and _any(
                    rule.get("from"), lambda peer: any(_block(peer.get("ipBlock"), cidr) for cidr in cidrs)
                )
            ),
        )

    def _judge(self, direction: str, namespace: str, labels: Labels, admits: Any) -> Verdict:
        policies = self._policies.get((namespace, direction))
        binding = policies.of(labels) if policies else []
        for policy in binding:
            for rule in policy.inputs["spec"].get(direction.lower()) or ():
                if admits(rule):
                    return Verdict(True, f"NetworkPolicy {_name(policy)}")
        if not binding:
            return Verdict(True, f"no NetworkPolicy of {namespace} restricts {direction.lower()}")
        return Verdict(False, f"NetworkPolicy {', '.join(map(_name, binding))}")

    def _is(self, peer: Mapping[str, Any], own_namespace: str, namespace: str, labels: Labels) -> bool:
        if peer.get("ipBlock"):
            return False
        pods, namespaces = peer.get("podSelector"), peer.get("namespaceSelector")
        if namespaces is None:
            if namespace != own_namespace:
                return False
        elif not selects(namespaces, self._labels_of(namespace)):
            return False
        return pods is None or selects(pods, labels)

    def _labels_of(self, namespace: str) -> Labels:
        # Kubernetes labels every namespace with its name.
        return {**self._namespaces.get(namespace, {}), "kubernetes.io/metadata.name": namespace}


def _directions(policy: PlannedResource) -> list[str]:
    spec = policy.inputs["spec"]
    return spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def _any(peers: Any, matches: Any) -> bool:
    # No peers at all are all peers.
    return not peers or any(matches(peer) for peer in peers)


def _port(rule: Mapping[str, Any], port: int, named: Mapping[str, int]) -> bool:
    ports = rule.get("ports")
    if not ports:
        return True
    for entry in ports:
        if entry.get("protocol", "TCP") != "TCP":
            continue
        first = entry.get("port")
        first = named.get(first) if isinstance(first, str) else first
        if first is None or first <= port <= (entry.get("endPort") or first):
            return True
    return False


def _block(block: Mapping[str, Any] | None, cidr: str) -> bool:
    if not block or not overlap(str(block["cidr"]), cidr):
        return False
    return not any(within(cidr, str(excluded)) for excluded in block.get("except") or ())


def _name(policy: PlannedResource) -> str:
    return str(policy.outputs["metadata"]["name"])
