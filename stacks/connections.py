"""Who needs how many connections to PostgreSQL, and how poolers share them out. Pure arithmetic."""

import math
from collections.abc import Mapping, Sequence

from components.pooling.pgbouncer import EXPORTER_RESOURCES
from components.workload.container import ContainerResources
from stacks.agent_settings import Agent
from stacks.vocabulary import quantity

#: Connections that are not the agents': rds_superuser's reserve, RDS' own monitoring, a person with psql.
RESERVED = 10
#: The migration Job and the retention CronJob of an agent, one connection each.
MAINTENANCE = 2
#: A rolling update runs this many pods above the maximum.
SURGE = 1

#: PgBouncer's pods, each of which has connections of its own.
POOLERS = 2
#: The migration Job, which speaks to PostgreSQL itself; the retention CronJob does so by the pooler.
POOLED_MAINTENANCE = 1
#: With PgBouncer, the fewest that an agent needs: one of each PgBouncer.
LEAST_POOLED = POOLERS + POOLED_MAINTENANCE
#: With RDS Proxy, likewise: a connection belongs to a login, and serves no other agent's.
LEAST_PROXIED = 1 + POOLED_MAINTENANCE
#: Logins that RDS Proxy takes, an entry of Secrets Manager each:
#: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.html#rds-proxy.limits
MOST_PROXIED = 200


# Clients of PgBouncer beyond those that are reckoned with: a person, a probe.
_SPARE_CLIENTS = 50
_MEMORY_MIB = 64
# A client's buffers, and OpenSSL's of its connection.
_KIB_A_CLIENT = 64


def clients(agent: Agent) -> int:
    """Connections that an agent's pods open at most: to PostgreSQL, or to PgBouncer."""
    return sum((fleet.replicas.max + SURGE) * fleet.pool.max_size for fleet in agent.fleets.values())


def direct(agents: Sequence[Agent]) -> dict[str, int]:
    """Connections to PostgreSQL that agents need without PgBouncer, by name."""
    return {agent.name: clients(agent) + MAINTENANCE for agent in agents}


def least_pooled(agents: int) -> int:
    """The fewest connections to PostgreSQL that so many agents need with PgBouncer, the reserve included."""
    return RESERVED + agents * LEAST_POOLED


def pool_sizes(agents: Sequence[Agent], limit: int) -> Mapping[str, int]:
    """Connections of one PgBouncer to PostgreSQL for each agent's database, by the agent's name.

    Each has one at least. The rest of what PostgreSQL takes is shared out by how many the agent's pods open, and none
    has more than these.

    Args:
        limit: connections that PostgreSQL takes, `least_pooled` at least.
    """
    each = (limit - RESERVED - POOLED_MAINTENANCE * len(agents)) // POOLERS
    rest = max(0, each - len(agents))
    wanted = {agent.name: clients(agent) for agent in agents}
    total = sum(wanted.values())
    return {name: min(want, 1 + rest * want // total) for name, want in wanted.items()}


def least_proxied(agents: int) -> int:
    """The fewest connections that so many agents need with RDS Proxy, the reserve included: a hundredth more than they
    use, because it is told its part in whole hundredths."""
    return math.ceil((RESERVED + agents * LEAST_PROXIED) * 100 / 99)


def proxy_percent(agents: int, limit: int) -> int:
    """How much of a hundred of PostgreSQL's connections RDS Proxy may have: all but the reserve and the migrations'.

    It is one budget. No agent has a part of its own in it.

    Args:
        limit: connections that PostgreSQL takes, `least_proxied` at least.
    """
    return (limit - RESERVED - POOLED_MAINTENANCE * agents) * 100 // limit


def max_clients(agents: Sequence[Agent]) -> int:
    """Connections that one PgBouncer may have to take, while there is no other."""
    return sum(clients(agent) for agent in agents) + _SPARE_CLIENTS


def pooler_resources(agents: Sequence[Agent]) -> ContainerResources:
    """Of a pod of PgBouncer, which has one thread."""
    memory = f"{_MEMORY_MIB + math.ceil(max_clients(agents) * _KIB_A_CLIENT / 1024)}Mi"
    return ContainerResources(
        cpu_request="100m", memory_request=memory, cpu_limit="1000m", memory_limit=memory
    )


def pooler_pod(agents: Sequence[Agent]) -> ContainerResources:
    """Of a pod of PgBouncer with all of its containers."""
    pooler = pooler_resources(agents)

    def both(field: str) -> str:
        return str(quantity(getattr(pooler, field)) + quantity(getattr(EXPORTER_RESOURCES, field)))

    return ContainerResources(
        cpu_request=both("cpu_request"),
        memory_request=both("memory_request"),
        cpu_limit=both("cpu_limit"),
        memory_limit=both("memory_limit"),
    )
