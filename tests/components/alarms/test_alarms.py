"""Alarms on what the agents stand on: when they begin, whom they tell, and what to do then."""

import re
from pathlib import Path

import pytest

from preview.recording.recorder import Recording
from tests.components.reading import closure, statements
from tests.conftest import record_with, recorded
from tests.stacks.stack_files import changed

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
GUIDE = Path(__file__).parents[3] / "docs" / "alarms.md"
THEIRS = "arn:aws:sns:eu-central-1:123456789012:platform-alarms"


@pytest.fixture(scope="module")
def prod() -> Recording:
    return record_with(
        "prod", changed("prod", "alarms", {"emails": ["ops@example.com", "platform@example.com"]})
    )


def test_there_are_none_unless_somebody_is_to_be_told() -> None:
    assert recorded("prod").of_type(ALARM) == []
    assert recorded("prod").of_type("aws:sns/topic:Topic") == []


def test_the_database_each_node_of_the_cache_and_each_nat_gateway_are_watched(prod: Recording) -> None:
    (database,) = prod.of_type("aws:rds/instance:Instance")
    (cache,) = prod.of_type("aws:elasticache/replicationGroup:ReplicationGroup")
    nodes = [
        f"{cache.inputs['replicationGroupId']}-{number:03}"
        for number in range(1, 1 + cache.inputs["numCacheClusters"])
    ]
    watched = {
        (alarm.inputs["namespace"], *alarm.inputs["dimensions"].items()) for alarm in prod.of_type(ALARM)
    }
    assert watched == {
        ("AWS/RDS", ("DBInstanceIdentifier", database.inputs["identifier"])),
        *(("AWS/ElastiCache", ("CacheClusterId", node)) for node in nodes),
        *(
            ("AWS/NATGateway", ("NatGatewayId", gateway.id))
            for gateway in prod.of_type("aws:ec2/natGateway:NatGateway")
        ),
    }
    assert len(nodes) > 1


def test_thresholds_follow_what_the_database_has(prod: Recording) -> None:
    (database,) = prod.of_type("aws:rds/instance:Instance")
    (parameters,) = prod.of_type("aws:rds/parameterGroup:ParameterGroup")
    most = next(int(p["value"]) for p in parameters.inputs["parameters"] if p["name"] == "max_connections")
    storage = prod.named("alarms-database-storage").inputs
    connections = prod.named("alarms-database-connections").inputs
    assert storage["threshold"] == database.inputs["allocatedStorage"] * 2**30 / 10
    assert storage["comparisonOperator"] == "LessThanThreshold"
    assert 0.85 * most < connections["threshold"] < most
    assert connections["comparisonOperator"] == "GreaterThanThreshold"


def test_one_bad_moment_tells_nobody_and_the_end_of_trouble_is_told_too(prod: Recording) -> None:
    topic = prod.named("alarm-topic-topic").outputs["arn"]
    for alarm in prod.of_type(ALARM):
        assert alarm.inputs["period"] * alarm.inputs["datapointsToAlarm"] == 900
        assert alarm.inputs["alarmActions"] == alarm.inputs["okActions"] == [topic]


def test_every_alarm_names_a_section_that_says_what_to_do(prod: Recording) -> None:
    sections = set(re.findall(r"^## (\S+)$", GUIDE.read_text(), re.MULTILINE))
    named = {
        alarm.inputs["alarmDescription"].rpartition("docs/alarms.md#")[2] for alarm in prod.of_type(ALARM)
    }
    assert named == sections


def test_cloudwatch_alone_writes_to_the_topic_and_for_alarms_of_this_stack_alone(prod: Recording) -> None:
    topic = prod.named("alarm-topic-topic")
    ours = {
        "ArnLike": {
            "aws:SourceArn": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:langgraph-agents-prod-*"
        },
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    }
    allowed, denied = statements(prod.named("alarm-topic-policy"))
    assert allowed == {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic.outputs["arn"],
        "Condition": ours,
    }
    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    key = prod.named("alarm-topic-key")
    assert topic.inputs["kmsMasterKeyId"] == key.outputs["arn"]
    _, uses = statements(key)
    assert (uses["Principal"], uses["Condition"]) == ({"Service": "cloudwatch.amazonaws.com"}, ours)
    assert all(alarm.inputs["name"].startswith("langgraph-agents-prod-") for alarm in prod.of_type(ALARM))


def test_alarms_begin_when_they_may_write_to_the_topic(prod: Recording) -> None:
    policy = prod.named("alarm-topic-policy").urn
    assert all(policy in closure(prod, alarm) for alarm in prod.of_type(ALARM))


def test_each_address_is_asked_to_confirm(prod: Recording) -> None:
    found = prod.of_type("aws:sns/topicSubscription:TopicSubscription")
    assert {(each.inputs["protocol"], each.inputs["endpoint"]) for each in found} == {
        ("email", "ops@example.com"),
        ("email", "platform@example.com"),
    }


def test_a_topic_that_is_there_is_told_and_none_is_made() -> None:
    recording = record_with("dev", changed("dev", "alarms", {"topicArn": THEIRS}))
    assert {tuple(alarm.inputs["alarmActions"]) for alarm in recording.of_type(ALARM)} == {(THEIRS,)}
    assert recording.of_type("aws:sns/topic:Topic") == []
