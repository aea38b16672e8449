"""What an agent's pods may speak to, and who may speak to them; the namespace denies the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

Peer = k8s.networking.v1.NetworkPolicyPeerArgs
Port = k8s.networking.v1.NetworkPolicyPortArgs
Egress = k8s.networking.v1.NetworkPolicyEgressRuleArgs
Ingress = k8s.networking.v1.NetworkPolicyIngressRuleArgs

POSTGRES_PORT = 5432
#: Where PgBouncer listens.
POOLER_PORT = 6432
CACHE_PORT = 6379
# EKS Pod Identity's agent, for model providers on AWS (the EKS user guide, "How EKS Pod Identity works").
_POD_IDENTITY_AGENT = "169.254.170.23/32"


def namespace_peer(namespace: str, pod_labels: Mapping[str, str] | None = None) -> Peer:
    """Pods of another namespace: those with ``pod_labels``, or all of them."""
    return Peer(
        namespace_selector=k8s.meta.v1.LabelSelectorArgs(
            match_labels={"kubernetes.io/metadata.name": namespace}
        ),
        pod_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(pod_labels)) if pod_labels else None,
    )


def cidr_peers(cidrs: Sequence[pulumi.Input[str]]) -> list[Peer]:
    """Addresses outside the cluster's pods."""
    return [Peer(ip_block=k8s.networking.v1.IPBlockArgs(cidr=cidr)) for cidr in cidrs]


def name_servers(*, auto_mode: bool) -> list[Peer]:
    """Who answers for names: CoreDNS' pods, or with EKS Auto Mode a service of each node, which no selector matches.

    AWS's own samples for Auto Mode open port 53 to any address, because it does not say where a node's CoreDNS
    listens: https://aws-samples.github.io/sample-eks-nitro-sandbox/storage/efs/deploy/egress-policy.yaml
    """
    return (
        cidr_peers(["0.0.0.0/0"]) if auto_mode else [namespace_peer("kube-system", {"k8s-app": "kube-dns"})]
    )


@dataclass(frozen=True, kw_only=True)
class Destination:
    """TCP ports of a network."""

    cidr: str
    ports: Sequence[int]

    def __post_init__(self) -> None:
        if not self.ports:
            raise ValueError(f"ports of {self.cidr} is empty, which would open them all: name the ports")


def lookups(name_servers: Sequence[Peer]) -> Egress:
    """To who resolves names."""
    return Egress(to=list(name_servers), ports=[Port(port=53, protocol="UDP"), Port(port=53, protocol="TCP")])


@dataclass(frozen=True, kw_only=True)
class NetworkPoliciesArgs:
    """An agent's peers."""

    namespace: pulumi.Input[str]
    agent: str
    labels: Mapping[str, str]
    server_labels: Mapping[str, str]
    """Select the pods that serve."""
    worker_labels: Mapping[str, str] | None = None
    """Select the pods that execute runs apart from these, if there are any: they reach the same, and nobody calls
    them."""
    maintenance_labels: Mapping[str, str]
    """With ``maintenance_components``, select the pods that migrate and prune: they reach the database alone."""
    maintenance_components: Sequence[str]
    """Values of ``app.kubernetes.io/component``."""
    port: int
    metrics_port: int
    callers: Sequence[Peer]
    """Who may call the agent: the ingress controller."""
    scrapers: Sequence[Peer]
    """Who may read its metrics."""
    name_servers: Sequence[Peer]
    """Who resolves names, on port 53."""
    database_cidrs: Sequence[pulumi.Input[str]]
    """The subnets of RDS and ElastiCache."""
    pooler_labels: Mapping[str, str] | None = None
    """Select the pods of PgBouncer in the namespace; None where there is none."""
    vpc_cidrs: pulumi.Input[Sequence[str]]
    """Private addresses that HTTPS to the internet does not include."""
    endpoint_cidrs: Sequence[pulumi.Input[str]] = ()
    """The subnets of the VPC's interface endpoints, if it has any: HTTPS to AWS' services goes there."""
    further: Sequence[Destination] = ()
    """What the server's pods may reach besides."""


