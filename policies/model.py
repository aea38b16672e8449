"""What a rule is, what it looks at, and what it finds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Protocol

from policies import day


class Severity(StrEnum):
    """How bad it is, in Pulumi's words. A finding of any severity fails; this orders them."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Resource(Protocol):
    """A resource as rules see it: one of a plan, or one that the engine hands to the policy pack."""

    @property
    def urn(self) -> str: ...
    @property
    def type(self) -> str:
        """The type token, such as ``aws:rds/instance:Instance``."""

    @property
    def name(self) -> str:
        """The logical name."""

    @property
    def inputs(self) -> Mapping[str, Any]:
        """By the provider's property names (camelCase). What is no JSON value is a secret or ``UNKNOWN``."""

    @property
    def provider(self) -> str:
        """The provider's URN, with or without ``::id``; "" for the default provider."""

    @property
    def protect(self) -> bool: ...


class _Unknown:
    """A value that the engine learns during the update; a rule gives it the benefit of the doubt."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


def is_secret(value: object) -> bool:
    """Whether ``value`` was marked as secret: a plan holds something opaque in its place."""
    return not isinstance(value, str | int | float | None | Mapping | list | tuple | _Unknown)


def is_true(value: object) -> bool:
    """Whether a property is on. Some of AWS's are strings, and an unknown one may be."""
    return value is True or value == "true" or value is UNKNOWN


def number(value: object) -> float:
    """A property as a number; 0 where it is missing, and infinity where it is unknown."""
    if value is UNKNOWN:
        return float("inf")
    return value if isinstance(value, int | float) else 0


def items(value: object) -> list[Any]:
    """A property as a list; [] where it is missing or unknown."""
    return list(value) if isinstance(value, list | tuple) else []


def mapping(value: object) -> Mapping[str, Any]:
    """A property as an object; {} where it is missing or unknown."""
    return value if isinstance(value, Mapping) else {}


def contains(value: object, *members: object) -> bool:
    """Whether a list holds one of ``members``; an unknown one may."""
    return value is UNKNOWN or any(member in items(value) for member in members)


def at(value: Any, *path: str) -> Any:
    """The value at ``path`` below ``value``; None where something on the way is missing, UNKNOWN where it is that."""
    for step in path:
        if value is UNKNOWN:
            return UNKNOWN
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


class Stack:
    """All resources of a stack, by type, on the day that they are judged."""

    def __init__(self, resources: Iterable[Resource], today: date | None = None) -> None:
        self.resources = tuple(resources)
        self.today = today or day.today()
        self._by_type: dict[str, list[Resource]] = {}
        for resource in self.resources:
            self._by_type.setdefault(resource.type, []).append(resource)

    def of_type(self, *types: str) -> list[Resource]:
        """The resources of these type tokens."""
        return [resource for type_ in types for resource in self._by_type.get(type_, [])]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule that a resource breaks."""

    rule: str
    severity: Severity
    urn: str
    resource: str
    """The logical name."""
    message: str
    """What is wrong."""
    remedy: str
    """What to do."""
    link: str
    """Why, at length."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a resource of a stack has to be like."""

    id: str
    severity: Severity
    reason: str
    """What happens to those who break it."""
    remedy: str
    """What to change."""
    link: str
    """Documentation of those who know."""
    production_only: bool = False
    """Whether only stacks that call themselves production have to keep it."""

    def finding(self, resource: Resource, message: str) -> Finding:
        """That ``resource`` breaks this rule."""
        return Finding(
            rule=self.id,
            severity=self.severity,
            urn=resource.urn,
            resource=resource.name,
            message=message,
            remedy=self.remedy,
            link=self.link,
        )


@dataclass(frozen=True, kw_only=True)
class ResourceRule(Rule):
    """A rule that needs to see one resource at a time."""

    types: frozenset[str]
    """The type tokens that it applies to; all where it is empty."""
    examine: Callable[[Resource], Iterator[str]]
    """Yields what is wrong."""

    def applies_to(self, resource: Resource) -> bool:
        return not self.types or resource.type in self.types


@dataclass(frozen=True, kw_only=True)
class StackRule(Rule):
    """A rule that takes several resources to judge."""

    examine: Callable[[Stack], Iterator[tuple[Resource, str]]]
    """Yields who breaks it, and what is wrong."""


def resource_rule(
    types: Iterable[str] = (),
    *,
    id: str,
    severity: Severity,
    reason: str,
    remedy: str,
    link: str,
    production_only: bool = False,
) -> Callable[[Callable[[Resource], Iterator[str]]], ResourceRule]:
    """Make a function on a resource a rule; its parameters are ``Rule``'s."""

    def decorate(function: Callable[[Resource], Iterator[str]]) -> ResourceRule:
        return ResourceRule(
            id=id,
            severity=severity,
            reason=reason,
            remedy=remedy,
            link=link,
            production_only=production_only,
            types=frozenset(types),
            examine=function,
        )

    return decorate


def stack_rule(
    *,
    id: str,
    severity: Severity,
    reason: str,
    remedy: str,
    link: str,
    production_only: bool = False,
) -> Callable[[Callable[[Stack], Iterator[tuple[Resource, str]]]], StackRule]:
    """Make a function on a stack a rule; its parameters are ``Rule``'s."""

    def decorate(function: Callable[[Stack], Iterator[tuple[Resource, str]]]) -> StackRule:
        return StackRule(
            id=id,
            severity=severity,
            reason=reason,
            remedy=remedy,
            link=link,
            production_only=production_only,
            examine=function,
        )

    return decorate
