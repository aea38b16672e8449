"""How large a pod is: Kubernetes' own sum over its containers."""

from collections.abc import Iterable
from decimal import Decimal

from components.workload.container import ContainerResources
from stacks.agent_settings import Agent
from stacks.container_settings import Resources
from stacks.vocabulary import quantity


def effective(containers: Iterable[Decimal], before: Iterable[tuple[Decimal, bool]]) -> Decimal:
    """What a pod requests, or is limited to, of one resource.

    By https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers.

    Args:
        containers: of each container.
        before: of each init container in its order, and whether it is a sidecar, which goes on running.
    """
    sidecars = most = Decimal(0)
    for amount, stays in before:
        most = max(most, sidecars + amount)
        if stays:
            sidecars += amount
    return max(most, sidecars + sum(containers, Decimal(0)))


def serving_pod(agent: Agent, own: Resources) -> ContainerResources:
    """Of an agent's pods that answer or execute, with all of their containers; ``own`` of the agent's own one."""
    before = [(each.resources, True) for each in agent.pod.sidecars]
    before += [(each.resources, False) for each in agent.pod.init_containers]

    def total(kind: str, name: str) -> str:
        return str(
            effective(
                [_amount(own, kind, name)],
                [(_amount(resources, kind, name), stays) for resources, stays in before],
            )
        )

    return ContainerResources(
        cpu_request=total("requests", "cpu"),
        memory_request=total("requests", "memory"),
        cpu_limit=total("limits", "cpu"),
        memory_limit=total("limits", "memory"),
    )


def _amount(resources: Resources, kind: str, name: str) -> Decimal:
    return quantity(getattr(getattr(resources, kind), name))
