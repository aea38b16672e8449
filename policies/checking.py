"""Runs all rules on a plan."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Protocol

from policies import day
from policies import exceptions as excuses
from policies.model import Finding, Resource, ResourceRule, Severity, Stack
from policies.rules import RULES
from stacks.policy_exceptions import PolicyException

_WORST_FIRST = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW)


class Plan(Protocol):
    """What is judged: ``preview.recording.plan.Plan``, or anything of its shape."""

    @property
    def production(self) -> bool: ...
    @property
    def resources(self) -> Mapping[str, Resource]:
        """By URN."""


def check(
    plan: Plan, exceptions: Sequence[PolicyException] = (), *, today: date | None = None
) -> list[Finding]:
    """Every rule on every resource, less what ``exceptions`` excuse; the worst first. Empty means that all is well.

    Args:
        exceptions: of the stack file (``policyExceptions``).
        today: decides which exceptions have expired and which versions are supported; the day in UTC unless given.

    Raises:
        ExceptionsError: an exception names no rule, or no resource of the plan.
    """
    judged_on = today or day.today()
    resources = plan.resources.values()
    excuses.verify(exceptions, {rule.id for rule in RULES}, resources)
    findings = [
        finding
        for finding in _findings(Stack(resources, judged_on), production=plan.production)
        if not excuses.excused(finding, exceptions, judged_on)
    ]
    findings += excuses.expired(exceptions, resources, judged_on)
    return sorted(findings, key=lambda f: (_WORST_FIRST.index(f.severity), f.rule, f.urn, f.message))


def _findings(stack: Stack, *, production: bool) -> Iterator[Finding]:
    for rule in RULES:
        if rule.production_only and not production:
            continue
        if isinstance(rule, ResourceRule):
            for resource in stack.of_type(*rule.types) if rule.types else stack.resources:
                for message in rule.examine(resource):
                    yield rule.finding(resource, message)
        else:
            for resource, message in rule.examine(stack):
                yield rule.finding(resource, message)
