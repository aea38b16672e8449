"""What serves an agent, as its pods need to know it: one shape for the agent service and LangGraph's Agent Server."""

from collections.abc import Mapping
from dataclasses import dataclass

from components.workload.serving import Serving
from stacks import agent_permissions, agent_server, service
from stacks.agent_settings import Agent
from stacks.vocabulary import Runtime


@dataclass(frozen=True)
class AgentRuntime:
    """What differs between the two."""

    variables: Mapping[str, str]
    """Of the pods that answer, all of them plain; ``agent.env`` is not among them."""
    worker_variables: Mapping[str, str]
    """Of the pods that execute; empty where the agent has no workers."""
    serving: Serving
    worker_serving: Serving
    metrics_port: int
    is_service: bool
    """Whether the image is this project's, with the commands that keep the database: `migrate` and `prune`."""


def runtime_of(agent: Agent, *, production: bool) -> AgentRuntime:
    """The runtime that ``agent.runtime`` names."""
    workers = agent.workers
    if agent.runtime is Runtime.LANGGRAPH_SERVER:
        return AgentRuntime(
            variables=agent_server.plain_variables(agent),
            worker_variables=agent_server.worker_variables(agent, workers) if workers else {},
            serving=agent_server.SERVER,
            worker_serving=agent_server.QUEUE,
            metrics_port=service.PORT,
            is_service=False,
        )
    return AgentRuntime(
        variables=service.plain_variables(agent, production=production),
        worker_variables=service.worker_variables(agent, workers, production=production) if workers else {},
        serving=Serving(),
        worker_serving=Serving(),
        metrics_port=service.METRICS_PORT,
        is_service=True,
    )


def further_variables(agent: Agent, region: str) -> dict[str, str]:
    """Those that do not depend on the runtime: AWS's, and ``agent.env``."""
    return {**agent_permissions.variables(agent, region), **agent.env}


def reserved_names(agent: Agent) -> frozenset[str]:
    """Variables that the stack sets, and that ``agent.env`` may not."""
    if agent.runtime is Runtime.LANGGRAPH_SERVER:
        return frozenset(agent_server.plain_variables(agent).keys() - agent_server.DEFAULTS.keys())
    return frozenset(service.plain_variables(agent, production=False).keys() | {service.ROLE})
