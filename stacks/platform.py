"""What all agents of a stack share: network, cluster, stores, image, ingress."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.cluster.cluster import Cluster
from components.cluster.existing import ExistingCluster
from components.cluster.keda import NAMESPACE as KEDA_NAMESPACE
from components.cluster.keda import POD_LABELS as KEDA_PODS
from components.cluster.kubeconfig import kubeconfig
from components.cluster.node_groups import Architecture
from components.edge.traefik import NAMESPACE as TRAEFIK_NAMESPACE
from components.edge.traefik import POD_LABELS as TRAEFIK_PODS
from components.naming import (
    ELASTICACHE_REPLICATION_GROUP_ID,
    PART_OF,
    RDS_IDENTIFIER,
    labels,
    safe_name,
)
from components.network.existing import ExistingNetwork, ExistingNetworkArgs
from components.network.network import Network, NetworkArgs
from components.secrets.encryption import ImagesKey, LogsKey, LogsKeyArgs
from components.secrets.secrets import SecretsKey, SecretsKeyArgs
from components.stores.cache import Cache, CacheArgs, CacheClientArgs
from components.stores.checkpointer import Checkpointer, CheckpointerArgs
from components.stores.existing_cache import ExistingCache, ExistingCacheArgs
from components.stores.existing_database import ExistingDatabase, ExistingDatabaseArgs
from components.stores.rds_ca import rds_ca
from components.workload.image import Image
from components.workload.namespace import AgentNamespace, NamespaceArgs
from components.workload.network_policies import Peer, cidr_peers, name_servers, namespace_peer
from stacks.built_images import image_args, needs_stack_image
from stacks.platform_cluster import deploy_addons, deploy_cluster, deploy_controllers, deploy_keda
from stacks.platform_ingress import AlbPlatform, TraefikPlatform, deploy_ingress
from stacks.quota import quota
from stacks.registries import Registries, deploy_registries
from stacks.secret_names import CACHE, secret_name
from stacks.settings import Settings
from stacks.vocabulary import Compute, IngressController, Pooler


@dataclass(frozen=True)
class Platform:
    """The shared parts, as the agents need them."""

    name: str
    """``langgraph-agents-<stack>``; begins the names of AWS resources."""
    stack: str
    region: str
    account_id: pulumi.Output[str]
    providers: list[pulumi.ProviderResource]
    """AWS and Kubernetes."""
    network: Network | ExistingNetwork
    cluster: Cluster | ExistingCluster
    secrets_store: pulumi.Resource | None
    """Mounts secrets; None where it is there already."""
    cert_manager: pulumi.Resource | None
    """Issues certificates; None where it is there already."""
    database: Checkpointer | ExistingDatabase
    cache: Cache | ExistingCache
    secrets_key_arn: pulumi.Output[str]
    logs_key_arn: pulumi.Output[str]
    architecture: Architecture
    """That images are built for."""
    image: pulumi.Output[str]
    """By digest, for the agents that name neither an image nor a source, and for the migrations of Agent Servers."""
    images_key_arn: pulumi.Output[str] | None
    """Of the repositories that agents with a source have."""
    namespace: AgentNamespace
    registries: Registries
    ingress: TraefikPlatform | AlbPlatform
    callers: Sequence[Peer]
    """Where requests come from."""
    scrapers: Sequence[Peer]
    """Who reads metrics."""
    queue_readers: Sequence[Peer]
    """Who reads the metrics of agents that scale by their queue."""
    keda: pulumi.Resource | None
    """Scales them; None where it is there already, or nobody wants it."""
    name_servers: Sequence[Peer]
    """Who resolves names."""
    pods_ready: tuple[pulumi.Resource, ...]
    """Leaves without which no pod of an agent starts as it should: name resolution, secrets, and behind an Application
    Load Balancer its controller."""

    def secret_name(self, *path: str) -> str:
        """The name of a Secrets Manager entry of this stack."""
        return secret_name(self.stack, *path)


def deploy_platform(
    settings: Settings, *, stack: str, region: str, account_ids: Sequence[str] = ()
) -> Platform:
    """Make everything that the agents of a stack share.

    Args:
        account_ids: AWS accounts that it may be deployed to; any when empty.
    """
    name = f"{PART_OF}-{stack}"
    production = settings.production
    tags = {"project": PART_OF, "stack": stack, **settings.tags}
    provider = aws.Provider(
        "aws",
        region=region,
        # A provider of its own does not read aws:allowedAccountIds by itself.
        allowed_account_ids=list(account_ids) or None,
        default_tags=aws.ProviderDefaultTagsArgs(tags=tags),
    )
    on_aws = pulumi.ResourceOptions(providers=[provider])
    invoke = pulumi.InvokeOptions(provider=provider)

    account = aws.get_caller_identity_output(opts=invoke).account_id
    zone = aws.route53.get_zone_output(name=settings.ingress.hosted_zone, private_zone=False, opts=invoke)
    logs_key = LogsKey(
        "logs-key",
        LogsKeyArgs(alias=f"{name}-logs", account_id=account, region=region, protect=production),
        on_aws,
    )
    secrets_key = SecretsKey(
        "secrets-key", SecretsKeyArgs(alias=f"{name}-secrets", protect=production), on_aws
    )
    network = _network(settings, name, region, logs_key, on_aws, invoke)
    cluster = deploy_cluster(settings, name, region, network, logs_key, tags, on_aws)
    database = _database(settings, stack, name, network, cluster, secrets_key, logs_key, on_aws)
    cache = _cache(settings, stack, name, network, cluster, secrets_key, logs_key, on_aws)
    image = _image(settings, name, region, on_aws)
    images_key = None
    if settings.image.repository is None and any(agent.source for agent in settings.agents):
        images_key = ImagesKey("images-key", alias=f"{name}-images", protect=production, opts=on_aws)

    auto_mode = settings.cluster.compute is Compute.AUTO_MODE
    addons = (
        deploy_addons(settings, name, region, cluster, zone.arn, on_aws)
        if isinstance(cluster, Cluster)
        else None
    )
    kubernetes = k8s.Provider(
        "kubernetes",
        kubeconfig=kubeconfig(
            name=cluster.name,
            endpoint=cluster.endpoint,
            certificate_authority_data=cluster.certificate_authority_data,
            region=region,
        ),
        # A kubeconfig that changes would replace every object behind the provider; the cluster's ARN does not change.
        cluster_identifier=cluster.arn,
        enable_server_side_apply=True,
        # Otherwise the provider replaces a ConfigMap whose data changes, and with a fixed name that means: deletes it
        # first, while pods that start need it. The checksum in the pod template rolls them instead.
        enable_config_map_mutable=True,
        # The deployer may use the API server, and there are nodes.
        opts=pulumi.ResourceOptions(depends_on=list(cluster.ready)),
    )
    on_kubernetes = pulumi.ResourceOptions(providers=[provider, kubernetes])
    shared = labels(name="platform", component="platform", instance=stack)
    keda = None
    if isinstance(cluster, Cluster):
        deploy_controllers(settings, name, region, network, cluster, tags, shared, on_kubernetes)
        keda = deploy_keda(settings, shared, on_kubernetes)
    traefik = settings.ingress.controller is IngressController.TRAEFIK
    pooled = settings.database.pooler is Pooler.PGBOUNCER
    callers = (
        [namespace_peer(TRAEFIK_NAMESPACE, TRAEFIK_PODS)] if traefik else cidr_peers(network.public_cidrs)
    )
    ingress = deploy_ingress(settings, name, region, network, addons, shared, zone.zone_id, on_kubernetes)
    gated = ingress if isinstance(ingress, AlbPlatform) else None
    namespace = AgentNamespace(
        "namespace",
        NamespaceArgs(
            namespace=settings.namespace,
            labels=shared,
            quota=quota(settings.agents, certificate_solvers=traefik, pooled=pooled),
            certificates=rds_ca(region),
            certificate_solver_peers=tuple(callers) if traefik else (),
            readiness_gate=gated.readiness_gate if gated else {},
        ),
        on_kubernetes,
    )
    return Platform(
        name=name,
        stack=stack,
        region=region,
        account_id=account,
        providers=[provider, kubernetes],
        network=network,
        cluster=cluster,
        secrets_store=addons.secrets_store if addons else None,
        cert_manager=addons.cert_manager if addons else None,
        database=database,
        cache=cache,
        secrets_key_arn=secrets_key.arn,
        logs_key_arn=logs_key.arn,
        architecture=settings.cluster.architecture,
        image=image,
        images_key_arn=images_key.arn if images_key else None,
        namespace=namespace,
        registries=deploy_registries(settings, namespace, stack, on_kubernetes),
        ingress=ingress,
        callers=callers,
        scrapers=[namespace_peer("monitoring")],
        queue_readers=[namespace_peer(KEDA_NAMESPACE, KEDA_PODS)],
        keda=keda,
        name_servers=name_servers(auto_mode=auto_mode),
        pods_ready=tuple(
            leaf
            for leaf in (
                addons.coredns if addons else None,
                addons.secrets_store if addons else None,
                # Its webhook sees every pod of the namespace: it is there before the first, and goes after the last.
                gated.controller_ready if gated else None,
            )
            if leaf is not None
        ),
    )


def _network(
    settings: Settings,
    name: str,
    region: str,
    logs_key: LogsKey,
    opts: pulumi.ResourceOptions,
    invoke: pulumi.InvokeOptions,
) -> Network | ExistingNetwork:
    wanted = settings.network
    existing = wanted.existing
    if existing is not None:
        return ExistingNetwork(
            "network",
            ExistingNetworkArgs(
                vpc_id=existing.vpc_id,
                public_subnet_ids=existing.public_subnet_ids,
                private_subnet_ids=existing.private_subnet_ids,
                database_subnet_ids=existing.database_subnet_ids,
            ),
            opts,
        )
    zones = aws.get_availability_zones_output(
        state="available",
        # Local and Wavelength zones have to be opted into, and have no room for a database.
        filters=[aws.GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])],
        opts=invoke,
    )
    return Network(
        "network",
        NetworkArgs(
            cidr=wanted.cidr or "",
            zones=[zones.names.apply(partial(_zone, index, region)) for index in range(wanted.zones)],
            nat_gateways=wanted.nat_gateways,
            region=region,
            cluster_name=name,
            interface_endpoints=wanted.interface_endpoints,
            flow_logs=wanted.flow_logs,
            flow_logs_retention_days=settings.cluster.log_retention_days,
            logs_kms_key_arn=logs_key.arn,
            protect=settings.production,
        ),
        opts,
    )


def _zone(index: int, region: str, names: Sequence[str]) -> str:
    if index >= len(names):
        raise pulumi.RunError(
            f"{region} offers this account {len(names)} zones: lower network.zones to {len(names)}"
        )
    return names[index]


def _database(
    settings: Settings,
    stack: str,
    name: str,
    network: Network | ExistingNetwork,
    cluster: Cluster | ExistingCluster,
    secrets_key: SecretsKey,
    logs_key: LogsKey,
    opts: pulumi.ResourceOptions,
) -> Checkpointer | ExistingDatabase:
    wanted = settings.database
    existing = wanted.existing
    if existing is not None:
        return ExistingDatabase(
            "database",
            ExistingDatabaseArgs(
                identifier=existing.identifier,
                admin_secret_arn=existing.admin_secret_arn,
                admin_secret_kms_key_arn=existing.admin_secret_kms_key_arn,
                security_group_id=existing.security_group_id,
                client_security_group_id=cluster.workload_security_group_id,
            ),
            opts,
        )
    return Checkpointer(
        "database",
        CheckpointerArgs(
            identifier=safe_name(name, limit=RDS_IDENTIFIER),
            engine_version=wanted.engine_version,
            allow_major_version_upgrade=wanted.allow_major_upgrade,
            instance_class=wanted.instance_class,
            allocated_storage_gib=wanted.allocated_storage,
            max_allocated_storage_gib=wanted.max_allocated_storage,
            multi_az=wanted.multi_az,
            deletion_protection=wanted.deletion_protection,
            backup_retention_days=wanted.backup_retention_days,
            vpc_id=network.vpc_id,
            subnet_ids=network.database_subnet_ids,
            client_security_group_id=cluster.workload_security_group_id,
            secrets_kms_key_arn=secrets_key.arn,
            admin_secret_name=secret_name(stack, "database", "admin"),
            recovery_window_days=settings.secret_recovery_days,
            performance_insights=wanted.performance_insights,
            monitoring_interval_seconds=60 if settings.production else 0,
            log_retention_days=settings.cluster.log_retention_days,
            logs_kms_key_arn=logs_key.arn,
            protect=settings.production,
        ),
        opts,
    )


def _cache(
    settings: Settings,
    stack: str,
    name: str,
    network: Network | ExistingNetwork,
    cluster: Cluster | ExistingCluster,
    secrets_key: SecretsKey,
    logs_key: LogsKey,
    opts: pulumi.ResourceOptions,
) -> Cache | ExistingCache:
    wanted = settings.cache
    clients = [
        CacheClientArgs(
            name=agent.data_name,
            key_prefix=agent.key_prefix,
            secret_name=secret_name(stack, agent.data_name, CACHE),
        )
        for agent in settings.agents
    ]
    existing = wanted.existing
    if existing is not None:
        return ExistingCache(
            "cache",
            ExistingCacheArgs(
                replication_group_id=existing.replication_group_id,
                user_group_id=existing.user_group_id,
                security_group_id=existing.security_group_id,
                engine=wanted.engine,
                clients=clients,
                client_security_group_id=cluster.workload_security_group_id,
                secrets_kms_key_arn=secrets_key.arn,
                recovery_window_days=settings.secret_recovery_days,
                protect=settings.production,
            ),
            opts,
        )
    return Cache(
        "cache",
        CacheArgs(
            replication_group_id=safe_name(name, limit=ELASTICACHE_REPLICATION_GROUP_ID),
            engine=wanted.engine,
            engine_version=wanted.engine_version,
            node_type=wanted.node_type,
            replicas=wanted.replicas,
            multi_az=wanted.replicas > 0,
            snapshot_retention_days=wanted.snapshot_retention_days,
            vpc_id=network.vpc_id,
            subnet_ids=network.database_subnet_ids,
            client_security_group_id=cluster.workload_security_group_id,
            secrets_kms_key_arn=secrets_key.arn,
            recovery_window_days=settings.secret_recovery_days,
            log_retention_days=settings.cluster.log_retention_days,
            logs_kms_key_arn=logs_key.arn,
            clients=clients,
            protect=settings.production,
        ),
        opts,
    )


def _image(settings: Settings, name: str, region: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    if not any(needs_stack_image(agent) for agent in settings.agents):
        return pulumi.Output.from_input("")
    return Image(
        "image",
        image_args(settings, name=name, region=region, context=settings.image.context),
        opts,
    ).ref
