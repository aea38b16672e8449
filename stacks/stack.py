"""A whole stack: the platform, its agents, and what others need to know of them."""

from collections.abc import Sequence
from typing import Any

import pulumi

from stacks.agents import ApiKeys, begin_agent, deploy_agent
from stacks.alarms import deploy_alarms
from stacks.platform import deploy_platform
from stacks.pooler import deploy_pooler
from stacks.settings import Settings
from stacks.sharing import shared


def compose(
    settings: Settings, *, stack: str, region: str, account_ids: Sequence[str] = (), api_keys: ApiKeys
) -> dict[str, pulumi.Input[Any]]:
    """Make every resource of a stack.

    Args:
        stack: the stack's name.
        region: the AWS region.
        account_ids: ``aws:allowedAccountIds``: the accounts that it may be deployed to; any when empty.
        api_keys: ``langgraph-agents:apiKeys``, secret.

    Returns:
        The stack's outputs. None is a secret: ARNs and endpoints, never values.
    """
    platform = deploy_platform(settings, stack=stack, region=region, account_ids=account_ids)
    deploy_alarms(settings, platform)
    begun = {agent.name: begin_agent(agent, settings, platform) for agent in settings.agents}
    pooler = deploy_pooler(settings, platform, {name: agent.database for name, agent in begun.items()})
    agents = {
        name: deploy_agent(agent, settings, platform, pooler, api_keys) for name, agent in begun.items()
    }
    others = {} if settings.agents else {"existing": shared(settings, platform)}
    return {
        **others,
        "agents": {name: agent.url for name, agent in agents.items()},
        "images": {name: agent.image for name, agent in agents.items()},
        "secret_arns": {name: agent.secret_arns for name, agent in agents.items()},
        "namespace": platform.namespace.namespace,
        "cluster_name": platform.cluster.name,
        "database_endpoint": platform.database.address,
        "cache_endpoint": platform.cache.primary_endpoint,
    }
