"""One agent, composed: its database and secrets, its identities, its server, and what keeps them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_random as random

from components.cluster.identity import WorkloadIdentity, WorkloadIdentityArgs
from components.edge.ingress import AlbIngress, IngressArgs, TraefikIngress
from components.naming import IAM_ROLE_NAME, labels, safe_name, selector_labels
from components.secrets.secret_mount import SecretMount, SecretMountArgs
from components.secrets.secrets import Secret, SecretArgs
from components.stores.agent_database import AgentDatabase, AgentDatabaseArgs
from components.workload.autoscaling import Autoscaling, AutoscalingArgs
from components.workload.maintenance import Migration, MigrationArgs, Retention, RetentionArgs
from components.workload.network_policies import NetworkPolicies, NetworkPoliciesArgs
from components.workload.pod import ContainerResources
from components.workload.workload import Workload, WorkloadArgs
from stacks.agent_settings import Agent, AgentSecret
from stacks.platform import AlbPlatform, Platform
from stacks.service import (
    DATABASE_ADMIN_URI,
    DATABASE_URI,
    METRICS_PORT,
    PORT,
    REDIS_URI,
    plain_variables,
)
from stacks.settings import Settings
from stacks.vocabulary import SecretSource


@dataclass(frozen=True)
class DeployedAgent:
    """What others need of an agent."""

    url: pulumi.Output[str]
    image: pulumi.Output[str]
    """By digest."""
    secret_arns: dict[str, pulumi.Output[str]]
    """By the name of the file that each becomes."""


ApiKeys = pulumi.Output[dict[str, dict[str, str]]]
"""``langgraph-agents:apiKeys``, secret: values by agent and name."""


@dataclass(frozen=True)
class _Agent:
    """One agent while it is composed: what all of its parts need."""

    agent: Agent
    settings: Settings
    platform: Platform
    child: pulumi.ResourceOptions

    @property
    def migrate(self) -> str:
        """Names what the migration Job alone has."""
        return f"{self.agent.name}-migrate"

    def labels(self, component: str) -> dict[str, str]:
        return labels(name=self.agent.name, component=component, instance=self.platform.stack)

    def variables(self) -> dict[str, str]:
        return {**plain_variables(self.agent, production=self.settings.production), **self.agent.env}


def deploy_agent(agent: Agent, settings: Settings, platform: Platform, api_keys: ApiKeys) -> DeployedAgent:
    """Make everything that is one agent's own."""
    group = pulumi.ComponentResource(
        "langgraph-agents:stacks:Agent", agent.name, opts=pulumi.ResourceOptions(providers=platform.providers)
    )
    this = _Agent(agent, settings, platform, pulumi.ResourceOptions(parent=group))
    image = pulumi.Output.from_input(agent.image or platform.image)

    database = _database(this)
    secrets = {
        DATABASE_URI: database.secret,
        REDIS_URI: platform.cache.secrets[agent.name],
        **{
            s.name: _secret(this, s, api_keys) for s in agent.secrets if s.source is not SecretSource.EXISTING
        },
    }
    files = {
        **{name: secret.arn for name, secret in secrets.items()},
        **{secret.name: pulumi.Output.from_input(secret.arn) for secret in agent.secrets if secret.arn},
    }
    policies = _network_policies(this)
    migration = _migration(this, image, database, policies)
    mount = _mount(this, agent.name, files)
    workload = _workload(
        this,
        image,
        mount,
        secrets_version=_version(*secrets.values()),
        rollout_after=(_identity(this, agent.name, files).association, migration.job, policies.server),
    )
    _autoscaling(this, workload)
    _retention(this, image, mount, workload)
    url = _ingress(this, workload)
    group.register_outputs({"url": url})
    return DeployedAgent(url=url, image=image, secret_arns=files)


