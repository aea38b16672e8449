"""One agent, composed in the order in which its parts need each other.

Its login to a database, which a pooler of all agents has to know before it is there itself. What it is to know
(``agent_secrets``), which pods may read that (``agent_access``), whom they may speak to, the migration of its database,
its server, and what belongs to it: scaling, retention, Ingress.

An agent that is renamed keeps what data, permissions and callers hang on, by ``Agent.data_name``: its database,
entries, roles, ServiceAccounts and Ingress, and the URN of every resource. What serves is made anew under its new name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pulumi

from components.edge.ingress import AlbIngress, IngressArgs, TraefikIngress
from components.naming import labels, selector_labels
from components.stores.agent_database import AgentDatabase
from components.workload.autoscaling import Autoscaling, AutoscalingArgs, QueueArgs
from components.workload.container import ContainerResources
from components.workload.maintenance import Migration, MigrationArgs, Retention, RetentionArgs
from components.workload.network_policies import NetworkPolicies, NetworkPoliciesArgs
from components.workload.workload import FleetArgs, Workload, WorkloadArgs
from stacks import agent_permissions
from stacks.agent_access import SecretAccess, grant, key_statements
from stacks.agent_image import deploy_image
from stacks.agent_pod import companions, destinations, pod_options
from stacks.agent_runtime import AgentRuntime, further_variables, runtime_of
from stacks.agent_secrets import ApiKeys, deploy_database, deploy_secrets
from stacks.agent_settings import Agent, Workers
from stacks.container_settings import Resources
from stacks.platform import Platform
from stacks.platform_ingress import AlbPlatform
from stacks.pooler import DeployedPooler
from stacks.service import BEHIND, METRICS_PORT, OPEN_RUNS, PORT, SECRETS_DIR
from stacks.settings import Ingress, Settings

__all__ = ["ApiKeys", "BegunAgent", "DeployedAgent", "begin_agent", "deploy_agent"]


@dataclass(frozen=True)
class DeployedAgent:
    """What others need of an agent."""

    url: pulumi.Output[str]
    image: pulumi.Output[str]
    """By digest."""
    secret_arns: Mapping[str, pulumi.Output[str]]
    """By the name of the file that each becomes."""


@dataclass(frozen=True)
class BegunAgent:
    """An agent that has a login, and nothing yet that connects by it."""

    agent: Agent
    group: pulumi.ComponentResource
    """The parent of all that is its own."""
    database: AgentDatabase


def begin_agent(agent: Agent, settings: Settings, platform: Platform) -> BegunAgent:
    """Make an agent's login to a database of its own, which a pooler needs before the agent runs."""
    group = pulumi.ComponentResource(
        "langgraph-agents:stacks:Agent",
        agent.name,
        opts=pulumi.ResourceOptions(
            providers=platform.providers,
            aliases=[pulumi.Alias(name=agent.renamed_from)] if agent.renamed_from else None,
        ),
    )
    opts = pulumi.ResourceOptions(parent=group)
    return BegunAgent(agent, group, deploy_database(agent, settings, platform, opts))


def deploy_agent(
    begun: BegunAgent,
    settings: Settings,
    platform: Platform,
    pooler: DeployedPooler | None,
    api_keys: ApiKeys,
) -> DeployedAgent:
    """Make everything else that is one agent's own.

    Args:
        pooler: by which its pods connect to PostgreSQL; None where they do so themselves.
    """
    agent = begun.agent
    opts = pulumi.ResourceOptions(parent=begun.group)
    image = deploy_image(agent, settings, platform, opts)
    further = {**BEHIND[settings.database.pooler], **further_variables(agent, platform.region)}
    runtime = runtime_of(agent, production=settings.production)
    secrets = deploy_secrets(
        agent,
        settings,
        platform,
        begun.database,
        pooler.connection if pooler else None,
        api_keys,
        opts,
    )
    served = _labels(agent, platform, "server")
    migrate = grant(
        f"{agent.data_name}-migrate",
        secrets.migration,
        platform,
        settings.namespace,
        served,
        opts,
        statements=key_statements(platform.database.admin_secret, platform.region),
    )
    allowed = agent_permissions.statements(agent, platform.region, platform.account_id)
    serve = grant(
        agent.data_name, secrets.server, platform, settings.namespace, served, opts, statements=allowed
    )
    policies = _network_policies(agent, settings, platform, pooler, runtime, opts)
    migration = _migration(agent, platform, image, runtime, further, migrate, policies, opts)
    ready = (
        migration.job,
        policies.server,
        *([policies.worker] if policies.worker else []),
        *([pooler.ready] if pooler else []),
    )
    workload = _workload(agent, platform, pooler, image, runtime, further, serve, ready, opts)
    _autoscaling(agent, platform, workload, opts)
    if runtime.is_service:
        _retention(agent, platform, pooler, image, serve, workload, opts)
    url = _ingress(agent, settings.ingress, platform, workload, opts)
    begun.group.register_outputs({"url": url})
    return DeployedAgent(url=url, image=image, secret_arns=secrets.server.arns)


