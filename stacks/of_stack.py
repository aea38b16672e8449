"""The settings of a stack by its name, for commands that work on one agent of it without Pulumi."""

from dataclasses import dataclass
from pathlib import Path

from stacks import reading
from stacks.agent_settings import Agent
from stacks.loading import load
from stacks.settings import Settings


@dataclass(frozen=True)
class NamedStack:
    """What a stack's file says."""

    settings: Settings
    region: str


def read_stack(stack: str) -> NamedStack:
    """Read ``Pulumi.<stack>.yaml``. Raises StackFileError, SettingsError."""
    file = Path(f"Pulumi.{stack}.yaml")
    config = reading.read(file).config
    if platform := config.get("langgraph-agents:platform"):
        raise reading.StackFileError(
            f"{file}: langgraph-agents:platform is {platform}, which only Pulumi can ask: take `pulumi stack output"
            f" existing --json --stack {platform}` into a copy of the file in its place, and name that as --stack"
        )
    settings = load(
        config.get("langgraph-agents:settings"),
        stack=stack,
        region=config.get("aws:region"),
        api_keys=config.get("langgraph-agents:apiKeys"),
        source=file,
    )
    return NamedStack(settings, str(config.get("aws:region")))


def agent_of(settings: Settings, name: str) -> Agent:
    """One agent of them. Raises LookupError, whose text is for the user."""
    for agent in settings.agents:
        if agent.name == name:
            return agent
    known = ", ".join(agent.name for agent in settings.agents) or "none"
    raise LookupError(f"--agent {name or repr(name)}: no such agent in this stack: {known}")
