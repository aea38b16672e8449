"""What is supported depends on the day."""

from datetime import date

import pytest

from policies import check
from tests.policies.plans import Made, MadePlan, plan_of


def test_a_stack_that_is_fine_today_has_a_finding_on_the_day_after_its_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The day of all tests is one on which it is; whatever is judged without a day asks this function."""
    assert check(plan_of("dev")) == []
    monkeypatch.setattr("policies.day.today", lambda: date(2027, 8, 3))
    assert {finding.rule for finding in check(plan_of("dev"))} == {"supported-versions"}


def messages(type_: str, inputs: dict[str, str], today: date) -> list[str]:
    plan = MadePlan((Made(type_, inputs),), production=False)
    return [f.message for f in check(plan, today=today) if f.rule == "supported-versions"]


@pytest.mark.parametrize(
    ("type_", "inputs", "last_day", "next_day", "later"),
    [
        (
            "aws:eks/cluster:Cluster",
            {"version": "1.34"},
            date(2026, 12, 2),
            date(2026, 12, 3),
            "of 1.35, 1.36 it lasts",
        ),
        (
            "aws:rds/instance:Instance",
            {"engine": "postgres", "engineVersion": "17.6"},
            date(2030, 2, 28),
            date(2030, 3, 1),
            "of 18 it lasts",
        ),
        (
            "aws:elasticache/replicationGroup:ReplicationGroup",
            {"engine": "redis", "engineVersion": "6.2"},
            date(2027, 1, 31),
            date(2027, 2, 1),
            "Redis OSS 6.2",
        ),
    ],
)
def test_a_version_is_refused_from_the_day_after_its_last(
    type_: str, inputs: dict[str, str], last_day: date, next_day: date, later: str
) -> None:
    assert messages(type_, inputs, last_day) == []
    (message,) = messages(type_, inputs, next_day)
    assert str(last_day) in message
    assert later in message
