"""PgBouncer of a stack: between its agents and their databases."""

from collections.abc import Mapping

import pulumi

from components.cluster.node_groups import ARCH_LABEL, ARCH_VALUES
from components.naming import labels
from components.pooling.configuration import PooledDatabase, logins
from components.pooling.pgbouncer import IMAGE_CONTEXT, LOGINS, NAME, PgBouncer, PgBouncerArgs
from components.secrets.secrets import Secret, SecretArgs
from components.stores.max_connections import max_connections
from components.workload.image import Image
from stacks.agent_access import grant
from stacks.agent_secrets import SecretFiles, files_version
from stacks.built_images import image_args
from stacks.connections import POOLERS, max_clients, pool_sizes, pooler_resources
from stacks.platform import Platform
from stacks.service import METRICS_PORT
from stacks.settings import Settings


def deploy_pooler(
    settings: Settings, platform: Platform, passwords: Mapping[str, tuple[str, pulumi.Output[str]]]
) -> pulumi.Resource:
    """Make PgBouncer, for the logins that the agents have.

    Args:
        passwords: by agent its login, which is the name of its database too, and its password.

    Returns:
        The leaf with which agents can connect by it.
    """
    group = pulumi.ComponentResource(
        "langgraph-agents:stacks:Pooler", "pooler", opts=pulumi.ResourceOptions(providers=platform.providers)
    )
    opts = pulumi.ResourceOptions(parent=group)
    named = labels(name=NAME, component="pooler", instance=platform.stack)
    secret = Secret(
        "pooler-logins",
        SecretArgs(
            secret_name=platform.secret_name("database", "pooler"),
            description="Logins of the agents, for PgBouncer",
            value=pulumi.Output.all(**dict(passwords.values())).apply(
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
                PooledDatabase(name=passwords[agent.name][0], connections=sizes[agent.name])
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
    group.register_outputs({})
    return pooler.ready
