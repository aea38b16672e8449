"""Rules about connections to the database and what shares them; called as those of ``stacks.rules`` are."""

from collections.abc import Iterator, Mapping

from components.stores.max_connections import MEMORY_GIB, max_connections
from stacks.agent_settings import LEAST_POOL, Agent
from stacks.connections import (
    LEAST_POOLED,
    LEAST_PROXIED,
    MAINTENANCE,
    MOST_PROXIED,
    POOLERS,
    RESERVED,
    SURGE,
    direct,
    least_pooled,
    least_proxied,
)
from stacks.problems import Problem
from stacks.settings import Database
from stacks.vocabulary import Pooler

Agents = Mapping[int, Agent]


def pools_fit_the_database(database: Database, agents: Agents) -> Iterator[Problem]:
    """All pods at their maximum, with a rollout under way, can connect at once."""
    limit = max_connections(database.instance_class)
    if database.pooler is not Pooler.NONE:
        needed, each = _pooled(database.pooler, len(agents))
        if needed > limit:
            larger = _larger_class(database.instance_class, needed)
            yield Problem(
                "database.instanceClass",
                database.instance_class,
                f"allows about {limit} connections, and {len(agents)} agents need {needed} at least: {each}, reserve"
                f" {RESERVED}. {f'Take {larger} or a larger class, or give' if larger else 'Give'} some of the agents a"
                " stack of their own",
            )
        return
    demand = direct(list(agents.values()))
    needed = sum(demand.values()) + RESERVED
    if needed > limit:
        shares = ", ".join(f"{name} {count}" for name, count in demand.items())
        yield Problem(
            "database.instanceClass",
            database.instance_class,
            f"allows about {limit} connections, and {needed} may be needed: {shares}, reserve {RESERVED}"
            " ((replicas.max + 1) x pool.maxSize + 2 for an agent, and its workers likewise)."
            f" {_fewer_connections(database.instance_class, needed, limit, agents)}",
        )


def _pooled(pooler: Pooler, agents: int) -> tuple[int, str]:
    """The fewest connections that so many agents need with a pooler, and what of."""
    if pooler is Pooler.RDS_PROXY:
        return least_proxied(agents), (
            f"{LEAST_PROXIED} for an agent (one of RDS Proxy's, one of its migration), a hundredth because RDS Proxy is"
            " given whole hundredths"
        )
    return least_pooled(agents), (
        f"{LEAST_POOLED} for an agent (one of each of {POOLERS} PgBouncers, one of its migration)"
    )


def _fewer_connections(instance_class: str, needed: int, limit: int, agents: Agents) -> str:
    """What would make the agents' pools fit, with the numbers."""
    pods = sum(fleet.replicas.max + SURGE for agent in agents.values() for fleet in agent.fleets.values())
    pool = (limit - RESERVED - MAINTENANCE * len(agents)) // pods
    ways = []
    if least_pooled(len(agents)) <= limit:
        ways.append(f"set database.pooler: {Pooler.PGBOUNCER}, which shares these {limit} among all pods")
    if larger := _larger_class(instance_class, needed):
        ways.append(f"take {larger} or a larger class")
    if pool >= LEAST_POOL:
        ways.append(f"set pool.maxSize to {pool} for every agent")
    ways.append(
        "lower replicas.max"
        if ways
        else "lower replicas.max, or give some of the agents a stack of their own"
    )
    text = ", or ".join(ways)
    return text[0].upper() + text[1:]


def _larger_class(instance_class: str, needed: int) -> str | None:
    """The smallest class of the same family that takes so many connections."""
    family = instance_class.rpartition(".")[0]
    fitting = (
        name
        for name in sorted(MEMORY_GIB, key=MEMORY_GIB.__getitem__)
        if name.rpartition(".")[0] == family and max_connections(name) >= needed
    )
    return next(fitting, None)


def the_pooler_has_its_name_to_itself(database: Database, agents: Agents) -> Iterator[Problem]:
    """Its objects are called so, and so is PgBouncer's own database, by which it is administered."""
    for index, agent in agents.items():
        if database.pooler is Pooler.PGBOUNCER and Pooler.PGBOUNCER in (agent.name, agent.data_name):
            yield Problem(
                f"agents[{index}].name", agent.name, "is that of database.pooler: choose another name"
            )


def rds_proxy_takes_all_logins(database: Database, agents: Agents) -> Iterator[Problem]:
    """It takes an entry of Secrets Manager for each, and of these no more than AWS says."""
    if database.pooler is Pooler.RDS_PROXY and len(agents) > MOST_PROXIED:
        beyond = [agent.name for agent in agents.values()][MOST_PROXIED:]
        yield Problem(
            "database.pooler",
            database.pooler,
            f"takes the logins of {MOST_PROXIED} agents, and there are {len(agents)}: {', '.join(beyond)} would have"
            f" none. Set it to {Pooler.PGBOUNCER}, which takes any number, or give them a stack of their own",
        )


def rds_proxy_is_for_the_agents_of_the_stack(database: Database, without_agents: bool) -> Iterator[Problem]:
    """It knows the logins of agents, and those of other stacks are not known here."""
    if database.pooler is Pooler.RDS_PROXY and without_agents:
        yield Problem(
            "database.pooler",
            database.pooler,
            "knows the logins of the stack's own agents, and this is a platform for those of others: set it to"
            f" {Pooler.PGBOUNCER}, which each of their stacks runs for itself, or remove it",
        )


RULES = (
    pools_fit_the_database,
    the_pooler_has_its_name_to_itself,
    rds_proxy_takes_all_logins,
    rds_proxy_is_for_the_agents_of_the_stack,
)
