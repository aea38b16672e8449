"""Commands on the LangGraph projects of a stack: `python -m stacks.projects dockerfile|lock --stack dev --agent NAME`.

Exit codes: 0 done; 1 the project cannot be built; 2 wrong options or a wrong stack file.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from images.context import write
from images.resolution import write_lock
from images.source import Source, read_source
from langgraph_agents_service.projects.config import ProjectError
from stacks import reading
from stacks.agent_image import CONTEXTS
from stacks.agent_settings import Agent
from stacks.built_images import PLATFORMS
from stacks.loading import SettingsError, load
from stacks.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m stacks.projects", description=__doc__)
    parser.add_argument(
        "command", choices=["dockerfile", "lock"], help="show its Dockerfile, or write its lock"
    )
    parser.add_argument("--stack", default="dev", help="the stack whose agent it is (dev)")
    parser.add_argument("--agent", required=True, help="the agent's name")
    options = parser.parse_args(arguments)
    try:
        settings = _settings(options.stack)
        agent, source = _source(settings, options.agent)
    except (reading.StackFileError, SettingsError, LookupError) as error:
        print(error.args[0] if isinstance(error, LookupError) else error, file=sys.stderr)
        return 2
    on = PLATFORMS[settings.cluster.architecture]
    try:
        if options.command == "lock":
            print(f"resolving the packages of {agent.name} ...", file=sys.stderr)
            print(f"Written: {write_lock(source, on)}. Commit it: later builds install exactly this.")
        else:
            context = write(source, name=agent.name, platform=on, folder=CONTEXTS)
            print((context.folder / "Dockerfile").read_text())
            print(f"docker build {context.folder}", file=sys.stderr)
    except ProjectError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _settings(stack: str) -> Settings:
    """Raises StackFileError, SettingsError."""
    file = Path(f"Pulumi.{stack}.yaml")
    config = reading.read(file).content.get("config") or {}
    if platform := config.get("langgraph-agents:platform"):
        raise LookupError(
            f"{file}: langgraph-agents:platform is {platform}, which only Pulumi can ask: take `pulumi stack output"
            f" existing --json --stack {platform}` into a copy of the file in its place, and name that as --stack"
        )
    return load(
        config.get("langgraph-agents:settings"),
        stack=stack,
        region=config.get("aws:region"),
        api_keys=config.get("langgraph-agents:apiKeys"),
        source=file,
    )


def _source(settings: Settings, name: str) -> tuple[Agent, Source]:
    """Raises LookupError, whose text is for the user."""
    built = {agent.name: agent for agent in settings.agents if agent.source}
    if name not in built:
        known = ", ".join(built) or "none; an agent has one by `source: <folder of its langgraph.json>`"
        raise LookupError(f"--agent {name}: no such agent with a source in this stack: {known}")
    agent = built[name]
    return agent, read_source(Path(str(agent.source)))


if __name__ == "__main__":
    sys.exit(main())
