"""The stack's EKS cluster, or one that is there: add-ons, and what gives it nodes enough."""

import pulumi

from components.cluster.addons import Addons, AddonsArgs
from components.cluster.cluster import Cluster, ClusterArgs
from components.cluster.cluster_autoscaler import ClusterAutoscaler, ClusterAutoscalerArgs
from components.cluster.existing import ExistingCluster, ExistingClusterArgs
from components.cluster.karpenter import Karpenter, KarpenterArgs
from components.cluster.keda import Keda, KedaArgs
from components.cluster.network_policy_controller import NetworkPolicyController
from components.cluster.node_groups import NodeGroupArgs
from components.network.existing import ExistingNetwork
from components.network.network import Network
from components.secrets.encryption import LogsKey
from stacks.agent_settings import LONGEST_GRACE
from stacks.settings import Settings
from stacks.vocabulary import Compute


def deploy_cluster(
    settings: Settings,
    name: str,
    region: str,
    network: Network | ExistingNetwork,
    logs_key: LogsKey,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> Cluster | ExistingCluster:
    wanted = settings.cluster
    existing = wanted.existing
    if existing is not None:
        return ExistingCluster(
            "cluster",
            ExistingClusterArgs(
                cluster_name=existing.name,
                workload_security_group_id=existing.security_group_id,
            ),
            opts,
        )
    return Cluster(
        "cluster",
        ClusterArgs(
            cluster_name=name,
            version=wanted.version,
            region=region,
            vpc_id=network.vpc_id,
            subnet_ids=network.private_subnet_ids,
            public_access_cidrs=wanted.endpoint_public_access_cidrs,
            admin_principal_arns=wanted.admin_principal_arns,
            node_groups=[
                NodeGroupArgs(
                    name=group.name,
                    instance_types=group.instance_types,
                    min_size=group.min_size,
                    max_size=group.max_size,
                    desired_size=group.min_size,
                    capacity_type=group.capacity_type,
                    disk_size_gib=group.disk_size,
                    architecture=wanted.architecture,
                )
                for group in wanted.node_groups
            ],
            auto_mode=wanted.compute is Compute.AUTO_MODE,
            addon_versions=wanted.addon_versions,
            instance_tags=tags,
            log_retention_days=wanted.log_retention_days,
            logs_kms_key_arn=logs_key.arn,
            protect=settings.production,
        ),
        opts,
    )


def deploy_addons(
    settings: Settings,
    name: str,
    region: str,
    cluster: Cluster,
    zone_arn: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> Addons:
    auto_mode = settings.cluster.compute is Compute.AUTO_MODE
    return Addons(
        "addons",
        AddonsArgs(
            cluster_name=cluster.name,
            cluster_arn=cluster.arn,
            cluster_label=name,
            region=region,
            auto_mode=auto_mode,
            versions=settings.cluster.addon_versions,
            external_dns_zone_arn=zone_arn,
            external_dns_domain=settings.ingress.hosted_zone,
            external_dns_owner=name,
            load_balancer_controller=not auto_mode,
            tainted_nodes=_spot(settings),
            nodes=cluster.ready,
        ),
        opts,
    )


def deploy_controllers(
    settings: Settings,
    name: str,
    region: str,
    network: Network | ExistingNetwork,
    cluster: Cluster,
    tags: dict[str, str],
    shared: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """What a cluster of the stack's own needs to have nodes enough."""
    if settings.cluster.compute is Compute.AUTO_MODE:
        NetworkPolicyController("network-policy-controller", shared, opts)
    if settings.cluster.compute is Compute.NODE_GROUPS:
        ClusterAutoscaler(
            "cluster-autoscaler",
            ClusterAutoscalerArgs(
                cluster_name=cluster.name,
                cluster_arn=cluster.arn,
                cluster_label=name,
                version=settings.cluster.version,
                region=region,
                replicas=2 if settings.production else 1,
                longest_grace_seconds=max(
                    (agent.lifetimes.grace_period for agent in settings.agents), default=LONGEST_GRACE
                ),
            ),
            opts,
        )
    if settings.cluster.compute is Compute.KARPENTER:
        _karpenter(settings, name, region, network, cluster, tags, shared, opts)


def deploy_keda(
    settings: Settings, shared: dict[str, str], opts: pulumi.ResourceOptions
) -> pulumi.Resource | None:
    """What scales agents by their queues, where any of them wants that."""
    if not any(agent.scales_by_queue for agent in settings.agents):
        return None
    return Keda("keda", KedaArgs(labels=shared, replicas=2 if settings.production else 1), opts).release


def _spot(settings: Settings) -> bool:
    """Whether there are Spot nodes: for agents that want them, or for those of other stacks that may."""
    others = not settings.agents and settings.cluster.compute is Compute.KARPENTER
    return others or any(agent.spot for agent in settings.agents)


def _karpenter(
    settings: Settings,
    name: str,
    region: str,
    network: Network | ExistingNetwork,
    cluster: Cluster,
    tags: dict[str, str],
    shared: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    Karpenter(
        "karpenter",
        KarpenterArgs(
            cluster_name=cluster.name,
            cluster_arn=cluster.arn,
            cluster_label=name,
            region=region,
            subnet_ids=network.private_subnet_ids,
            security_group_ids=[cluster.security_group_id, cluster.workload_security_group_id],
            node_role_name=cluster.nodes_role_name,
            node_role_arn=cluster.nodes_role_arn,
            architecture=settings.cluster.architecture,
            disk_size_gib=settings.cluster.karpenter.disk_size,
            cpu_limit=settings.cluster.karpenter.cpu_limit,
            spot=_spot(settings),
            replicas=2 if settings.production else 1,
            labels=shared,
            tags=tags,
        ),
        opts,
    )
