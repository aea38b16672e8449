"""What of a stack Compose cannot run, with what to do instead."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from compose.secret_files import PASSWORD, TLS
from compose.services import SERVERS
from stacks.agent_settings import Agent
from stacks.problems import Problem
from stacks.settings import Settings
from stacks.vocabulary import Runtime

SCHEMA = Path(__file__).with_name("compose-spec.json")
"""Of https://github.com/compose-spec/compose-spec, schema/compose-spec.json at 170098ba07d9."""

_ELSEWHERE = "leave it out in a stack file for this machine, such as Pulumi.laptop.yaml"
_RESERVED = (*SERVERS, PASSWORD, TLS)


def problems_of(settings: Settings) -> list[Problem]:
    """Every problem, as of a stack file."""
    if not settings.agents:
        return [Problem("agents", [], "there is nothing to run: add an agent")]
    return [
        problem
        for index, agent in enumerate(settings.agents)
        for problem in _of_agent(f"agents[{index}]", agent)
    ]


def _of_agent(place: str, agent: Agent) -> Iterator[Problem]:
    if agent.name in _RESERVED:
        yield Problem(
            f"{place}.name", agent.name, f"{', '.join(_RESERVED)} are there already: choose another name"
        )
    if agent.runtime is not Runtime.SERVICE:
        yield Problem(
            f"{place}.runtime",
            agent.runtime.value,
            "LangGraph's Agent Server comes with a Compose file of its own: run `langgraph up` in its project, or set"
            " runtime: service in a stack file for this machine, such as Pulumi.laptop.yaml",
        )
    for volume in agent.pod.volumes:
        if volume.empty_dir is None:
            yield Problem(
                f"{place}.pod.volumes",
                volume.name,
                f"is an object of a cluster, and none is here: {_ELSEWHERE}",
            )
    for field, alias in (("init_containers", "initContainers"), ("sidecars", "sidecars")):
        if containers := getattr(agent.pod, field):
            yield Problem(
                f"{place}.pod.{alias}",
                [each.name for each in containers],
                f"containers of one pod share what Compose cannot share among several copies: {_ELSEWHERE}",
            )


def check_file(content: Mapping[str, Any]) -> None:
    """Hold a Compose file against the specification's schema.

    Raises:
        ValueError: with each place that is wrong; a defect of this program.
    """
    validator = Draft7Validator(json.loads(SCHEMA.read_text()))
    wrong = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(content)]
    if wrong:
        raise ValueError("\n".join(wrong))
