"""Stacks for the tests of Compose files."""

from typing import Any

from stacks.loading import load
from stacks.of_stack import NamedStack
from tests.stacks.stack_files import settings_of

REGION = "eu-central-1"


def stack_with(
    stack: str = "dev",
    *,
    database: dict[str, Any] | None = None,
    ingress: dict[str, Any] | None = None,
    **agent: Any,
) -> NamedStack:
    """A stack of the repository, with settings of its first agent, its database and its ingress."""
    settings = settings_of(stack)
    settings["agents"][0] |= agent
    settings["database"] |= database or {}
    settings["ingress"] |= ingress or {}
    return NamedStack(load(settings, stack=stack, region=REGION), REGION)