class NetworkPolicies(pulumi.ComponentResource):
    """Lets an agent's server be called and scraped, and reach DNS, its stores and HTTPS; its Jobs only the database."""

    server: k8s.networking.v1.NetworkPolicy
    """Pods that start before it may not even resolve a name."""
    worker: k8s.networking.v1.NetworkPolicy | None
    maintenance: k8s.networking.v1.NetworkPolicy

    def __init__(
        self, name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:NetworkPolicies", name, None, opts)
        dns = lookups(args.name_servers)
        database = Egress(
            to=cidr_peers(args.database_cidrs), ports=[Port(port=POSTGRES_PORT, protocol="TCP")]
        )
        # Beside the database itself: pods of before a change to PgBouncer are connected to it until they are replaced.
        databases = [database]
        if args.pooler_labels:
            pooler = Peer(pod_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(args.pooler_labels)))
            databases.append(Egress(to=[pooler], ports=[Port(port=POOLER_PORT, protocol="TCP")]))
        cache = Egress(to=cidr_peers(args.database_cidrs), ports=[Port(port=CACHE_PORT, protocol="TCP")])
        https = Egress(
            to=[
                Peer(
                    ip_block=k8s.networking.v1.IPBlockArgs(
                        cidr="0.0.0.0/0",
                        # The VPC is not the internet, and the instance metadata service is nobody's business.
                        except_=pulumi.Output.from_input(args.vpc_cidrs).apply(
                            lambda cidrs: [*cidrs, "169.254.0.0/16"]
                        ),
                    )
                )
            ],
            ports=[Port(port=443, protocol="TCP")],
        )
        credentials = Egress(to=cidr_peers([_POD_IDENTITY_AGENT]), ports=[Port(port=80, protocol="TCP")])
        egress = [dns, *databases, cache, https, credentials]
        if args.endpoint_cidrs:
            egress.append(Egress(to=cidr_peers(args.endpoint_cidrs), ports=[Port(port=443, protocol="TCP")]))

        egress += [
            Egress(to=cidr_peers([each.cidr]), ports=[Port(port=port, protocol="TCP") for port in each.ports])
            for each in args.further
        ]

        calls = Ingress(from_=list(args.callers), ports=[Port(port=args.port, protocol="TCP")])
        scrapes = Ingress(from_=list(args.scrapers), ports=[Port(port=args.metrics_port, protocol="TCP")])

        def of_pods(part: str, labels: Mapping[str, str], *rules: Ingress) -> k8s.networking.v1.NetworkPolicy:
            return k8s.networking.v1.NetworkPolicy(
                f"{name}-{part}",
                metadata=k8s.meta.v1.ObjectMetaArgs(
                    name=f"{args.agent}-{part}", namespace=args.namespace, labels=dict(args.labels)
                ),
                spec=k8s.networking.v1.NetworkPolicySpecArgs(
                    pod_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(labels)),
                    policy_types=["Ingress", "Egress"],
                    ingress=list(rules),
                    egress=egress,
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )

        self.server = of_pods("server", args.server_labels, calls, scrapes)
        self.worker = of_pods("worker", args.worker_labels, scrapes) if args.worker_labels else None
        self.maintenance = k8s.networking.v1.NetworkPolicy(
            f"{name}-maintenance",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=f"{args.agent}-maintenance", namespace=args.namespace, labels=dict(args.labels)
            ),
            spec=k8s.networking.v1.NetworkPolicySpecArgs(
                pod_selector=k8s.meta.v1.LabelSelectorArgs(
                    match_labels=dict(args.maintenance_labels),
                    match_expressions=[
                        k8s.meta.v1.LabelSelectorRequirementArgs(
                            key="app.kubernetes.io/component",
                            operator="In",
                            values=list(args.maintenance_components),
                        )
                    ],
                ),
                policy_types=["Ingress", "Egress"],
                egress=[dns, *databases],
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
