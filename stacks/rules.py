"""Rules that bind several parts of a stack file.

Each rule names the parts that it reads as its parameters, and runs when these are valid, whatever else is wrong: so a
file's problems all come out at once. ``agents`` are the valid ones, by their place in the file.
"""

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from components.cluster.node_groups import ARCH_LABEL, ARCH_VALUES, Architecture
from components.workload.image_name import ImageName, image_name
from stacks.agent_runtime import reserved_names
from stacks.agent_settings import Agent
from stacks.built_images import needs_stack_image
from stacks.instance_types import is_arm
from stacks.policy_exceptions import PolicyException
from stacks.problems import Problem
from stacks.service import SECRET_NAMES
from stacks.settings import Cache, Cluster, Database, Image, Ingress, Network, Registry
from stacks.vocabulary import (
    Checkpointer,
    Compute,
    IngressController,
    Issuer,
    Runtime,
    SecretSource,
)

Agents = Mapping[int, Agent]
ApiKeys = Mapping[str, Sequence[str]]
"""Names of the values under ``langgraph-agents:apiKeys``, by agent; never the values."""


PublicCidrs = Mapping[int, str]
"""The valid ones of ``cluster.endpointPublicAccessCidrs``, by their place in the file."""

Rule = Callable[..., Iterator[Problem]]
RULES: list[Rule] = []

# Of the policy that judges the same of a plan.
_CLOSED_ENDPOINT = "closed-cluster-endpoint"
_OPEN_PREFIX = 9
_PRODUCTION_PREFIX = 16

# Databases and roles that RDS has from the start, and objects of the namespace.
_TAKEN_NAMES = frozenset(
    {
        "postgres",
        "template0",
        "template1",
        "public",
        "none",
        "admin",
        "platform",
        "quota",
        "database-certificates",
        # A user of every shared cache, switched off.
        "nobody",
        # The ServiceAccount that every namespace has, and the cache's user that everybody is who names none.
        "default",
    }
)
# Of roles: a hyphen of the name is an underscore there. PostgreSQL keeps the first to itself, RDS has roles of the
# second (rds_superuser, rds_iam) and third.
_TAKEN_PREFIXES = ("pg-", "rds-", "rdsadmin", "rdsproxyadmin", "rdsrepladmin", "rdstopmgr")
# Of Kubernetes, of the add-ons, and of the stack's other parts.
_TAKEN_NAMESPACES = frozenset(
    {
        "default",
        "cert-manager",
        "external-dns",
        "keda",
        "traefik",
        "monitoring",
        "aws-secrets-manager",
        "amazon-guardduty",
    }
)
_DERIVED_SUFFIXES = ("-maintenance", "-migrate", "-prune", "-rate-limit", "-server", "-tls")

_PROVIDER_KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}


def rule(function: Rule) -> Rule:
    """Have ``function`` run on every stack file."""
    RULES.append(function)
    return function


@rule
def agents_are_distinct(agents: Agents) -> Iterator[Problem]:
    """Names, hosts and key prefixes: two agents that share one would share data or traffic."""
    for field in ("name", "host", "key_prefix"):
        alias = Agent.model_fields[field].alias
        owners: dict[str, Agent] = {}
        for index, agent in agents.items():
            value = getattr(agent, field)
            owner = owners.setdefault(value, agent)
            if owner is not agent:
                yield Problem(
                    f"agents[{index}].{alias}", value, f"must be unique: agent {owner.name} has it already"
                )


@rule
def names_do_not_clash(agents: Agents) -> Iterator[Problem]:
    """With PostgreSQL's own names, or with the names that the stack derives from an agent's."""
    workers = {f"{agent.name}-worker": agent.name for agent in agents.values() if agent.workers}
    for index, agent in agents.items():
        yield from _clashes(f"agents[{index}].name", agent.name)
        if agent.renamed_from:
            yield from _clashes(f"agents[{index}].renamedFrom", agent.renamed_from)
        if agent.name in workers:
            yield Problem(
                f"agents[{index}].name",
                agent.name,
                f"is what the workers of {workers[agent.name]} are called: choose another name",
            )


