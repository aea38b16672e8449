"""How much the agents' namespace may use: what its agents need at their maximum, and nothing besides."""

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal

from stacks.agent_settings import Agent
from stacks.vocabulary import quantity

# A rolling update runs this many pods above the maximum.
_SURGE = 1
# For each agent: the migration Job, the retention CronJob, a retry of either, and cert-manager's solver; at the limits
# that components.workload.maintenance sets.
_MAINTENANCE_PODS = 4
_MAINTENANCE_CORES = 2
_MAINTENANCE_BYTES = 2 * 2**30


def quota(agents: Sequence[Agent]) -> dict[str, str]:
    """The hard limits of the namespace's ResourceQuota, as Kubernetes names and writes them."""
    pods = [agent.replicas.max + _SURGE for agent in agents]

    def total(kind: str, resource: str) -> Decimal:
        amounts = [quantity(getattr(getattr(agent.resources, kind), resource)) for agent in agents]
        return sum((n * amount for n, amount in zip(pods, amounts, strict=True)), Decimal(0))

    def cores(kind: str) -> str:
        return f"{_ceiling((total(kind, 'cpu') + _MAINTENANCE_CORES * len(agents)) * 1000)}m"

    def memory(kind: str) -> str:
        return f"{_ceiling((total(kind, 'memory') + _MAINTENANCE_BYTES * len(agents)) / 2**20)}Mi"

    return {
        "pods": str(sum(pods) + _MAINTENANCE_PODS * len(agents)),
        "requests.cpu": cores("requests"),
        "requests.memory": memory("requests"),
        "limits.cpu": cores("limits"),
        "limits.memory": memory("limits"),
    }


def _ceiling(number: Decimal) -> int:
    return int(number.to_integral_value(rounding=ROUND_CEILING))
