"""The EKS cluster: control plane, who may use it, and the nodes that make it able to run pods."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components.cluster.addons import check_versions, node_addons
from components.cluster.cluster_roles import control_plane_role, node_role
from components.cluster.identity import WorkloadIdentity, WorkloadIdentityArgs
from components.cluster.node_groups import NodeGroupArgs, node_group
from components.naming import IAM_ROLE_NAME, safe_name
from components.secrets.encryption import encryption_key

_LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_ADMIN_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """What `Cluster` needs.

    Attributes:
        cluster_name: the cluster's name.
        version: the Kubernetes minor version, such as ``1.36``.
        region: the cluster's region.
        vpc_id: the VPC.
        subnet_ids: the private subnets, in two zones at least.
        public_access_cidrs: who reaches the API server from outside the VPC; nobody when empty.
        admin_principal_arns: IAM roles or users that administer the cluster, those that deploy included.
            When empty at creation, the identity that creates the cluster is its only administrator.
        node_groups: the nodes; none with Auto Mode.
        auto_mode: EKS manages nodes, storage and load balancers itself.
        addon_versions: versions of the node add-ons to hold, by add-on name.
        instance_tags: further tags of instances and volumes, which the provider's default tags do not reach.
        log_retention_days: of the control plane's logs.
        logs_kms_key_arn: their key.
        protect: keep the cluster and its key from being deleted, in AWS too.
    """

    cluster_name: str
    version: str
    region: str
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    public_access_cidrs: Sequence[str]
    admin_principal_arns: Sequence[str]
    node_groups: Sequence[NodeGroupArgs]
    auto_mode: bool
    addon_versions: Mapping[str, str] = field(default_factory=dict)
    instance_tags: Mapping[str, str] = field(default_factory=dict)
    log_retention_days: int
    logs_kms_key_arn: pulumi.Input[str]
    protect: bool

    def __post_init__(self) -> None:
        for cidr in self.public_access_cidrs:
            try:
                ipaddress.IPv4Network(cidr)
            except ValueError as error:
                raise ValueError(
                    f"public_access_cidrs has {cidr!r}: {error}; write a network such as 203.0.113.0/24"
                ) from None
        for arn in self.admin_principal_arns:
            if ":sts:" in arn or not arn.startswith("arn:"):
                raise ValueError(
                    f"admin_principal_arns has {arn!r}: name the IAM role or user itself "
                    "(arn:aws:iam::ACCOUNT:role/NAME), not a session of it"
                )
        check_versions(self.addon_versions)
        names = [group.name for group in self.node_groups]
        if self.auto_mode and names:
            raise ValueError(
                f"node_groups is {names} with auto_mode: Auto Mode brings its own, leave it empty"
            )
        if not self.auto_mode and not names:
            raise ValueError("node_groups is empty: define one at least, or set auto_mode")
        if len(set(names)) != len(names):
            raise ValueError(f"node_groups has the names {names}: give each group a name of its own")


class Cluster(pulumi.ComponentResource):
    """An EKS cluster that is ready to run pods.

    Attributes:
        name: the cluster's name.
        arn: its ARN.
        endpoint: the API server's URL.
        certificate_authority_data: its CA, base64.
        security_group_id: the group that EKS makes, on the control plane's and the nodes' interfaces.
        workload_security_group_id: the group that says "a pod of this cluster" to databases: one of its
            own on managed nodes, EKS's own group in Auto Mode.
        nodes_role_name: the role of the instances.
        nodes_role_arn: its ARN.
        ready: leaves to depend on before pods are made: nodes, and the deployer's access.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority_data: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    workload_security_group_id: pulumi.Output[str]
    nodes_role_name: pulumi.Output[str]
    nodes_role_arn: pulumi.Output[str]
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Cluster", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        nodes_role, nodes_role_policies = node_role(
            f"{name}-nodes",
            cluster_label=args.cluster_name,
            auto_mode=args.auto_mode,
            parent=self,
        )
        self.nodes_role_name, self.nodes_role_arn = nodes_role.name, nodes_role.arn
        cluster = self._control_plane(nodes_role)
        self.name = cluster.name
        self.arn = cluster.arn
        self.endpoint = cluster.endpoint
        self.certificate_authority_data = cluster.certificate_authority.data.apply(lambda data: data or "")
        self.security_group_id = cluster.vpc_config.cluster_security_group_id.apply(lambda id_: id_ or "")
        self.ready = self._admins()
        if args.auto_mode:
            self.workload_security_group_id = self.security_group_id
            self.ready += [cluster, *nodes_role_policies]
        else:
            self.workload_security_group_id = self._workloads_group()
            self.ready += self._nodes(nodes_role, nodes_role_policies)
        self.register_outputs(
            {
                "name": self.name,
                "arn": self.arn,
                "endpoint": self.endpoint,
                "certificate_authority_data": self.certificate_authority_data,
                "security_group_id": self.security_group_id,
                "workload_security_group_id": self.workload_security_group_id,
            }
        )

    def _control_plane(self, nodes_role: aws.iam.Role) -> aws.eks.Cluster:
        args = self._args
        key = encryption_key(
            f"{self._name}-key",
            alias=f"{args.cluster_name}/kubernetes-secrets",
            description="Encrypts Kubernetes secrets in etcd",
            protect=args.protect,
            parent=self,
        )
        role, role_policies = control_plane_role(
            self._name,
            cluster_label=args.cluster_name,
            auto_mode=args.auto_mode,
            secrets_key_arn=key.arn,
            parent=self,
        )
        # Made before the cluster: EKS would make it without retention and without a key.
        log_group = aws.cloudwatch.LogGroup(
            f"{self._name}-logs",
            name=f"/aws/eks/{args.cluster_name}/cluster",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.logs_kms_key_arn,
            opts=self._child,
        )
        auto_mode = _auto_mode(nodes_role.arn) if args.auto_mode else {}
        return aws.eks.Cluster(
            f"{self._name}-cluster",
            name=args.cluster_name,
            version=args.version,
            role_arn=role.arn,
            vpc_config=aws.eks.ClusterVpcConfigArgs(
                subnet_ids=list(args.subnet_ids),
                endpoint_private_access=True,
                endpoint_public_access=bool(args.public_access_cidrs),
                public_access_cidrs=list(args.public_access_cidrs) or None,
            ),
            access_config=aws.eks.ClusterAccessConfigArgs(
                authentication_mode="API",
                # Otherwise a cluster without named admins would be closed to everyone.
                bootstrap_cluster_creator_admin_permissions=not args.admin_principal_arns,
            ),
            encryption_config=aws.eks.ClusterEncryptionConfigArgs(
                provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=key.arn),
                resources=["secrets"],
            ),
            enabled_cluster_log_types=list(_LOG_TYPES),
            # The add-ons are EKS add-ons, with versions and settings of ours.
            bootstrap_self_managed_addons=False,
            # When standard support ends, EKS upgrades: extended support costs six times as much.
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            deletion_protection=args.protect,
            tags={"Name": args.cluster_name},
            **auto_mode,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                # EKS uses the role's permissions and the log group from the first moment.
                depends_on=[*role_policies, log_group],
                # Read at creation only, and a change would replace the cluster.
                ignore_changes=["accessConfig.bootstrapClusterCreatorAdminPermissions"],
            ),
        )

    def _admins(self) -> list[pulumi.Resource]:
        """Access entries of the named principals; the associations are what a first `kubectl` needs."""
        associations: list[pulumi.Resource] = []
        for arn in self._args.admin_principal_arns:
            label = arn.split(":", 5)[-1].replace("/", "-")
            entry = aws.eks.AccessEntry(
                f"{self._name}-admin-{label}",
                cluster_name=self.name,
                principal_arn=arn,
                type="STANDARD",
                opts=self._child,
            )
            associations.append(
                aws.eks.AccessPolicyAssociation(
                    f"{self._name}-admin-{label}-policy",
                    cluster_name=self.name,
                    principal_arn=entry.principal_arn,
                    policy_arn=_ADMIN_POLICY,
                    access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                    opts=self._child,
                )
            )
        return associations

    def _workloads_group(self) -> pulumi.Output[str]:
        """A group without rules of its own: it is a name that databases can let in."""
        return aws.ec2.SecurityGroup(
            f"{self._name}-workloads",
            name=f"{self._args.cluster_name}-workloads",
            description="Nodes and pods of the cluster, as databases know them",
            vpc_id=self._args.vpc_id,
            tags={"Name": f"{self._args.cluster_name}-workloads"},
            opts=self._child,
        ).id

    def _nodes(self, role: aws.iam.Role, role_policies: Sequence[pulumi.Resource]) -> list[pulumi.Resource]:
        args = self._args
        cni = WorkloadIdentity(
            f"{self._name}-cni",
            WorkloadIdentityArgs(
                role_name=safe_name(args.cluster_name, "vpc-cni", limit=IAM_ROLE_NAME),
                cluster_name=self.name,
                cluster_arn=self.arn,
                namespace="kube-system",
                service_account="aws-node",
                region=args.region,
                managed_policies=("AmazonEKS_CNI_Policy",),
            ),
            opts=self._child,
        )
        addons = node_addons(
            self._name,
            cluster_name=self.name,
            cni_association=cni.association,
            versions=args.addon_versions,
            parent=self,
        )
        return [
            node_group(
                f"{self._name}-{group.name}",
                group,
                cluster_name=self.name,
                cluster_label=args.cluster_name,
                role_arn=role.arn,
                subnet_ids=args.subnet_ids,
                security_group_ids=[self.security_group_id, self.workload_security_group_id],
                instance_tags=args.instance_tags,
                # A node that may not join or pull, or that finds no network plug-in, never becomes ready.
                depends_on=[*role_policies, *addons],
                parent=self,
            )
            for group in args.node_groups
        ]


def _auto_mode(node_role_arn: pulumi.Input[str]) -> dict[str, Any]:
    """The three settings of Auto Mode, which EKS accepts only together."""
    return {
        "compute_config": aws.eks.ClusterComputeConfigArgs(
            enabled=True, node_pools=["general-purpose", "system"], node_role_arn=node_role_arn
        ),
        "kubernetes_network_config": aws.eks.ClusterKubernetesNetworkConfigArgs(
            elastic_load_balancing=aws.eks.ClusterKubernetesNetworkConfigElasticLoadBalancingArgs(
                enabled=True
            )
        ),
        "storage_config": aws.eks.ClusterStorageConfigArgs(
            block_storage=aws.eks.ClusterStorageConfigBlockStorageArgs(enabled=True)
        ),
    }
