"""The rules as policies of the engine: ``pulumi up --policy-pack policies``.

The engine shows a resource before it is made (single rules) and all of them at the end (rules that take several).
What it does not know yet is ``UNKNOWN`` here; the same rules run again when it does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policies import day
from policies import exceptions as excuses
from policies.model import UNKNOWN, Finding, ResourceRule, Rule, Stack, StackRule
from policies.rules import RULES
from stacks.policy_exceptions import PolicySettings, policy_settings

# Where the stack's settings are, in the configuration that the engine hands to the pack.
_PROJECT = "langgraph-agents"


@dataclass(frozen=True)
class _Resource:
    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any]
    provider: str
    protect: bool


def _settings() -> PolicySettings:
    return policy_settings(pulumi.Config(_PROJECT).get_object("settings"), stack=pulumi.get_stack())


def policies() -> list[Policy]:
    """One policy for each rule, and one for the exceptions themselves."""
    of_rules = [
        ResourceValidationPolicy(validate=_resource_validation(rule), **_described(rule))
        if isinstance(rule, ResourceRule)
        else StackValidationPolicy(validate=_stack_validation(rule), **_described(rule))
        for rule in RULES
    ]
    of_exceptions = StackValidationPolicy(
        name="policy-exceptions",
        description="Exceptions name a rule and a resource, and end",
        validate=_validate_exceptions,
        enforcement_level=EnforcementLevel.MANDATORY,
    )
    return [*of_rules, of_exceptions]


def _described(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.id,
        "description": rule.reason,
        "enforcement_level": EnforcementLevel.MANDATORY,
        "severity": Severity(rule.severity.value),
        "remediation_steps": rule.remedy,
        "url": rule.link,
    }


def _resource_validation(rule: ResourceRule) -> Callable[[ResourceValidationArgs, ReportViolation], None]:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = _resource(args)
        if rule.applies_to(resource):
            _report([rule.finding(resource, message) for message in rule.examine(resource)], rule, report)

    return validate


def _stack_validation(rule: StackRule) -> Callable[[StackValidationArgs, ReportViolation], None]:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        stack = Stack(map(_resource, args.resources))
        _report([rule.finding(resource, message) for resource, message in rule.examine(stack)], rule, report)

    return validate


def _report(findings: Sequence[Finding], rule: Rule, report: ReportViolation) -> None:
    settings, today = _settings(), day.today()
    if rule.production_only and not settings.production:
        return
    for finding in findings:
        if not excuses.excused(finding, settings.policy_exceptions, today):
            report(f"{finding.resource} {finding.message}: {finding.remedy} ({finding.link})", finding.urn)


def _validate_exceptions(args: StackValidationArgs, report: ReportViolation) -> None:
    exceptions = _settings().policy_exceptions
    resources = [_resource(resource) for resource in args.resources]
    try:
        excuses.verify(exceptions, {rule.id for rule in RULES}, resources)
    except excuses.ExceptionsError as error:
        report(str(error), None)
        return
    for finding in excuses.expired(exceptions, resources, day.today()):
        report(f"{finding.resource}: {finding.message}: {finding.remedy}", finding.urn)


def _resource(args: ResourceValidationArgs | PolicyResource) -> _Resource:
    return _Resource(
        urn=args.urn,
        type=args.resource_type,
        name=args.name,
        inputs=_plain(args.props),
        provider=args.provider.urn if args.provider else "",
        protect=args.opts.protect,
    )


def _plain(value: Any) -> Any:
    """Properties as plain data, of which ``UNKNOWN`` is a part; the SDK raises where it meets an unknown one."""
    if isinstance(value, Mapping):
        return {key: _get(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_get(value, index) for index in range(len(value))]
    return value


def _get(container: Any, key: Any) -> Any:
    try:
        return _plain(container[key])
    except UnknownValueError:
        return UNKNOWN