def _labels(agent: Agent, platform: Platform, component: str) -> dict[str, str]:
    return labels(name=agent.name, component=component, instance=platform.stack)


def _network_policies(
    agent: Agent,
    settings: Settings,
    platform: Platform,
    pooler: DeployedPooler | None,
    runtime: AgentRuntime,
    opts: pulumi.ResourceOptions,
) -> NetworkPolicies:
    return NetworkPolicies(
        f"{agent.data_name}-network",
        NetworkPoliciesArgs(
            namespace=platform.namespace.namespace,
            agent=agent.name,
            labels=_labels(agent, platform, "server"),
            server_labels=selector_labels(name=agent.name, component="server"),
            worker_labels=selector_labels(name=agent.name, component="worker") if agent.workers else None,
            maintenance_labels={"app.kubernetes.io/name": agent.name},
            maintenance_components=("migrate", "prune"),
            port=PORT,
            metrics_port=runtime.metrics_port,
            callers=platform.callers,
            scrapers=[*platform.scrapers, *(platform.queue_readers if agent.scales_by_queue else ())],
            name_servers=platform.name_servers,
            database_cidrs=platform.network.database_cidrs,
            vpc_cidrs=platform.network.cidrs,
            endpoint_cidrs=platform.network.private_cidrs if settings.network.interface_endpoints else (),
            pooler_labels=pooler.pod_labels if pooler else None,
            further=destinations(agent),
        ),
        opts,
    )


def _migration(
    agent: Agent,
    platform: Platform,
    image: pulumi.Output[str],
    runtime: AgentRuntime,
    further: Mapping[str, str],
    access: SecretAccess,
    policies: NetworkPolicies,
    opts: pulumi.ResourceOptions,
) -> Migration:
    # The Agent Server makes its tables itself, in a database that it cannot make.
    own = runtime.is_service
    return Migration(
        f"{agent.data_name}-migration",
        MigrationArgs(
            namespace=platform.namespace.namespace,
            agent=agent.name,
            image=image if own else platform.image,
            database_only=not own,
            labels=_labels(agent, platform, "migrate"),
            variables={**runtime.variables, **further} if own else {"SECRETS_DIR": SECRETS_DIR},
            service_account=access.service_account,
            secret_provider_class=access.secret_provider_class,
            secrets_version=access.version,
            certificates_config_map=platform.namespace.certificates_config_map,
            options=pod_options(agent, platform.registries, platform.architecture),
            run_after=(access.granted, policies.maintenance, *platform.pods_ready),
        ),
        opts,
    )


def container_resources(resources: Resources) -> ContainerResources:
    return ContainerResources(
        cpu_request=resources.requests.cpu,
        memory_request=resources.requests.memory,
        cpu_limit=resources.limits.cpu,
        memory_limit=resources.limits.memory,
    )


def _workers(
    agent: Agent, platform: Platform, runtime: AgentRuntime, further: Mapping[str, str]
) -> FleetArgs | None:
    if agent.workers is None:
        return None
    return FleetArgs(
        labels=_labels(agent, platform, "worker"),
        selector=selector_labels(name=agent.name, component="worker"),
        variables={**runtime.worker_variables, **further},
        resources=container_resources(agent.workers.resources),
        grace_period_seconds=agent.lifetimes.grace_period,
        serving=runtime.worker_serving,
    )


def _workload(
    agent: Agent,
    platform: Platform,
    pooler: DeployedPooler | None,
    image: pulumi.Output[str],
    runtime: AgentRuntime,
    further: Mapping[str, str],
    access: SecretAccess,
    rollout_after: tuple[pulumi.Resource, ...],
    opts: pulumi.ResourceOptions,
) -> Workload:
    return Workload(
        f"{agent.data_name}-workload",
        WorkloadArgs(
            namespace=platform.namespace.namespace,
            agent=agent.name,
            image=image,
            service_account=access.service_account,
            labels=_labels(agent, platform, "server"),
            selector=selector_labels(name=agent.name, component="server"),
            variables={**runtime.variables, **further},
            secret_provider_class=access.secret_provider_class,
            secrets_version=access.version,
            certificates_config_map=platform.namespace.certificates_config_map,
            pooler_certificates=pooler.certificates if pooler else None,
            resources=container_resources(agent.resources),
            options=replace(
                pod_options(agent, platform.registries, platform.architecture),
                companions=companions(
                    agent, platform.registries, pulumi.InvokeOutputOptions(parent=opts.parent)
                ),
            ),
            serving=runtime.serving,
            port=PORT,
            metrics_port=runtime.metrics_port,
            pre_stop_seconds=agent.lifetimes.pre_stop,
            grace_period_seconds=agent.lifetimes.grace_period,
            spot=agent.spot,
            exposes_metrics=agent.scales_by_queue,
            workers=_workers(agent, platform, runtime, further),
            rollout_after=(access.granted, *rollout_after),
            rollout_seconds=_rollout_seconds(agent, platform),
        ),
        opts,
    )