def _clashes(field: str, name: str) -> Iterator[Problem]:
    if name in _TAKEN_NAMES:
        yield Problem(field, name, "is taken by PostgreSQL, RDS or the namespace itself: choose another name")
    for prefix in _TAKEN_PREFIXES:
        if name.startswith(prefix):
            yield Problem(
                field,
                name,
                f"begins with {prefix}, and its role in PostgreSQL with {prefix.replace('-', '_')}, which"
                " PostgreSQL and RDS keep to themselves: choose another name",
            )
    for suffix in _DERIVED_SUFFIXES:
        if name.endswith(suffix):
            yield Problem(field, name, f"ends with {suffix}, which the stack gives to parts of an agent")


@rule
def data_has_one_agent(agents: Agents) -> Iterator[Problem]:
    """The data of a former name belongs to the one agent that is renamed from it."""
    names = {agent.name for agent in agents.values()}
    owners: dict[str, Agent] = {}
    for index, agent in agents.items():
        if agent.renamed_from is None:
            continue
        field = f"agents[{index}].renamedFrom"
        owner = owners.setdefault(agent.renamed_from, agent)
        if agent.renamed_from == agent.name:
            yield Problem(field, agent.renamed_from, "is the name that it has: remove renamedFrom")
        elif agent.renamed_from in names:
            yield Problem(
                field,
                agent.renamed_from,
                f"is an agent of this stack, whose data is its own: remove the agent {agent.renamed_from} if"
                f" {agent.name} takes its place, or remove renamedFrom",
            )
        elif owner is not agent:
            yield Problem(
                field,
                agent.renamed_from,
                f"is what agent {owner.name} is renamed from already: remove one of the two",
            )


@rule
def the_namespace_is_the_agents_own(namespace: str) -> Iterator[Problem]:
    """It is made by the stack, and its pods are restricted and cut off from others."""
    if namespace in _TAKEN_NAMESPACES or namespace.startswith("kube-"):
        yield Problem(
            "namespace",
            namespace,
            "is not free: Kubernetes, an add-on or the stack has it already. Choose another, such as langgraph-agents",
        )


@rule
def hosts_are_in_the_zone(ingress: Ingress, agents: Agents) -> Iterator[Problem]:
    """external-dns may write to one zone only."""
    for index, agent in agents.items():
        if not agent.host.endswith(f".{ingress.hosted_zone}"):
            yield Problem(
                f"agents[{index}].host",
                agent.host,
                f"must end with .{ingress.hosted_zone}, the zone of ingress.hostedZone",
            )


@rule
def what_is_there_is_in_a_network_that_is_there(
    network: Network, cluster: Cluster, database: Database, cache: Cache
) -> Iterator[Problem]:
    """A VPC that the stack makes holds nothing of anybody else's."""
    for field, existing in (
        ("cluster.existing", cluster.existing),
        ("database.existing", database.existing),
        ("cache.existing", cache.existing),
    ):
        if existing is not None and network.existing is None:
            yield Problem(
                field,
                existing.model_dump(by_alias=True),
                "is in a VPC that is there already: name that as network.existing, with the subnets of databases and"
                " caches as databaseSubnetIds",
            )


@rule
def streams_outlive_idle_timeouts(ingress: Ingress, agents: Agents) -> Iterator[Problem]:
    """A load balancer cuts connections that are silent for longer than its idle timeout."""
    for index, agent in agents.items():
        if agent.lifetimes.run_timeout >= ingress.idle_timeout:
            yield Problem(
                f"agents[{index}].lifetimes.runTimeout",
                agent.lifetimes.run_timeout,
                f"must be below ingress.idleTimeout {ingress.idle_timeout}, or the load balancer cuts silent streams:"
                f" set ingress.idleTimeout to {agent.lifetimes.run_timeout + 50} or more",
            )


