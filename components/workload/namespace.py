"""The agents' namespace: restricted pods, and no traffic that a policy does not name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components.naming import RESTRICTED


@dataclass(frozen=True, kw_only=True)
class NamespaceArgs:
    """The namespace and what bounds it."""

    namespace: str
    labels: Mapping[str, str]
    quota: Mapping[str, str]
    """Hard limits of its ResourceQuota, as Kubernetes names them: ``pods``, ``requests.cpu``, ``limits.memory``."""
    certificates: str
    """PEM of the authorities that signed the database's certificate; mounted into every pod as ``rds-ca.pem``."""
    readiness_gate: Mapping[str, str] = field(default_factory=dict)
    """Labels of the namespace alone, by which a load balancer's controller holds its pods back until they are healthy
    targets; none where no load balancer leads to them."""
    certificate_solver_peers: tuple[k8s.networking.v1.NetworkPolicyPeerArgs, ...] = ()
    """Who forwards Let's Encrypt's HTTP-01 challenges to cert-manager's solver pods, which run in this namespace."""


class AgentNamespace(pulumi.ComponentResource):
    """A namespace with the restricted Pod Security Standard, a quota and a default-deny NetworkPolicy."""

    namespace: pulumi.Output[str]
    """Its name; use it for ``metadata.namespace``, so that objects wait for it."""
    certificates_config_map: pulumi.Output[str]

    def __init__(self, name: str, args: NamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:AgentNamespace", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=args.namespace, labels={**args.labels, **RESTRICTED, **args.readiness_gate}
            ),
            opts=child,
        )
        self.namespace = namespace.metadata.name

        def metadata(object_name: str) -> k8s.meta.v1.ObjectMetaArgs:
            return k8s.meta.v1.ObjectMetaArgs(
                name=object_name, namespace=namespace.metadata.name, labels=dict(args.labels)
            )

        k8s.networking.v1.NetworkPolicy(
            f"{name}-default-deny",
            metadata=metadata("default-deny"),
            spec=k8s.networking.v1.NetworkPolicySpecArgs(
                pod_selector=k8s.meta.v1.LabelSelectorArgs(), policy_types=["Ingress", "Egress"]
            ),
            opts=child,
        )
        if args.certificate_solver_peers:
            k8s.networking.v1.NetworkPolicy(
                f"{name}-certificate-solver",
                metadata=metadata("certificate-solver"),
                spec=k8s.networking.v1.NetworkPolicySpecArgs(
                    pod_selector=k8s.meta.v1.LabelSelectorArgs(
                        match_labels={"acme.cert-manager.io/http01-solver": "true"}
                    ),
                    policy_types=["Ingress"],
                    ingress=[
                        k8s.networking.v1.NetworkPolicyIngressRuleArgs(
                            from_=list(args.certificate_solver_peers),
                            # Where cert-manager's acmesolver listens.
                            ports=[k8s.networking.v1.NetworkPolicyPortArgs(port=8089, protocol="TCP")],
                        )
                    ],
                ),
                opts=child,
            )
        k8s.core.v1.ResourceQuota(
            f"{name}-quota",
            metadata=metadata("quota"),
            spec=k8s.core.v1.ResourceQuotaSpecArgs(hard=dict(args.quota)),
            opts=child,
        )
        certificates = k8s.core.v1.ConfigMap(
            f"{name}-certificates",
            metadata=metadata("database-certificates"),
            data={"rds-ca.pem": args.certificates},
            opts=child,
        )
        self.certificates_config_map = certificates.metadata.name
        self.register_outputs(
            {"namespace": self.namespace, "certificates_config_map": self.certificates_config_map}
        )
