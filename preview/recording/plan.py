"""A plan: everything that a stack would be made of, as data that is stored, compared and judged.

It is what ``plan.json`` holds; ``plan.schema.json`` beside this file and docs/preview.md describe it. A plan knows no
secret: where the program has one, the plan has ``Secret()``. Plans are made by ``preview.recording.program.make_plan``.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from sandbox.common.errors import InputError

SCHEMA_VERSION = 1
"""Of ``plan.json``. It goes up whenever a reader of the old form would misread the new one."""

AGENT_TYPE = "langgraph-agents:stacks:Agent"
"""The component that holds everything that is one agent's own."""

# How plan.json writes a secret: an object that no provider's property looks like.
_SECRET = "$secret"  # noqa: S105


class PlanError(InputError):
    """A plan that cannot be read, or that holds no such resource."""


@dataclass(frozen=True)
class Secret:
    """A value that the program marked as secret. Nothing prints or stores what it is."""

    value: Any = field(default=None, repr=False, compare=False)
    """Known only while the program runs; None in a plan."""
    fingerprint: str = field(default="", repr=False)
    """Changes with the value, so that a comparison sees that it changed. Nobody's password can be guessed from
    it: a preview has no stack's key, and stands in for encrypted values and passwords alike."""

    def __repr__(self) -> str:
        return "[secret]"


@dataclass(frozen=True, slots=True)
class PlannedResource:
    """A resource as the program registers it. Property names are the provider's (camelCase)."""

    urn: str
    type: str
    """Its type token, such as ``aws:rds/instance:Instance``."""
    name: str
    """Its logical name."""
    parent: str
    """The parent's URN; "" at the top of the stack."""
    custom: bool
    """False for a component."""
    inputs: Mapping[str, Any]
    """Secrets are ``Secret``, at whatever depth."""
    outputs: Mapping[str, Any]
    """Inputs and what the provider adds, as emulated."""
    id: str
    """As emulated."""
    dependencies: tuple[str, ...]
    """URNs that it waits for, whether by ``depends_on`` or by a property; sorted."""
    property_dependencies: Mapping[str, tuple[str, ...]]
    """URNs that a property's value comes from; sorted."""
    provider: str
    """The provider's URN and id; "" for the default provider and for components."""
    protect: bool
    aliases: tuple[str, ...]
    """URNs that it had before."""
    ignore_changes: tuple[str, ...]
    replace_on_changes: tuple[str, ...]
    delete_before_replace: bool
    additional_secret_outputs: tuple[str, ...]
    retain_on_delete: bool
    source: str = ""
    """The file and line that made it, such as ``components/network/network.py:57``."""

    @property
    def package(self) -> str:
        """``aws``, ``kubernetes``, ``random``, ...; ``langgraph-agents`` for the project's own components."""
        return self.type.split(":", 1)[0]

    @property
    def kind(self) -> str:
        """The last part of the type: ``Instance``, ``Deployment``."""
        return self.type.rsplit(":", 1)[-1]