@rule
def variables_and_secrets_do_not_collide(agents: Agents) -> Iterator[Problem]:
    """The stack passes variables and files of its own; the file may not set the same names."""
    for index, agent in agents.items():
        reserved = reserved_names(agent) | SECRET_NAMES
        for name in sorted(agent.env.keys() & reserved):
            yield Problem(
                f"agents[{index}].env.{name}",
                agent.env[name],
                "the stack sets this one: use the agent's setting",
            )
        names = [secret.name for secret in agent.secrets]
        for place, name in enumerate(names):
            if name in SECRET_NAMES or name in agent.env:
                yield Problem(
                    f"agents[{index}].secrets[{place}].name", name, "is set otherwise already: remove it here"
                )
            elif name in names[:place]:
                yield Problem(f"agents[{index}].secrets[{place}].name", name, "is listed twice: remove one")


@rule
def an_agent_has_the_keys_it_needs(agents: Agents, api_keys: ApiKeys) -> Iterator[Problem]:
    """Its callers' keys, its provider's key, and a value for each secret that comes from the configuration."""
    for index, agent in agents.items():
        names = {secret.name for secret in agent.secrets}
        served = agent.runtime is Runtime.SERVICE
        if served and "API_KEYS" not in names:
            yield Problem(
                f"agents[{index}].secrets",
                sorted(names),
                "API_KEYS is missing, and nobody may call the agent: add {name: API_KEYS, source: generated}",
            )
        provider_key = _PROVIDER_KEYS.get(agent.model.split(":")[0])
        if served and provider_key and provider_key not in names:
            yield Problem(
                f"agents[{index}].model",
                agent.model,
                f"needs the secret {provider_key}: add {{name: {provider_key}}} to the agent's secrets",
            )
        for place, secret in enumerate(agent.secrets):
            if secret.source is SecretSource.CONFIG and secret.name not in api_keys.get(agent.name, ()):
                path = f"apiKeys.{agent.name}.{secret.name}"
                yield Problem(
                    f"agents[{index}].secrets[{place}]",
                    secret.name,
                    f"has no value: run `pulumi config set --secret --path '{path}'`, or set source: manual and fill"
                    " the entry in after it is created",
                )


@rule
def api_keys_belong_to_agents(agents: Agents, api_keys: ApiKeys) -> Iterator[Problem]:
    """A misspelt agent or name would leave its value unused, and unseen."""
    declared = {agent.name: {secret.name for secret in agent.secrets} for agent in agents.values()}
    for agent, names in api_keys.items():
        for name in names:
            if name not in declared.get(agent, ()):
                yield Problem(
                    f"apiKeys.{agent}.{name}",
                    "(secret)",
                    f"no agent {agent} declares the secret {name}: declare it, or run"
                    f" `pulumi config rm --path 'apiKeys.{agent}.{name}'`",
                )


@rule
def the_image_can_be_built(image: Image, agents: Agents) -> Iterator[Problem]:
    """Pulumi runs a program in the folder of Pulumi.yaml, which the context is relative to."""
    unbuilt = [agent.name for agent in agents.values() if needs_stack_image(agent)]
    if unbuilt and not (Path(image.context) / "Dockerfile").is_file():
        yield Problem(
            "image.context",
            image.context,
            f"has no Dockerfile, and {', '.join(unbuilt)} would run it: name the folder to build, or give each agent"
            " an image by digest",
        )


@rule
def logins_belong_to_images(registries: Sequence[Registry], agents: Agents) -> Iterator[Problem]:
    """A misspelt registry would leave its login unused, and its images unpulled."""
    used = {image_name(image).registry for agent in agents.values() for image in agent.images}
    servers = [registry.server for registry in registries]
    for index, server in enumerate(servers):
        field = f"registries[{index}].server"
        if server in servers[:index]:
            yield Problem(field, server, "is listed twice: remove one")
        elif ImageName(server, "", None, None).ecr:
            yield Problem(field, server, "is ECR, which knows the nodes by their role: remove the entry")
        elif server not in used:
            named = ", ".join(sorted(used)) or "none"
            yield Problem(
                field, server, f"has no image of an agent; their registries are {named}: correct or remove it"
            )


