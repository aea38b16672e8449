"""Findings that a stack file excuses: by rule and resource, for a reason, until a date."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date

from policies.model import Finding, Resource, Severity
from sandbox.common.errors import InputError
from stacks.policy_exceptions import PolicyException

EXPIRED = "expired-exception"
_LINK = "docs/policies.md#exceptions"


class ExceptionsError(InputError):
    """An exception that names no rule or no resource; the message lists all of them."""


def verify(
    exceptions: Sequence[PolicyException], rules: Collection[str], resources: Collection[Resource]
) -> None:
    """Refuse exceptions that excuse nothing that there is: a misspelt one would be trusted.

    Raises:
        ExceptionsError: naming each, and what there is.
    """
    known = {resource.name for resource in resources} | {resource.urn for resource in resources}
    problems = []
    for index, exception in enumerate(exceptions):
        where = f"policyExceptions[{index}]"
        if exception.rule not in rules:
            problems.append(f"{where}.rule: {exception.rule} is no rule. Known: {', '.join(sorted(rules))}")
        if exception.resource not in known:
            problems.append(
                f"{where}.resource: the stack has no {exception.resource}: give a resource's logical name or URN,"
                " as `make preview` lists them; remove the exception if the resource is gone"
            )
    if problems:
        raise ExceptionsError("\n".join(problems))


def expired(
    exceptions: Sequence[PolicyException], resources: Collection[Resource], today: date
) -> Iterator[Finding]:
    """A finding for each exception whose last day has passed, whether or not it still excuses something."""
    for exception in exceptions:
        if exception.expires < today:
            resource = next(r for r in resources if exception.resource in (r.name, r.urn))
            yield Finding(
                rule=EXPIRED,
                severity=Severity.HIGH,
                urn=resource.urn,
                resource=resource.name,
                message=f"its exception from {exception.rule} ended on {exception.expires}"
                f" (it was made because: {exception.reason})",
                remedy="mend the resource and remove the exception, or decide anew and give it another date",
                link=_LINK,
            )


def excused(finding: Finding, exceptions: Sequence[PolicyException], today: date) -> bool:
    """Whether an exception that is still good covers ``finding``."""
    return any(
        exception.rule == finding.rule
        and exception.resource in (finding.resource, finding.urn)
        and exception.expires >= today
        for exception in exceptions
    )
