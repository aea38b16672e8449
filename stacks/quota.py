"""How much the agents' namespace may use: what the program knows to run there at its fullest, and nothing besides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from components.edge.certificate_issuer import SOLVER_RESOURCES
from components.workload.container import ContainerResources
from components.workload.maintenance import RESOURCES as MAINTENANCE_RESOURCES
from stacks.agent_settings import Agent
from stacks.connections import POOLERS, SURGE, pooler_pod
from stacks.pod_requests import serving_pod
from stacks.vocabulary import quantity

# For each agent: the migration Job, the retention CronJob, and a retry of either.
_MAINTENANCE_PODS = 3
# For each host of a certificate: the challenge of one renewal.
_SOLVER_PODS = 1


@dataclass(frozen=True)
class _Pods:
    count: int
    resources: ContainerResources


def quota(agents: Sequence[Agent], *, certificate_solvers: bool, pooled: bool) -> dict[str, str]:
    """The hard limits of the namespace's ResourceQuota, as Kubernetes names and writes them.

    Args:
        certificate_solvers: cert-manager answers the challenges of the agents' certificates by pods of this namespace.
        pooled: PgBouncer runs there, too.
    """
    pods = [some for agent in agents for some in _pods(agent, certificate_solvers)]
    if pooled:
        # One that stops lets its transactions end while its successor serves.
        pods.append(_Pods(POOLERS + 1, pooler_pod(agents)))

    def total(field: str) -> Decimal:
        return sum((some.count * quantity(getattr(some.resources, field)) for some in pods), Decimal(0))

    return {
        "pods": str(sum(some.count for some in pods)),
        "requests.cpu": f"{_ceiling(total('cpu_request') * 1000)}m",
        "requests.memory": f"{_ceiling(total('memory_request') / 2**20)}Mi",
        "limits.cpu": f"{_ceiling(total('cpu_limit') * 1000)}m",
        "limits.memory": f"{_ceiling(total('memory_limit') / 2**20)}Mi",
    }


def _pods(agent: Agent, certificate_solvers: bool) -> Iterator[_Pods]:
    # A pod that is replaced finishes its runs, for as long as gracePeriod, while its successor serves. It counts until
    # it is gone, and in a rollout under load that may be all of them.
    for fleet in agent.fleets.values():
        leaving = fleet.replicas.max
        yield _Pods(fleet.replicas.max + SURGE + leaving, serving_pod(agent, fleet.resources))
    yield _Pods(_MAINTENANCE_PODS, MAINTENANCE_RESOURCES)
    if certificate_solvers:
        yield _Pods(_SOLVER_PODS, SOLVER_RESOURCES)


def _ceiling(number: Decimal) -> int:
    return int(number.to_integral_value(rounding=ROUND_CEILING))
