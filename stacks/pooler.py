"""What stands between the agents of a stack and their databases: PgBouncer, RDS Proxy, or nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import pulumi
import pulumi_kubernetes as k8s

from components.cluster.node_groups import ARCH_LABEL, ARCH_VALUES
from components.naming import RDS_IDENTIFIER, labels, safe_name
from components.pooling.amazon_roots import amazon_roots
from components.pooling.configuration import PooledDatabase, logins
from components.pooling.pgbouncer import (
    CERTIFICATE_SECRET,
    IMAGE_CONTEXT,
    LOGINS,
    NAME,
    POD_LABELS,
    PgBouncer,
    PgBouncerArgs,
    host,
)
from components.pooling.rds_proxy import LoginArgs, RdsProxy, RdsProxyArgs
from components.secrets.secrets import Secret, SecretArgs
from components.stores.agent_database import AgentDatabase, PoolerArgs
from components.stores.checkpointer import Checkpointer
from components.stores.database_uri import PGBOUNCER_CA_FILE, RDS_PROXY_CA_FILE
from components.stores.max_connections import max_connections
from components.workload.image import Image
from components.workload.network_policies import POOLER_PORT
from stacks.agent_access import grant
from stacks.agent_secrets import SecretFiles, files_version
from stacks.built_images import image_args
from stacks.connections import POOLERS, max_clients, pool_sizes, pooler_resources, proxy_percent
from stacks.platform import Platform
from stacks.secret_names import DATABASE_LOGIN
from stacks.service import METRICS_PORT
from stacks.settings import Settings
from stacks.vocabulary import Pooler

# Names the ConfigMap of who signs for RDS Proxy. Not a key of that of RDS's own authorities: when the proxy goes, pods
# that still connect by it keep the file until they are replaced.
_RDS_PROXY_CERTIFICATES = "rds-proxy-certificates"


@dataclass(frozen=True)
class DeployedPooler:
    """What agents need of it."""

    connection: PoolerArgs
    """How their pods connect by it."""
    certificates: k8s.core.v1.VolumeProjectionArgs
    """The file of who signed its certificate."""
    pod_labels: Mapping[str, str] | None
    """Of its pods; None where the cluster runs none."""
    ready: pulumi.Resource
    """The leaf with which they can connect by it."""


def deploy_pooler(
    settings: Settings, platform: Platform, databases: Mapping[str, AgentDatabase]
) -> DeployedPooler | None:
    """Make the pooler that the settings name, for the logins that the agents have.

    Args:
        databases: by agent.

    Returns:
        How agents connect by it; None where they connect to PostgreSQL itself.
    """
    if settings.database.pooler is Pooler.NONE or not databases:
        return None
    group = pulumi.ComponentResource(
        "langgraph-agents:stacks:Pooler", "pooler", opts=pulumi.ResourceOptions(providers=platform.providers)
    )
    opts = pulumi.ResourceOptions(parent=group)
    deploy = _rds_proxy if settings.database.pooler is Pooler.RDS_PROXY else _pgbouncer
    pooler = deploy(settings, platform, databases, opts)
    group.register_outputs({})
    return pooler


def _pgbouncer(
    settings: Settings,
    platform: Platform,
    databases: Mapping[str, AgentDatabase],
    opts: pulumi.ResourceOptions,
) -> DeployedPooler:
    named = labels(name=NAME, component="pooler", instance=platform.stack)
    secret = Secret(
        "pooler-logins",
        SecretArgs(
            secret_name=platform.secret_name("database", "pooler"),
            description="Logins of the agents, for PgBouncer",
            value=pulumi.Output.all(**{each.username: each.password for each in databases.values()}).apply(
                lambda known: logins({login: known[login] for login in sorted(known)})
            ),
            kms_key_arn=platform.secrets_key_arn,
            recovery_window_days=settings.secret_recovery_days,
            protect=settings.production,
        ),
        opts,
    )
    access = grant(
        NAME,
        SecretFiles({LOGINS: secret.arn}, files_version(secret)),
        platform,
        settings.namespace,
        named,
        opts,
    )
    sizes = pool_sizes(settings.agents, max_connections(settings.database.instance_class))
    pooler = PgBouncer(
        "pgbouncer",
        PgBouncerArgs(
            namespace=platform.namespace.namespace,
            namespace_name=settings.namespace,
            image=Image(
                "pooler-image",
                image_args(
                    settings, name=platform.name, region=platform.region, context=IMAGE_CONTEXT, part=NAME
                ),
                opts,
            ).ref,
            replicas=POOLERS,
            labels=named,
            clients={"app.kubernetes.io/part-of": named["app.kubernetes.io/part-of"]},
            databases=[
                PooledDatabase(name=databases[agent.name].username, connections=sizes[agent.name])
                for agent in settings.agents
            ],
            max_clients=max_clients(settings.agents),
            metrics_port=METRICS_PORT,
            scrapers=platform.scrapers,
            address=platform.database.address,
            port=platform.database.port,
            database_cidrs=platform.network.database_cidrs,
            name_servers=platform.name_servers,
            certificates_config_map=platform.namespace.certificates_config_map,
            service_account=access.service_account,
            secret_provider_class=access.secret_provider_class,
            secrets_version=access.version,
            resources=pooler_resources(settings.agents),
            node_selector={ARCH_LABEL: ARCH_VALUES[settings.cluster.architecture]},
            certificates_ready=platform.cert_manager,
            run_after=(access.granted, *platform.pods_ready),
        ),
        opts,
    )
    return DeployedPooler(
        PoolerArgs(
            name="PgBouncer",
            address=host(settings.namespace),
            port=POOLER_PORT,
            ca_file=PGBOUNCER_CA_FILE,
        ),
        k8s.core.v1.VolumeProjectionArgs(
            secret=k8s.core.v1.SecretProjectionArgs(
                name=CERTIFICATE_SECRET,
                # Not its key.
                items=[k8s.core.v1.KeyToPathArgs(key="ca.crt", path=PurePosixPath(PGBOUNCER_CA_FILE).name)],
            )
        ),
        POD_LABELS,
        pooler.ready,
    )


def _rds_proxy(
    settings: Settings,
    platform: Platform,
    databases: Mapping[str, AgentDatabase],
    opts: pulumi.ResourceOptions,
) -> DeployedPooler:
    database = platform.database
    # The settings refuse it for an instance of somebody else's.
    assert isinstance(database, Checkpointer)  # noqa: S101
    wanted = settings.database
    proxy = RdsProxy(
        "rds-proxy",
        RdsProxyArgs(
            proxy_name=safe_name(platform.name, limit=RDS_IDENTIFIER),
            region=platform.region,
            logins=[
                LoginArgs(
                    name=agent.data_name,
                    username=databases[agent.name].username,
                    password=databases[agent.name].password,
                    secret_name=platform.secret_name(agent.data_name, DATABASE_LOGIN),
                )
                for agent in settings.agents
            ],
            secrets_kms_key_arn=platform.secrets_key_arn,
            recovery_window_days=settings.secret_recovery_days,
            instance_identifier=database.identifier,
            database_security_group_id=database.security_group_id,
            client_security_group_id=platform.cluster.workload_security_group_id,
            vpc_id=platform.network.vpc_id,
            # Its own, so that what lets agents' pods out to the instance lets them out to it.
            subnet_ids=platform.network.database_subnet_ids,
            connections_percent=proxy_percent(len(settings.agents), max_connections(wanted.instance_class)),
            log_retention_days=settings.cluster.log_retention_days,
            logs_kms_key_arn=platform.logs_key_arn,
            protect=settings.production,
        ),
        opts,
    )
    certificates = k8s.core.v1.ConfigMap(
        _RDS_PROXY_CERTIFICATES,
        metadata=k8s.meta.v1.ObjectMetaArgs(
            name=_RDS_PROXY_CERTIFICATES,
            namespace=platform.namespace.namespace,
            labels=labels(name="rds-proxy", component="pooler", instance=platform.stack),
        ),
        data={PurePosixPath(RDS_PROXY_CA_FILE).name: amazon_roots()},
        opts=opts,
    )
    return DeployedPooler(
        PoolerArgs(name="RDS Proxy", address=proxy.address, port=proxy.port, ca_file=RDS_PROXY_CA_FILE),
        k8s.core.v1.VolumeProjectionArgs(
            config_map=k8s.core.v1.ConfigMapProjectionArgs(name=certificates.metadata.name)
        ),
        None,
        proxy.ready,
    )
