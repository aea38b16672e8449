"""What docs/policies.md says is so."""

import re
from collections.abc import Iterator

import yaml

from policies.model import Resource, Severity, resource_rule
from policies.reference import table
from stacks.policy_exceptions import PolicyException
from tests.policies.plans import ROOT, Made

PAGE = (ROOT / "docs" / "policies.md").read_text()


def test_the_table_lists_every_rule() -> None:
    """`python -m policies.reference` prints the table."""
    assert f"<!-- python -m policies.reference -->\n{table()}<!-- end -->" in PAGE


def test_the_exception_that_it_shows_is_one() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    [entry] = yaml.safe_load(example)["config"]["langgraph-agents:settings"]["policyExceptions"]

    assert PolicyException.model_validate(entry).rule == "backups"


def test_the_rule_that_it_shows_works() -> None:
    [example] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {"resource_rule": resource_rule, "Severity": Severity, "Resource": Resource, "Iterator": Iterator}
    exec(example, names)  # noqa: S102 (the documentation's own example)

    rule = names["postgres_18"]
    database = Made("aws:rds/instance:Instance", {"engineVersion": "17"})
    assert list(rule.examine(database)) == ["runs PostgreSQL 17"]  # type: ignore[attr-defined]