@rule
def projects_can_be_served(agents: Agents) -> Iterator[Problem]:
    """What is wrong with a source is known before anything is built."""
    for index, agent in agents.items():
        if agent.source is None:
            continue
        # Reads files, which other stacks have none of.
        from stacks.project_problems import problems_of, server_problems_of

        given = {*reserved_names(agent), *agent.env, *SECRET_NAMES}
        given |= {secret.name for secret in agent.secrets}
        found = problems_of if agent.runtime is Runtime.SERVICE else server_problems_of
        for problem in found(agent.source, given):
            yield Problem(f"agents[{index}].source", agent.source, problem)


@rule
def instance_types_fit_the_architecture(cluster: Cluster) -> Iterator[Problem]:
    """The nodes' image, and the agents', are built for one processor."""
    for group, settings in enumerate(cluster.node_groups):
        for index, instance_type in enumerate(settings.instance_types):
            arm = is_arm(instance_type)
            if arm is not (cluster.architecture is Architecture.ARM64):
                yield Problem(
                    f"cluster.nodeGroups[{group}].instanceTypes[{index}]",
                    instance_type,
                    f"has {'an Arm' if arm else 'an x86'} processor, and cluster.architecture is"
                    f" {cluster.architecture}: change the one or the other",
                )


@rule
def pods_run_where_their_image_does(cluster: Cluster, agents: Agents) -> Iterator[Problem]:
    """What the stack builds is for one processor, and so are the nodes that it makes."""
    there = ARCH_VALUES[cluster.architecture]
    for index, agent in agents.items():
        wanted = agent.pod.node_selector.get(ARCH_LABEL, there)
        if wanted != there and (agent.image is None or cluster.existing is None):
            why = "its image is built for" if agent.image is None else "the nodes are"
            yield Problem(
                f"agents[{index}].pod.nodeSelector.{ARCH_LABEL}",
                wanted,
                f"no node fits: by cluster.architecture {why} {there}. Remove it, or change cluster.architecture",
            )


@rule
def load_balancers_fit_the_compute(cluster: Cluster, ingress: Ingress) -> Iterator[Problem]:
    """Auto Mode's own controller does not know the annotations that an agent's Ingress sets."""
    if cluster.compute is Compute.AUTO_MODE and ingress.controller is IngressController.ALB:
        yield Problem(
            "ingress.controller",
            ingress.controller,
            "auto-mode goes with traefik: set it, or use node-groups",
        )


@rule
def spot_nodes_are_there(cluster: Cluster, agents: Agents) -> Iterator[Problem]:
    """Node groups say themselves how their instances are bought, and Auto Mode's pools are on demand."""
    for index, agent in agents.items():
        if agent.spot and cluster.compute is not Compute.KARPENTER:
            yield Problem(
                f"agents[{index}].spot",
                agent.spot,
                f"needs cluster.compute: karpenter, and it is {cluster.compute}: remove it, or set capacityType: SPOT"
                " of a node group",
            )


@rule
def workers_find_their_runs(agents: Agents) -> Iterator[Problem]:
    """Runs wait for them in PostgreSQL."""
    for index, agent in agents.items():
        if agent.workers is not None and agent.checkpointer is not Checkpointer.POSTGRES:
            yield Problem(
                f"agents[{index}].workers",
                agent.workers.model_dump(by_alias=True),
                f"find the runs that wait in PostgreSQL, and checkpointer is {agent.checkpointer}: remove them, or set"
                " checkpointer: postgres",
            )


@rule
def queues_are_known(agents: Agents) -> Iterator[Problem]:
    """Of all pods together, by those that execute runs; and a pod that is gone comes back."""
    for index, agent in agents.items():
        for prefix, fleet in agent.fleets.items():
            field = f"agents[{index}].{prefix}autoscaling.queue"
            if fleet.autoscaling.queue and agent.checkpointer is not Checkpointer.POSTGRES:
                yield Problem(
                    field,
                    fleet.autoscaling.queue,
                    f"counts the runs of all pods, which PostgreSQL alone knows, and checkpointer is"
                    f" {agent.checkpointer}: remove it, or set checkpointer: postgres",
                )
        if agent.workers is None:
            continue
        if agent.autoscaling.queue:
            yield Problem(
                f"agents[{index}].autoscaling.queue",
                agent.autoscaling.queue,
                "adds pods that execute no runs, because the agent has workers: move it to workers.autoscaling",
            )
        if agent.workers.replicas.min == 0 and not agent.workers.autoscaling.queue:
            yield Problem(
                f"agents[{index}].workers.replicas.min",
                0,
                "leaves nothing that starts a pod again: set workers.autoscaling.queue, such as 10, or 1 pod",
            )