def _database(this: _Agent) -> AgentDatabase:
    platform, name = this.platform, this.agent.name
    return AgentDatabase(
        f"{name}-database",
        AgentDatabaseArgs(
            database=_identifier(name),
            username=_identifier(name),
            address=platform.database.address,
            port=platform.database.port,
            secret_name=platform.secret_name(name, "database"),
            secrets_kms_key_arn=platform.secrets_key_arn,
            recovery_window_days=this.settings.secret_recovery_days,
            protect=this.settings.production,
        ),
        this.child,
    )


def _secret(this: _Agent, secret: AgentSecret, api_keys: ApiKeys) -> Secret:
    agent = this.agent.name
    name = f"{agent}-{secret.name.lower().replace('_', '-')}"
    value: pulumi.Output[str] | None = None
    if secret.source is SecretSource.CONFIG:
        value = api_keys.apply(lambda keys: keys[agent][secret.name])
    elif secret.source is SecretSource.GENERATED:
        value = random.RandomPassword(f"{name}-value", length=40, special=False, opts=this.child).result
    return Secret(
        name,
        SecretArgs(
            secret_name=this.platform.secret_name(agent, secret.name),
            description=f"{secret.name} of the agent {agent}",
            value=value,
            kms_key_arn=this.platform.secrets_key_arn,
            recovery_window_days=this.settings.secret_recovery_days,
            protect=this.settings.production,
        ),
        this.child,
    )


def _identity(this: _Agent, service_account: str, arns: Mapping[str, pulumi.Output[str]]) -> WorkloadIdentity:
    platform = this.platform
    return WorkloadIdentity(
        f"{service_account}-identity",
        WorkloadIdentityArgs(
            role_name=safe_name(platform.name, service_account, limit=IAM_ROLE_NAME),
            cluster_name=platform.cluster.name,
            cluster_arn=platform.cluster.arn,
            namespace=this.settings.namespace,
            service_account=service_account,
            region=platform.region,
            secret_arns=[arns[name] for name in sorted(arns)],
            kms_key_arn=platform.secrets_key_arn,
        ),
        this.child,
    )


def _mount(this: _Agent, class_name: str, arns: Mapping[str, pulumi.Output[str]]) -> SecretMount:
    return SecretMount(
        f"{class_name}-secrets",
        SecretMountArgs(
            namespace=this.platform.namespace.namespace,
            class_name=class_name,
            region=this.platform.region,
            labels=this.labels("server"),
            files=arns,
            crds_ready=this.platform.addons.secrets_store,
        ),
        this.child,
    )


def _network_policies(this: _Agent) -> NetworkPolicies:
    platform = this.platform
    return NetworkPolicies(
        f"{this.agent.name}-network",
        NetworkPoliciesArgs(
            namespace=platform.namespace.namespace,
            agent=this.agent.name,
            labels=this.labels("server"),
            server_labels=selector_labels(name=this.agent.name, component="server"),
            maintenance_labels={"app.kubernetes.io/name": this.agent.name},
            maintenance_components=("migrate", "prune"),
            port=PORT,
            metrics_port=METRICS_PORT,
            callers=platform.callers,
            scrapers=platform.scrapers,
            database_cidrs=platform.subnets.database,
            vpc_cidr=this.settings.network.cidr,
            endpoint_cidrs=platform.subnets.private if this.settings.network.interface_endpoints else (),
        ),
        this.child,
    )


def _migration(
    this: _Agent, image: pulumi.Output[str], database: AgentDatabase, policies: NetworkPolicies
) -> Migration:
    platform = this.platform
    files = {DATABASE_URI: database.secret.arn, DATABASE_ADMIN_URI: platform.database.admin_secret.arn}
    return Migration(
        f"{this.agent.name}-migration",
        MigrationArgs(
            namespace=platform.namespace.namespace,
            agent=this.agent.name,
            image=image,
            labels=this.labels("migrate"),
            variables=this.variables(),
            service_account=this.migrate,
            secret_provider_class=_mount(this, this.migrate, files).class_name,
            secrets_version=_version(database.secret, platform.database.admin_secret),
            certificates_config_map=platform.namespace.certificates_config_map,
            run_after=(
                _identity(this, this.migrate, files).association,
                policies.maintenance,
                *platform.pods_ready,
            ),
        ),
        this.child,
    )


