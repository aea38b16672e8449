"""The ClusterIssuer: who signs the certificates of Ingresses."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.workload.container import ContainerResources

#: Let's Encrypt's directories by the name of the issuer (https://letsencrypt.org/docs/staging-environment/).
ACME_SERVERS = {
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
    "letsencrypt-prod": "https://acme-v02.api.letsencrypt.org/directory",
}


#: Of a pod that answers an HTTP-01 challenge: cert-manager's defaults
#: (https://cert-manager.io/docs/cli/controller/, --acme-http01-solver-resource-*).
SOLVER_RESOURCES = ContainerResources(
    cpu_request="10m", memory_request="64Mi", cpu_limit="100m", memory_limit="64Mi"
)


@dataclass(frozen=True, kw_only=True)
class CertificateIssuerArgs:
    """Whom to ask, and in whose name."""

    issuer: str
    """``letsencrypt-staging`` or ``letsencrypt-prod``."""
    email: str
    """Let's Encrypt's contact."""
    ingress_class: str
    """Serves the HTTP-01 challenge."""
    labels: Mapping[str, str]
    crds_ready: pulumi.Resource
    """The add-on that brings cert-manager and its kinds."""

    def __post_init__(self) -> None:
        if self.issuer not in ACME_SERVERS:
            raise ValueError(f"issuer is {self.issuer}: use one of {', '.join(ACME_SERVERS)}")


class CertificateIssuer(pulumi.ComponentResource):
    """Let's Encrypt as a ClusterIssuer that proves ownership over HTTP."""

    issuer_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: CertificateIssuerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:CertificateIssuer", name, None, opts)
        issuer = k8s.apiextensions.CustomResource(
            f"{name}-issuer",
            api_version="cert-manager.io/v1",
            kind="ClusterIssuer",
            metadata={"name": args.issuer, "labels": dict(args.labels)},
            spec={
                "acme": {
                    "server": ACME_SERVERS[args.issuer],
                    "email": args.email,
                    "privateKeySecretRef": {"name": f"{args.issuer}-account"},
                    "solvers": [{"http01": {"ingress": {"ingressClassName": args.ingress_class}}}],
                }
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.crds_ready]),
        )
        # The name is known beforehand; its URN makes resources that use it wait for the object.
        self.issuer_name = issuer.urn.apply(lambda _: args.issuer)
        self.register_outputs({"issuer_name": self.issuer_name})
