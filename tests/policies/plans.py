"""Plans for tests: the repository's own, with one property broken, and small ones made by hand."""

import copy
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from policies.model import Resource
from preview.recording.plan import Plan
from preview.recording.program import make_plan

ROOT = Path(__file__).parents[2]


@functools.cache
def plan_of(stack: str) -> Plan:
    """The plan of one of the repository's stacks."""
    return make_plan(stack, ROOT)


@dataclass(frozen=True)
class Made:
    """A resource made by hand."""

    type: str
    inputs: Mapping[str, Any]
    name: str = "it"
    provider: str = ""
    protect: bool = False

    @property
    def urn(self) -> str:
        return f"urn:pulumi:test::project::{self.type}::{self.name}"


@dataclass(frozen=True)
class MadePlan:
    """A plan made by hand."""

    made: tuple[Resource, ...]
    production: bool = True
    resources: Mapping[str, Resource] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "resources", {resource.urn: resource for resource in self.made})


def broken(plan: Plan, type_: str, change: Callable[[dict[str, Any]], None], name: str | None = None) -> Plan:
    """``plan`` with the inputs of its first resource of a type (and a name) changed."""
    resource = next(r for r in plan.of_type(type_) if name in (None, r.name))
    inputs = copy.deepcopy(dict(resource.inputs))
    change(inputs)
    return with_resources(plan, [replace(resource, inputs=inputs)])


def with_resources(plan: Plan, changed: Iterable[Any]) -> Plan:
    """``plan`` with these resources in the place of those of the same URN."""
    return replace(plan, resources={**plan.resources, **{r.urn: r for r in changed}})


def without(plan: Plan, *types: str) -> Plan:
    """``plan`` without its resources of these types."""
    return replace(plan, resources={urn: r for urn, r in plan.resources.items() if r.type not in types})


def setting(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change that sets the property at a path such as ``spec.template.spec.containers.0.image``."""

    def change(inputs: dict[str, Any]) -> None:
        at, last = _parent(inputs, path)
        at[last] = value

    return change


def removing(path: str) -> Callable[[dict[str, Any]], None]:
    """A change that removes the property at a path."""

    def change(inputs: dict[str, Any]) -> None:
        at, last = _parent(inputs, path)
        del at[last]

    return change


def _parent(inputs: Any, path: str) -> tuple[Any, Any]:
    *steps, last = [int(step) if step.isdigit() else step.replace("~", ".") for step in path.split(".")]
    at = inputs
    for step in steps:
        at = at[step]
    return at, last
