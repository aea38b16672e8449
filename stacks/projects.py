"""Commands on the LangGraph projects of a stack: `python -m stacks.projects dockerfile|lock --stack dev --agent NAME`.

Exit codes: 0 done; 1 the project cannot be built; 2 wrong options or a wrong stack file.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from images.resolution import write_lock
from images.source import read_source
from langgraph_agents_service.projects.config import ProjectError
from stacks.agent_image import write_build
from stacks.agent_settings import Agent
from stacks.built_images import PLATFORMS
from stacks.loading import SettingsError
from stacks.of_stack import read_stack
from stacks.reading import StackFileError
from stacks.settings import Settings
from stacks.vocabulary import Runtime


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m stacks.projects", description=__doc__)
    parser.add_argument(
        "command", choices=["dockerfile", "lock"], help="show its Dockerfile, or write its lock"
    )
    parser.add_argument("--stack", default="dev", help="the stack whose agent it is (dev)")
    parser.add_argument("--agent", required=True, help="the agent's name")
    options = parser.parse_args(arguments)
    try:
        settings = read_stack(options.stack).settings
        agent, source = _source(settings, options.agent)
        if options.command == "lock" and agent.runtime is not Runtime.SERVICE:
            raise LookupError(
                f"--agent {agent.name}: runtime {agent.runtime} installs its packages as `langgraph build` does, and"
                " keeps no lock: pin them in the project"
            )
    except (StackFileError, SettingsError, LookupError) as error:
        print(error.args[0] if isinstance(error, LookupError) else error, file=sys.stderr)
        return 2
    on = PLATFORMS[settings.cluster.architecture]
    try:
        if options.command == "lock":
            print(f"resolving the packages of {agent.name} ...", file=sys.stderr)
            lock = write_lock(read_source(Path(source)), on)
            print(f"Written: {lock}. Commit it: later builds install exactly this.")
        else:
            build = write_build(agent, source, on)
            print(build.dockerfile.read_text())
            beside = build.dockerfile.parent == build.context
            named = "" if beside else f"--file {build.dockerfile} "
            print(f"docker build {named}{build.context}", file=sys.stderr)
    except ProjectError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _source(settings: Settings, name: str) -> tuple[Agent, str]:
    """Raises LookupError, whose text is for the user."""
    built = {agent.name: agent for agent in settings.agents if agent.source}
    if name not in built:
        known = ", ".join(built) or "none; an agent has one by `source: <folder of its langgraph.json>`"
        raise LookupError(f"--agent {name}: no such agent with a source in this stack: {known}")
    agent = built[name]
    return agent, str(agent.source)


if __name__ == "__main__":
    sys.exit(main())
