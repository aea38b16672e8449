"""EKS add-ons: what a node needs to join, and what the platform's workloads rely on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components.cluster.identity import WorkloadIdentity, WorkloadIdentityArgs
from components.cluster.load_balancer_policy import load_balancer_policy
from components.naming import IAM_ROLE_NAME, safe_name

# The settings of the VPC CNI; its schema wants strings. Network policies are off by default. With prefixes a
# node takes addresses sixteen at a time, and runs as many pods as its size allows instead of its ENIs.
# https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy-configure.html
# https://docs.aws.amazon.com/eks/latest/userguide/cni-increase-ip-addresses-procedure.html
_VPC_CNI = {
    "enableNetworkPolicy": "true",
    "env": {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
}
# Files follow a changed secret within two minutes; a Kubernetes Secret is never made of them.
# https://docs.aws.amazon.com/secretsmanager/latest/userguide/ascp-eks-installation.html
_SECRETS_STORE = {
    "secrets-store-csi-driver": {
        "enableSecretRotation": True,
        "rotationPollInterval": "2m",
        "syncSecret": {"enabled": False},
    }
}

_NODE_ADDONS: Mapping[str, Mapping[str, Any] | None] = {
    "vpc-cni": _VPC_CNI,
    "kube-proxy": None,
    "eks-pod-identity-agent": None,
}
_WORKLOAD_ADDONS = ("coredns", "metrics-server", "cert-manager", "aws-secrets-store-csi-driver-provider")

#: What EKS Auto Mode has in place of an add-on: https://docs.aws.amazon.com/eks/latest/userguide/eks-add-ons.html
AUTO_MODE_BRINGS = frozenset({*_NODE_ADDONS, "coredns"})
#: Every add-on that a version can be pinned for.
ADDON_NAMES = frozenset({*_NODE_ADDONS, *_WORKLOAD_ADDONS, "external-dns"})


def check_versions(versions: Mapping[str, str]) -> None:
    """Refuse a pin of an add-on that is not installed.

    Raises:
        ValueError: naming the add-on and those that there are.
    """
    unknown = sorted(set(versions) - ADDON_NAMES)
    if unknown:
        raise ValueError(
            f"versions names {', '.join(unknown)}: the add-ons are {', '.join(sorted(ADDON_NAMES))}"
        )


def node_addons(
    name: str,
    *,
    cluster_name: pulumi.Input[str],
    cni_association: pulumi.Resource,
    versions: Mapping[str, str],
    parent: pulumi.Resource,
) -> list[pulumi.Resource]:
    """The add-ons without which no node becomes ready. They are installed before the first one."""
    return [
        _addon(
            f"{name}-{addon}",
            addon,
            cluster_name=cluster_name,
            version=versions.get(addon),
            configuration=configuration,
            # Credentials are injected when a pod is made: the CNI's have to be there before its first pod.
            depends_on=[cni_association] if addon == "vpc-cni" else [],
            parent=parent,
        )
        for addon, configuration in _NODE_ADDONS.items()
    ]


@dataclass(frozen=True, kw_only=True)
class AddonsArgs:
    """What `Addons` needs.

    Attributes:
        cluster_name: the cluster.
        cluster_arn: its ARN.
        cluster_label: its name as plain text, for the names of roles.
        region: its region.
        auto_mode: EKS Auto Mode brings DNS and load balancers itself.
        versions: add-on versions to hold, by add-on name. The others get EKS's default version when they are
            installed, and keep it: an upgrade is a change in the stack file, never a surprise.
        external_dns_zone_arn: the Route 53 zone that external-dns writes to; None leaves it out.
        external_dns_domain: the domain of that zone.
        external_dns_owner: marks the records as this stack's own, so that no other's are touched.
        load_balancer_controller: make the identity of the AWS Load Balancer Controller.
        tainted_nodes: pods of agents run on nodes with taints, where the secrets' provider is needed, too.
        nodes: leaves that these add-ons need: the cluster's ``ready``.
    """

    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    cluster_label: str
    region: str
    auto_mode: bool
    versions: Mapping[str, str] = field(default_factory=dict)
    external_dns_zone_arn: pulumi.Input[str] | None
    external_dns_domain: str | None
    external_dns_owner: str
    load_balancer_controller: bool
    tainted_nodes: bool = False
    nodes: Sequence[pulumi.Resource]

    def __post_init__(self) -> None:
        check_versions(self.versions)
        if self.external_dns_zone_arn is not None and not self.external_dns_domain:
            raise ValueError(
                f"external_dns_domain is {self.external_dns_domain!r}: name the domain of "
                "external_dns_zone_arn, or external-dns would look at every zone of the account"
            )


class Addons(pulumi.ComponentResource):
    """The add-ons that workloads rely on, each a leaf to depend on.

    Attributes:
        coredns: None in Auto Mode, which has its own.
        metrics_server: what the HPA reads.
        cert_manager: certificates, with its CRDs.
        secrets_store: mounts secrets as files, with its CRDs and the AWS provider.
        external_dns: None without a zone.
        load_balancer_controller: the identity of service account
            ``kube-system/aws-load-balancer-controller``; None in Auto Mode or when not asked for.
    """

    coredns: aws.eks.Addon | None
    metrics_server: aws.eks.Addon
    cert_manager: aws.eks.Addon
    secrets_store: aws.eks.Addon
    external_dns: aws.eks.Addon | None
    load_balancer_controller: WorkloadIdentity | None

    def __init__(self, name: str, args: AddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Addons", name, None, opts)
        self._name, self._args = name, args
        self.coredns = None if args.auto_mode else self._install("coredns")
        self.metrics_server = self._install("metrics-server")
        self.cert_manager = self._install("cert-manager")
        # The driver itself runs everywhere by default.
        tolerations = {"tolerations": [{"operator": "Exists"}]} if args.tainted_nodes else {}
        self.secrets_store = self._install(
            "aws-secrets-store-csi-driver-provider", {**_SECRETS_STORE, **tolerations}
        )
        self.external_dns = self._external_dns()
        self.load_balancer_controller = (
            self._identity(
                "load-balancer-controller",
                namespace="kube-system",
                service_account="aws-load-balancer-controller",
                statements=load_balancer_policy(args.cluster_label),
            )
            if args.load_balancer_controller and not args.auto_mode
            else None
        )
        self.register_outputs({})

    def _external_dns(self) -> aws.eks.Addon | None:
        zone_arn = self._args.external_dns_zone_arn
        if zone_arn is None:
            return None
        identity = self._identity(
            "external-dns",
            namespace="external-dns",
            service_account="external-dns",
            # From the AWS tutorial of external-dns; listing has no narrower resource in Route 53.
            statements=[
                {
                    "Effect": "Allow",
                    "Action": [
                        "route53:ChangeResourceRecordSets",
                        "route53:ListResourceRecordSets",
                        "route53:ListTagsForResources",
                    ],
                    "Resource": zone_arn,
                },
                {"Effect": "Allow", "Action": "route53:ListHostedZones", "Resource": "*"},
            ],
        )
        return self._install(
            "external-dns",
            {
                "domainFilters": [self._args.external_dns_domain],
                "policy": "sync",
                "registry": "txt",
                "sources": ["ingress", "service"],
                "txtOwnerId": self._args.external_dns_owner,
            },
            # Credentials are injected when a pod is made.
            after=[identity.association],
        )

    def _identity(
        self, what: str, *, namespace: str, service_account: str, statements: Sequence[Mapping[str, Any]]
    ) -> WorkloadIdentity:
        return WorkloadIdentity(
            f"{self._name}-{what}",
            WorkloadIdentityArgs(
                role_name=safe_name(self._args.cluster_label, what, limit=IAM_ROLE_NAME),
                cluster_name=self._args.cluster_name,
                cluster_arn=self._args.cluster_arn,
                namespace=namespace,
                service_account=service_account,
                region=self._args.region,
                statements=statements,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _install(
        self,
        addon: str,
        configuration: Mapping[str, Any] | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> aws.eks.Addon:
        return _addon(
            f"{self._name}-{addon}",
            addon,
            cluster_name=self._args.cluster_name,
            version=self._args.versions.get(addon),
            configuration=configuration,
            # EKS calls an add-on created when its pods run, and those need nodes.
            depends_on=[*self._args.nodes, *after],
            parent=self,
        )


def _addon(
    name: str,
    addon: str,
    *,
    cluster_name: pulumi.Input[str],
    version: str | None,
    configuration: Mapping[str, Any] | None,
    depends_on: Sequence[pulumi.Resource],
    parent: pulumi.Resource,
) -> aws.eks.Addon:
    return aws.eks.Addon(
        name,
        cluster_name=cluster_name,
        addon_name=addon,
        addon_version=version,
        configuration_values=json.dumps(configuration, sort_keys=True) if configuration else None,
        # The program is where settings are kept: what was changed by hand in the cluster is set back.
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on)),
    )