@dataclass(frozen=True)
class Plan:
    """A whole stack."""

    project: str
    stack: str
    region: str
    production: bool
    """Whether the stack's settings call it production."""
    resources: Mapping[str, PlannedResource]
    """By URN, in the order of URNs; without the stack itself."""
    outputs: Mapping[str, Any]
    """What the stack exports."""
    schema_version: int = SCHEMA_VERSION

    @cached_property
    def _children(self) -> dict[str, list[PlannedResource]]:
        children: dict[str, list[PlannedResource]] = {}
        for resource in self.resources.values():
            children.setdefault(resource.parent, []).append(resource)
        return children

    @cached_property
    def _types(self) -> dict[str, list[PlannedResource]]:
        types: dict[str, list[PlannedResource]] = {}
        for resource in self.resources.values():
            types.setdefault(resource.type, []).append(resource)
        return types

    @cached_property
    def _dependents(self) -> dict[str, list[PlannedResource]]:
        dependents: dict[str, list[PlannedResource]] = {}
        for resource in self.resources.values():
            for urn in resource.dependencies:
                dependents.setdefault(urn, []).append(resource)
        return dependents

    def of_type(self, *types: str) -> list[PlannedResource]:
        """All resources of these type tokens."""
        return [resource for type_ in types for resource in self._types.get(type_, [])]

    def children(self, urn: str = "") -> list[PlannedResource]:
        """The resources whose parent is ``urn``; of the stack when it is ""."""
        return self._children.get(urn, [])

    def dependents(self, urn: str) -> list[PlannedResource]:
        """The resources that wait for ``urn``."""
        return self._dependents.get(urn, [])

    def descendants(self, urn: str) -> Iterator[PlannedResource]:
        """Everything below ``urn``, parents first."""
        for child in self.children(urn):
            yield child
            yield from self.descendants(child.urn)

    def ancestors(self, resource: PlannedResource) -> Iterator[PlannedResource]:
        """Its parent, the parent's parent, and so on up to the top."""
        parent = self.resources.get(resource.parent)
        while parent is not None:
            yield parent
            parent = self.resources.get(parent.parent)

    def component(self, resource: PlannedResource) -> str:
        """The name of the component that made it; of itself where it is one; "" at the top of the stack."""
        if not resource.custom:
            return resource.name
        return next((ancestor.name for ancestor in self.ancestors(resource) if not ancestor.custom), "")

    def top_component(self, resource: PlannedResource) -> str:
        """The name of the outermost component around it, which is the agent's for what an agent owns."""
        outermost = resource
        for ancestor in self.ancestors(resource):
            outermost = ancestor
        return "" if outermost.custom else outermost.name

    def agent(self, resource: PlannedResource) -> str:
        """The name of the agent that it belongs to; "" for what agents share."""
        around = (resource, *self.ancestors(resource))
        return next((ancestor.name for ancestor in around if ancestor.type == AGENT_TYPE), "")

    @property
    def agents(self) -> list[str]:
        """The agents' names."""
        return [component.name for component in self.of_type(AGENT_TYPE)]

    def named(self, name: str, type_: str | None = None) -> PlannedResource:
        """The resource with a logical name, and of a type where that is given.

        Raises:
            PlanError: there is none, or more than one.
        """
        found = [r for r in self.resources.values() if r.name == name and type_ in (None, r.type)]
        if len(found) != 1:
            raise PlanError(f"{len(found)} resources are named {name}: {[r.type for r in found]}")
        return found[0]

    def to_json(self) -> str:
        """The text of ``plan.json``: the same bytes for the same plan."""
        head = {
            "schema_version": self.schema_version,
            "project": self.project,
            "stack": self.stack,
            "region": self.region,
            "production": self.production,
            "outputs": self.outputs,
        }
        # A resource a line: `diff` shows whole resources, and the encoder in C writes each (it cannot indent).
        lines = [
            _ENCODER.encode({name: getattr(resource, name) for name in _FIELDS})
            for resource in self.resources.values()
        ]
        return _ENCODER.encode(head)[:-1] + ', "resources": [\n' + ",\n".join(lines) + "\n]}\n"

    @classmethod
    def from_json(cls, text: str, source: str = "plan.json") -> "Plan":
        """Read what ``to_json`` wrote.

        Raises:
            PlanError: it is no plan, or of another schema version; the message names ``source``.
        """
        try:
            document = json.loads(text, object_hook=_secret_from_json)
            version = document["schema_version"]
        except (ValueError, TypeError, KeyError):
            raise PlanError(
                f"{source} is not a plan: name a plan.json that `python -m preview` wrote"
            ) from None
        if version != SCHEMA_VERSION:
            raise PlanError(
                f"{source} has schema version {version}, this is version {SCHEMA_VERSION}:"
                " make it anew with this version of the preview"
            )
        try:
            resources = [_resource(entry) for entry in document.pop("resources")]
            return cls(**document, resources={resource.urn: resource for resource in resources})
        except (TypeError, KeyError, AttributeError) as error:
            raise PlanError(f"{source} is damaged: {error}. Make it anew") from None


_FIELDS = tuple(f.name for f in fields(PlannedResource))


def _resource(entry: Mapping[str, Any]) -> PlannedResource:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
    }
    values["property_dependencies"] = {
        key: tuple(urns) for key, urns in entry["property_dependencies"].items()
    }
    return PlannedResource(**values)


def _secret_as_json(value: object) -> object:
    if isinstance(value, Secret):
        return {_SECRET: value.fingerprint}
    raise TypeError(f"{type(value).__name__} is no JSON value")


_ENCODER = json.JSONEncoder(default=_secret_as_json, ensure_ascii=False, sort_keys=True)


def _secret_from_json(value: dict[str, Any]) -> Any:
    return Secret(fingerprint=value[_SECRET]) if value.keys() == {_SECRET} else value


def masked(value: Any) -> Any:
    """``value`` without what its secrets are. What holds none comes back as it is, not as a copy."""
    if isinstance(value, Secret):
        text = json.dumps(value.value, sort_keys=True)
        return Secret(fingerprint=hashlib.sha256(text.encode()).hexdigest()[:12])
    if isinstance(value, dict):
        items = {key: masked(item) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in value) else value
    if isinstance(value, list):
        entries = [masked(item) for item in value]
        return entries if any(new is not old for new, old in zip(entries, value, strict=True)) else value
    return value
