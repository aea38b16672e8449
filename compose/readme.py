"""The README.md of a written folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from compose.images import AgentImage, machine
from compose.secret_files import FOLDER, Unfilled
from compose.services import LISTEN
from stacks.agent_settings import Agent

LIMITS = Path(__file__).with_name("limits.md")
"""What Compose cannot do, as a table."""

_LISTEN = LISTEN.removeprefix("${LISTEN:-").removesuffix("}")


def readme(
    stack: str, agents: Sequence[Agent], images: Mapping[str, AgentImage], unfilled: Sequence[Unfilled]
) -> str:
    """The text."""
    # What is written is Markdown, and nobody's input but the stack file's.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        autoescape=False,  # noqa: S701
    )
    return environment.get_template("README.md.j2").render(
        stack=stack,
        agents=[
            {"name": agent.name, "host": agent.host, "source": agent.source, "key": _key(agent)}
            for agent in agents
        ],
        built=any(image.context for image in images.values()),
        developed=any(image.sources for image in images.values()),
        platform=machine(),
        unfilled=unfilled,
        port=_LISTEN.rpartition(":")[2],
        listen=_LISTEN,
        limits=LIMITS.read_text(),
    )


def _key(agent: Agent) -> str | None:
    has_keys = any(secret.name == "API_KEYS" for secret in agent.secrets)
    return f"{FOLDER}/{agent.data_name}/API_KEYS" if has_keys else None