@rule
def production_is_highly_available(
    production: bool, database: Database, cache: Cache, ingress: Ingress, agents: Agents
) -> Iterator[Problem]:
    """One pod, one instance or one zone is an outage waiting."""
    if not production:
        return
    for index, agent in agents.items():
        for prefix, fleet in agent.fleets.items():
            if fleet.replicas.min < 2:
                yield Problem(
                    f"agents[{index}].{prefix}replicas.min",
                    fleet.replicas.min,
                    "production needs 2 or more: one pod is an outage",
                )
    if database.existing is None and not database.multi_az:
        yield Problem("database.multiAz", database.multi_az, "production needs a standby: set it to true")
    if cache.existing is None and cache.replicas < 1:
        yield Problem("cache.replicas", cache.replicas, "production needs 1 or more, for automatic failover")
    if ingress.replicas < 2 and ingress.controller is IngressController.TRAEFIK:
        yield Problem("ingress.replicas", ingress.replicas, "production needs 2 or more Traefik pods")


@rule
def production_keeps_its_data(production: bool, database: Database) -> Iterator[Problem]:
    """What is deleted by mistake can be had back."""
    if not production or database.existing is not None:
        return
    if not database.deletion_protection:
        yield Problem("database.deletionProtection", False, "production needs it: set it to true")
    if database.backup_retention_days < 7:
        yield Problem(
            "database.backupRetentionDays", database.backup_retention_days, "production needs 7 days or more"
        )


@rule
def production_restores_its_secrets(production: bool, secret_recovery_days: int) -> Iterator[Problem]:
    """A key of a provider that is deleted by mistake is nowhere else."""
    if production and secret_recovery_days == 0:
        yield Problem(
            "secretRecoveryDays",
            secret_recovery_days,
            "deleted secrets would be gone at once: production needs 7 to 30 days",
        )


@rule
def the_api_server_is_closed(
    production: bool, public_cidrs: PublicCidrs, policy_exceptions: Sequence[PolicyException]
) -> Iterator[Problem]:
    """Nobody but named networks reaches the API server. Outside production an exception of the policy excuses it."""
    excused = any(exception.rule == _CLOSED_ENDPOINT for exception in policy_exceptions)
    smallest = _PRODUCTION_PREFIX if production else 0 if excused else _OPEN_PREFIX
    for index, cidr in public_cidrs.items():
        if ipaddress.IPv4Network(cidr).prefixlen < smallest:
            yield Problem(
                f"cluster.endpointPublicAccessCidrs[{index}]",
                cidr,
                f"opens the API server to the world: name your own networks, /{smallest} or smaller, or leave the"
                " list empty",
            )


@rule
def production_is_on_record(production: bool, network: Network) -> Iterator[Problem]:
    """Who spoke to whom can be looked up after an incident."""
    if production and network.existing is None and not network.flow_logs:
        yield Problem("network.flowLogs", network.flow_logs, "production needs them: set it to true")


@rule
def production_serves_real_callers(production: bool, ingress: Ingress, agents: Agents) -> Iterator[Problem]:
    """Trusted certificates, a real model, and no origin of the whole web."""
    if not production:
        return
    if ingress.issuer is not Issuer.PRODUCTION:
        yield Problem(
            "ingress.issuer", ingress.issuer, f"browsers do not trust it: set it to {Issuer.PRODUCTION}"
        )
    for index, agent in agents.items():
        if agent.model == "fake" and agent.runtime is Runtime.SERVICE:
            yield Problem(
                f"agents[{index}].model", agent.model, "production needs a real model, as provider:model"
            )
        if "*" in agent.cors_origins:
            yield Problem(f"agents[{index}].corsOrigins", "*", "production needs the origins by name")
