"""Rules about agents that LangGraph's Agent Server serves; called as those of ``stacks.rules`` are."""

from collections.abc import Iterator, Mapping

from stacks.agent_server import AUTH_TYPE, LICENCES
from stacks.agent_settings import Agent
from stacks.problems import Problem
from stacks.settings import Database
from stacks.vocabulary import Checkpointer, CheckpointHistory, Pooler, Runtime

Agents = Mapping[int, Agent]


def agent_servers_have_an_image(agents: Agents) -> Iterator[Problem]:
    """What the stack builds for all others is the agent service."""
    for index, agent in _servers(agents):
        if agent.image is None and agent.source is None:
            yield Problem(
                f"agents[{index}].runtime",
                agent.runtime,
                "needs an image of its own: name the project's folder as source, or as image what `langgraph build`"
                " made",
            )


def agent_servers_have_a_licence(agents: Agents) -> Iterator[Problem]:
    """It looks for one when it starts, and ends without."""
    for index, agent in _servers(agents):
        names = {secret.name for secret in agent.secrets}
        if names.isdisjoint(LICENCES):
            yield Problem(
                f"agents[{index}].secrets",
                sorted(names),
                f"hold no licence, without which the Agent Server does not start: add {{name: {LICENCES[0]}}}, or"
                f" {{name: {LICENCES[1]}}} where a key of LangSmith's is one",
            )


def agent_servers_are_not_open_unasked(agents: Agents) -> Iterator[Problem]:
    """It asks nobody for a key by itself, and an image does not tell whether its project does."""
    for index, agent in _servers(agents):
        if agent.image and AUTH_TYPE not in agent.env:
            yield Problem(
                f"agents[{index}].env",
                sorted(agent.env),
                f"does not say who may call the agent, and its image may let everybody: set {AUTH_TYPE} to langsmith,"
                " or to noop if its langgraph.json has an auth, or if everybody may",
            )


def agent_servers_keep_their_data_in_postgresql(agents: Agents, database: Database) -> Iterator[Problem]:
    """In tables of its own, by connections that it makes itself."""
    for index, agent in _servers(agents):
        if agent.checkpointer is not Checkpointer.POSTGRES:
            yield _not_there(index, "checkpointer", agent.checkpointer, "it keeps threads in PostgreSQL")
        if agent.checkpoint_history is not CheckpointHistory.ALL:
            yield _not_there(
                index,
                "checkpointHistory",
                agent.checkpoint_history,
                "it shortens threads by `checkpointer.ttl` of langgraph.json",
            )
        if database.pooler is not Pooler.NONE:
            yield Problem(
                "database.pooler",
                database.pooler,
                f"is between {agent.name} and PostgreSQL, and whether the Agent Server's sessions outlive transaction"
                " pooling is not known: remove it, or give that agent a stack of its own",
            )


def agent_servers_tell_no_queue(agents: Agents) -> Iterator[Problem]:
    """KEDA would read a number that the agent service tells."""
    for index, agent in _servers(agents):
        for prefix, fleet in agent.fleets.items():
            if fleet.autoscaling.queue:
                yield _not_there(
                    index,
                    f"{prefix}autoscaling.queue",
                    fleet.autoscaling.queue,
                    "it tells its queue otherwise; CPU and memory scale it",
                )


def _servers(agents: Agents) -> Iterator[tuple[int, Agent]]:
    return ((index, agent) for index, agent in agents.items() if agent.runtime is Runtime.LANGGRAPH_SERVER)


def _not_there(index: int, field: str, value: object, why: str) -> Problem:
    return Problem(
        f"agents[{index}].{field}",
        value,
        f"does not go with runtime {Runtime.LANGGRAPH_SERVER}: {why}. Remove it",
    )


RULES = (
    agent_servers_have_an_image,
    agent_servers_have_a_licence,
    agent_servers_are_not_open_unasked,
    agent_servers_keep_their_data_in_postgresql,
    agent_servers_tell_no_queue,
)
