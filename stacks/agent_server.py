"""LangGraph's Agent Server as an agent's runtime: how it is started and what of the stack file it is told.

Names and defaults are those of https://docs.langchain.com/langsmith/env-var-self-hosted; the entry points are those of
the image that `langgraph build` makes, and the split of API and queue that of LangChain's chart langgraph-cloud.
"""

import json

from components.workload.serving import Serving
from stacks.agent_settings import SHUTDOWN_MARGIN, Agent, Workers
from stacks.service import PORT, SECRETS_DIR

LICENCES = ("LANGGRAPH_CLOUD_LICENSE_KEY", "LANGSMITH_API_KEY")
"""Secrets of which the server wants one at its start."""
AUTH_TYPE = "LANGGRAPH_AUTH_TYPE"
"""Who may call it where the project has no `auth`: `langsmith`, or `noop` for everybody."""

_LONGEST_GRACE = 3600
_MINUTES_A_DAY = 24 * 60

# It reads variables alone, and a secret among a pod's variables is seen by whoever may read pods. So its first process
# makes them of the files. Parts of it know the database as DATABASE_URI, and parts as POSTGRES_URI.
_EXPORT = """\
set -eu
for file in "$SECRETS_DIR"/*; do
  value=$(cat "$file")
  export "$(basename "$file")=$value"
done
export POSTGRES_URI="$DATABASE_URI"
exec "$0"
"""


# Said each time: by itself the one entry point asks the database, and the other does not.
_ALIVE, _READY = "/ok?check_db=0", "/ok?check_db=1"


def command(entry_point: str) -> list[str]:
    """Starts the server with a variable for each secret file."""
    return ["/bin/sh", "-c", _EXPORT, entry_point]


SERVER = Serving(command=command("/storage/entrypoint.sh"), health=_ALIVE, ready=_READY)
"""The pods that answer, and without workers execute."""
QUEUE = Serving(command=command("/storage/queue_entrypoint.sh"), health=_ALIVE, ready=_READY)
"""The pods that execute."""


def plain_variables(agent: Agent) -> dict[str, str]:
    """The variables of an agent's pods, all of them plain; ``agent.env`` is not among them."""
    drain = agent.lifetimes.grace_period - agent.lifetimes.pre_stop - SHUTDOWN_MARGIN
    return {
        "PORT": str(PORT),
        "SECRETS_DIR": SECRETS_DIR,
        "LOG_LEVEL": agent.log_level,
        "LOG_JSON": "true",
        "LOG_COLOR": "false",
        "REDIS_KEY_PREFIX": f"{agent.key_prefix}:",
        "LANGGRAPH_POSTGRES_POOL_MAX_SIZE": str(agent.pool.max_size),
        "BG_JOB_TIMEOUT_SECS": str(agent.lifetimes.run_timeout),
        "BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS": str(min(drain, _LONGEST_GRACE)),
        "HTTP_MAX_REQUEST_BODY_BYTES": str(agent.max_request_bytes),
        # It lets every origin in by itself.
        "CORS_ALLOW_ORIGINS": ",".join(agent.cors_origins),
        "LANGGRAPH_THREAD_TTL": json.dumps(
            {
                "strategy": "delete",
                "default_ttl": agent.retention.idle_days * _MINUTES_A_DAY,
                "sweep_interval_minutes": 60,
            }
        ),
        **({"N_JOBS_PER_WORKER": "0"} if agent.workers else {}),
        **DEFAULTS,
    }


def worker_variables(agent: Agent, workers: Workers) -> dict[str, str]:
    """Likewise, of the pods that execute an agent's runs."""
    variables = plain_variables(agent)
    del variables["N_JOBS_PER_WORKER"]
    return {
        **variables,
        "LANGGRAPH_POSTGRES_POOL_MAX_SIZE": str(workers.pool.max_size),
        # They stop at once: nobody sends them requests.
        "BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS": str(
            min(agent.lifetimes.grace_period - SHUTDOWN_MARGIN, _LONGEST_GRACE)
        ),
    }


DEFAULTS = {
    # With a key of LangSmith's it would send what users wrote there, unasked.
    "LANGSMITH_TRACING": "false"
}
"""What ``agent.env`` may say otherwise."""
