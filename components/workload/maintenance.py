"""What keeps an agent's database in shape: the Job that prepares it, and the CronJob that removes idle threads."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components.workload.container import ContainerResources
from components.workload.pod import PodArgs, pod_template
from components.workload.pod_options import PodOptions

_AGENT = ("python", "-m", "langgraph_agents_service")


def migrate_command(*, database_only: bool = False) -> list[str]:
    """Makes login, database and, unless told not to, tables."""
    return [*_AGENT, "migrate", *(["--database-only"] if database_only else [])]


def prune_command(idle_days: int) -> list[str]:
    """Removes threads that have been idle for longer."""
    return [*_AGENT, "prune", "--older-than", f"{idle_days}d"]


#: Of either pod: both wait on PostgreSQL far longer than they compute.
RESOURCES = ContainerResources(
    cpu_request="100m", memory_request="256Mi", cpu_limit="500m", memory_limit="512Mi"
)


@dataclass(frozen=True, kw_only=True)
class MigrationArgs:
    """A migration of one agent's database."""

    namespace: pulumi.Input[str]
    agent: str
    image: pulumi.Input[str]
    labels: Mapping[str, str]
    variables: Mapping[str, str]
    """Plain settings, in a ConfigMap of its own."""
    service_account: str
    """Its own, which alone may read the administrator's connection string."""
    secret_provider_class: pulumi.Input[str]
    """Mounts the administrator's connection string besides the agent's own."""
    database_only: bool = False
    """Makes no tables: the agent's server does."""
    secrets_version: pulumi.Input[str]
    certificates_config_map: pulumi.Input[str]
    options: PodOptions = field(default_factory=PodOptions)
    """Of which only the placement counts."""
    run_after: tuple[pulumi.Resource, ...] = ()
    """Leaves that it waits for: the identity that may read the secrets, and the policy that lets it out."""


class Migration(pulumi.ComponentResource):
    """Creates the agent's database, login and tables. It runs anew for each image and is safe to repeat."""

    job: k8s.batch.v1.Job
    """Complete when the database is ready; rollouts wait for it."""

    def __init__(self, name: str, args: MigrationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Migration", name, None, opts)
        metadata = k8s.meta.v1.ObjectMetaArgs(
            name=args.service_account, namespace=args.namespace, labels=dict(args.labels)
        )
        service_account = k8s.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata=metadata,
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        config_map = k8s.core.v1.ConfigMap(
            f"{name}-config",
            metadata=metadata,
            data=dict(sorted(args.variables.items())),
            opts=pulumi.ResourceOptions(parent=self),
        )
        pod = PodArgs(
            image=args.image,
            service_account=service_account.metadata.name,
            secret_provider_class=args.secret_provider_class,
            config_map=config_map.metadata.name,
            certificates_config_map=args.certificates_config_map,
            resources=RESOURCES,
            options=args.options.placement(),
            labels=args.labels,
            annotations={"checksum/secrets": args.secrets_version},
        )
        self.job = k8s.batch.v1.Job(
            f"{name}-job",
            # No name: a Job's template is immutable, so a new image needs a new Job beside the old one.
            metadata=k8s.meta.v1.ObjectMetaArgs(namespace=args.namespace, labels=dict(args.labels)),
            spec=k8s.batch.v1.JobSpecArgs(
                backoff_limit=4,
                # Five tries, the last of which starts after about two minutes and a half.
                active_deadline_seconds=600,
                template=pod_template(
                    pod,
                    container="migrate",
                    command=migrate_command(database_only=args.database_only),
                    restart_policy="Never",
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.run_after)),
        )
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class RetentionArgs:
    """When idle threads go."""

    namespace: pulumi.Input[str]
    agent: str
    image: pulumi.Input[str]
    labels: Mapping[str, str]
    service_account: pulumi.Input[str]
    """The server's own: it reads no secret that the server does not."""
    secret_provider_class: pulumi.Input[str]
    config_map: pulumi.Input[str]
    certificates_config_map: pulumi.Input[str]
    pooler_certificates: k8s.core.v1.VolumeProjectionArgs | None = None
    """Who signed the certificate of the pooler, where the database is reached by one."""
    options: PodOptions = field(default_factory=PodOptions)
    """Of which only the placement counts."""
    idle_days: int
    schedule: str
    """Cron fields, in UTC."""
    run_after: tuple[pulumi.Resource, ...] = ()
    """Leaves that its pods wait for."""

    def __post_init__(self) -> None:
        if self.idle_days < 1:
            raise ValueError(f"idle_days is {self.idle_days}: threads of today would go; set 1 or more")


class Retention(pulumi.ComponentResource):
    """Removes threads that have been idle for longer than ``idle_days``."""

    def __init__(self, name: str, args: RetentionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Retention", name, None, opts)
        pod = PodArgs(
            image=args.image,
            service_account=args.service_account,
            secret_provider_class=args.secret_provider_class,
            config_map=args.config_map,
            certificates_config_map=args.certificates_config_map,
            pooler_certificates=args.pooler_certificates,
            resources=RESOURCES,
            options=args.options.placement(),
            labels=args.labels,
        )
        k8s.batch.v1.CronJob(
            f"{name}-cron-job",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=f"{args.agent}-prune", namespace=args.namespace, labels=dict(args.labels)
            ),
            spec=k8s.batch.v1.CronJobSpecArgs(
                schedule=args.schedule,
                time_zone="Etc/UTC",
                concurrency_policy="Forbid",
                starting_deadline_seconds=3600,
                successful_jobs_history_limit=3,
                failed_jobs_history_limit=3,
                job_template=k8s.batch.v1.JobTemplateSpecArgs(
                    metadata=k8s.meta.v1.ObjectMetaArgs(labels=dict(args.labels)),
                    spec=k8s.batch.v1.JobSpecArgs(
                        backoff_limit=2,
                        active_deadline_seconds=3600,
                        template=pod_template(
                            pod,
                            container="prune",
                            command=prune_command(args.idle_days),
                            restart_policy="Never",
                        ),
                    ),
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.run_after)),
        )
        self.register_outputs({})