def _rollout_seconds(agent: Agent, platform: Platform) -> int:
    """Until Pulumi gives a rollout up: ten minutes by itself, and with readiness gates one pod after the other waits
    until its load balancer has found it healthy, half a minute where nothing is slow."""
    gated = isinstance(platform.ingress, AlbPlatform) and bool(platform.ingress.readiness_gate)
    return 600 + (120 * agent.replicas.max if gated else 0)


def _autoscaling(agent: Agent, platform: Platform, workload: Workload, opts: pulumi.ResourceOptions) -> None:
    _scaler("", agent, agent, platform, workload, workload.deployment_name, opts)
    if agent.workers is not None and workload.worker_deployment_name is not None:
        _scaler("-worker", agent, agent.workers, platform, workload, workload.worker_deployment_name, opts)


def _scaler(
    suffix: str,
    agent: Agent,
    fleet: Agent | Workers,
    platform: Platform,
    workload: Workload,
    deployment: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> None:
    queue = None
    if fleet.autoscaling.queue is not None:
        # Those that answer tell it: there is one of them at least, and each knows the runs of all.
        host = pulumi.Output.concat(workload.service_name, ".", platform.namespace.namespace, ".svc")
        queue = QueueArgs(
            runs_per_pod=fleet.autoscaling.queue,
            metrics_url=pulumi.Output.concat("http://", host, f":{METRICS_PORT}/metrics"),
            metric=OPEN_RUNS,
            ready=platform.keda,
        )
    Autoscaling(
        f"{agent.data_name}{suffix}-autoscaling",
        AutoscalingArgs(
            namespace=platform.namespace.namespace,
            deployment=deployment,
            labels=_labels(agent, platform, "worker" if suffix else "server"),
            min_replicas=fleet.replicas.min,
            max_replicas=fleet.replicas.max,
            cpu_percent=fleet.autoscaling.cpu,
            memory_percent=fleet.autoscaling.memory,
            queue=queue,
        ),
        opts,
    )


def _retention(
    agent: Agent,
    platform: Platform,
    pooler: DeployedPooler | None,
    image: pulumi.Output[str],
    access: SecretAccess,
    workload: Workload,
    opts: pulumi.ResourceOptions,
) -> None:
    Retention(
        f"{agent.data_name}-retention",
        RetentionArgs(
            namespace=platform.namespace.namespace,
            agent=agent.name,
            image=image,
            labels=_labels(agent, platform, "prune"),
            service_account=workload.service_account,
            secret_provider_class=access.secret_provider_class,
            config_map=workload.config_map,
            certificates_config_map=platform.namespace.certificates_config_map,
            pooler_certificates=pooler.certificates if pooler else None,
            options=pod_options(agent, platform.registries, platform.architecture),
            idle_days=agent.retention.idle_days,
            schedule=agent.retention.schedule,
            run_after=platform.pods_ready,
        ),
        opts,
    )


def _ingress(
    agent: Agent, settings: Ingress, platform: Platform, workload: Workload, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    name = f"{agent.data_name}-ingress"
    args = IngressArgs(
        namespace=platform.namespace.namespace,
        # Its certificate stays, and callers go over to the new pods in one moment, once these are ready.
        name=agent.data_name,
        host=agent.host,
        service_name=workload.service_name,
        labels=_labels(agent, platform, "server"),
        average=agent.rate_limit.average,
        burst=agent.rate_limit.burst,
    )
    ingress = platform.ingress
    if isinstance(ingress, AlbPlatform):
        return AlbIngress(
            name,
            args,
            hosted_zone_id=ingress.hosted_zone_id,
            idle_timeout_seconds=settings.idle_timeout,
            group=platform.name,
            controller_ready=ingress.controller_ready,
            opts=opts,
        ).url
    return TraefikIngress(
        name, args, cluster_issuer=ingress.issuer, crds_ready=ingress.controller_ready, opts=opts
    ).url
