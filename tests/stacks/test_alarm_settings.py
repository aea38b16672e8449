"""What a stack file may say of alarms."""

from typing import Any

import pytest

from tests.conftest import record_with
from tests.stacks.stack_files import changed
from tests.stacks.test_existing_stores import on_theirs, refused

ELSEWHERE = "arn:aws:sns:us-east-1:123456789012:alarms"


@pytest.mark.parametrize(
    ("alarms", "words"),
    [
        ({}, "tells nobody: set emails"),
        ({"emails": ["a@example.com"], "topicArn": ELSEWHERE}, "has both emails and topicArn"),
        ({"topicArn": "alarms"}, "write the topic's ARN"),
        ({"topicArn": ELSEWHERE}, "is of us-east-1, and alarms of eu-central-1 tell only topics there"),
        ({"emails": ["nobody"]}, "nobody"),
    ],
)
def test_who_is_told_is_said_once_and_can_be_told(alarms: dict[str, Any], words: str) -> None:
    assert words in refused(changed("dev", "alarms", alarms))


def test_what_is_somebody_elses_is_watched_by_them() -> None:
    told = refused(on_theirs(alarms={"emails": ["ops@example.com"]}))
    assert "alarms" in told
    assert "has nothing to watch" in told


def test_what_is_the_stacks_own_is_watched_beside_what_is_not() -> None:
    settings = on_theirs(alarms={"emails": ["ops@example.com"]}, cache={})
    found = record_with("dev", settings).of_type("aws:cloudwatch/metricAlarm:MetricAlarm")
    assert {alarm.inputs["namespace"] for alarm in found} == {"AWS/ElastiCache"}