def _workload(
    this: _Agent,
    image: pulumi.Output[str],
    mount: SecretMount,
    *,
    secrets_version: pulumi.Output[str],
    rollout_after: tuple[pulumi.Resource, ...],
) -> Workload:
    agent, resources = this.agent, this.agent.resources
    return Workload(
        f"{agent.name}-workload",
        WorkloadArgs(
            namespace=this.platform.namespace.namespace,
            agent=agent.name,
            image=image,
            labels=this.labels("server"),
            selector=selector_labels(name=agent.name, component="server"),
            variables=this.variables(),
            secret_provider_class=mount.class_name,
            secrets_version=secrets_version,
            certificates_config_map=this.platform.namespace.certificates_config_map,
            resources=ContainerResources(
                cpu_request=resources.requests.cpu,
                memory_request=resources.requests.memory,
                cpu_limit=resources.limits.cpu,
                memory_limit=resources.limits.memory,
            ),
            port=PORT,
            metrics_port=METRICS_PORT,
            pre_stop_seconds=agent.lifetimes.pre_stop,
            grace_period_seconds=agent.lifetimes.grace_period,
            rollout_after=rollout_after,
        ),
        this.child,
    )


def _autoscaling(this: _Agent, workload: Workload) -> None:
    Autoscaling(
        f"{this.agent.name}-autoscaling",
        AutoscalingArgs(
            namespace=this.platform.namespace.namespace,
            deployment=workload.deployment_name,
            labels=this.labels("server"),
            min_replicas=this.agent.replicas.min,
            max_replicas=this.agent.replicas.max,
            cpu_percent=this.agent.autoscaling.cpu,
            memory_percent=this.agent.autoscaling.memory,
        ),
        this.child,
    )


def _retention(this: _Agent, image: pulumi.Output[str], mount: SecretMount, workload: Workload) -> None:
    Retention(
        f"{this.agent.name}-retention",
        RetentionArgs(
            namespace=this.platform.namespace.namespace,
            agent=this.agent.name,
            image=image,
            labels=this.labels("prune"),
            service_account=workload.service_account,
            secret_provider_class=mount.class_name,
            config_map=workload.config_map,
            certificates_config_map=this.platform.namespace.certificates_config_map,
            idle_days=this.agent.retention.idle_days,
            schedule=this.agent.retention.schedule,
        ),
        this.child,
    )


def _ingress(this: _Agent, workload: Workload) -> pulumi.Output[str]:
    agent, platform = this.agent, this.platform
    name = f"{agent.name}-ingress"
    args = IngressArgs(
        namespace=platform.namespace.namespace,
        agent=agent.name,
        host=agent.host,
        service_name=workload.service_name,
        labels=this.labels("server"),
        average=agent.rate_limit.average,
        burst=agent.rate_limit.burst,
    )
    ingress = platform.ingress
    if isinstance(ingress, AlbPlatform):
        return AlbIngress(
            name,
            args,
            hosted_zone_id=ingress.hosted_zone_id,
            idle_timeout_seconds=this.settings.ingress.idle_timeout,
            group=platform.name,
            controller_ready=ingress.controller_ready,
            opts=this.child,
        ).url
    return TraefikIngress(
        name, args, cluster_issuer=ingress.issuer, crds_ready=ingress.controller_ready, opts=this.child
    ).url


def _identifier(name: str) -> str:
    """A PostgreSQL identifier that needs no quotes."""
    return name.replace("-", "_")


def _version(*secrets: Secret) -> pulumi.Output[str]:
    """Changes when a value of ``secrets`` does; tells nothing of the values."""
    return pulumi.Output.all(*[secret.version_id for secret in secrets]).apply(
        lambda versions: hashlib.sha256("\0".join(versions).encode()).hexdigest()[:16]
    )
