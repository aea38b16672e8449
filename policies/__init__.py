"""Production rules as plain functions on the resources of a stack.

``check`` judges a plan. The same rules run in ``pulumi up --policy-pack policies`` (``policies/__main__.py``).
"""

from policies.checking import check
from policies.exceptions import ExceptionsError
from policies.rules import RULES, Finding, ResourceRule, Rule, Severity, StackRule

__all__ = [
    "RULES",
    "ExceptionsError",
    "Finding",
    "ResourceRule",
    "Rule",
    "Severity",
    "StackRule",
    "check",
]
