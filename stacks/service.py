"""The agent service's settings, made from the stack: plain variables and secret files, by the service's names."""

from collections.abc import Mapping

from stacks.agent_settings import SHUTDOWN_MARGIN, Agent, Workers
from stacks.vocabulary import Pooler

#: Secret files that the stack itself fills.
DATABASE_URI = "DATABASE_URI"
DATABASE_ADMIN_URI = "DATABASE_ADMIN_URI"
REDIS_URI = "REDIS_URI"
SECRET_NAMES = frozenset({DATABASE_URI, DATABASE_ADMIN_URI, REDIS_URI})

SECRETS_DIR = "/var/run/secrets/langgraph-agents"
PORT = 8000
#: Runs that wait or execute, in all pods of an agent together; each of them tells it.
OPEN_RUNS = "agent_open_runs"
#: What a pod does, where an agent has workers.
ROLE = "PROCESS_ROLE"
METRICS_PORT = 9464


def plain_variables(agent: Agent, *, production: bool) -> dict[str, str]:
    """The environment variables of an agent's pods, all of them plain; ``agent.env`` is not among them."""
    lifetimes = agent.lifetimes
    role = {} if agent.workers is None else {ROLE: "answer"}
    return {
        **role,
        "ENVIRONMENT": "prod" if production else "dev",
        "LOG_LEVEL": agent.log_level,
        "PORT": str(PORT),
        "METRICS_PORT": str(METRICS_PORT),
        "SECRETS_DIR": SECRETS_DIR,
        "MODEL": agent.model,
        "MAX_ITERATIONS": str(agent.max_iterations),
        "CHECKPOINTER": agent.checkpointer,
        "CHECKPOINT_TTL_SECONDS": str(agent.checkpoint_ttl),
        "CHECKPOINT_HISTORY": agent.checkpoint_history,
        "DURABILITY": agent.durability,
        "MULTITASK_STRATEGY": agent.multitask_strategy,
        "DATABASE_POOL_MIN_SIZE": str(agent.pool.min_size),
        "DATABASE_POOL_MAX_SIZE": str(agent.pool.max_size),
        "CACHE_KEY_PREFIX": f"{agent.key_prefix}:",
        "RUN_TIMEOUT_SECONDS": str(lifetimes.run_timeout),
        "DRAIN_TIMEOUT_SECONDS": str(lifetimes.grace_period - lifetimes.pre_stop - SHUTDOWN_MARGIN),
        "RATE_LIMIT_PER_MINUTE": str(agent.requests_per_minute),
        "MAX_REQUEST_BYTES": str(agent.max_request_bytes),
        "CORS_ORIGINS": ",".join(agent.cors_origins),
    }


def worker_variables(agent: Agent, workers: Workers, *, production: bool) -> dict[str, str]:
    """Likewise, of the pods that execute an agent's runs."""
    return {
        **plain_variables(agent, production=production),
        ROLE: "execute",
        "DATABASE_POOL_MIN_SIZE": str(workers.pool.min_size),
        "DATABASE_POOL_MAX_SIZE": str(workers.pool.max_size),
        # They stop at once: nobody sends them requests.
        "DRAIN_TIMEOUT_SECONDS": str(agent.lifetimes.grace_period - SHUTDOWN_MARGIN),
    }


BEHIND: Mapping[Pooler, Mapping[str, str]] = {
    Pooler.NONE: {},
    # It is noticed by itself.
    Pooler.PGBOUNCER: {},
    # It keeps a connection to the server for a session that prepares statements or sets parameters, until that ends:
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
    Pooler.RDS_PROXY: {"DATABASE_PREPARED_STATEMENTS": "never", "DATABASE_RELAXED_COMMITS": "false"},
}
"""What pods are told besides, by what they connect by. ``agent.env`` may say otherwise."""
