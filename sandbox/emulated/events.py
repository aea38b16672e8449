"""SQS, SNS, EventBridge and CloudWatch's alarms."""

from typing import Any

from sandbox.emulated.subject import ACCOUNT, Kind, Subject


def _url(subject: Subject) -> str:
    return f"https://sqs.{subject.region}.amazonaws.com/{ACCOUNT}/{subject.named()}"


def _queue(subject: Subject, id_: str) -> dict[str, Any]:
    return {"arn": subject.arn("sqs", subject.named()), "name": subject.named(), "url": id_}


def _topic(subject: Subject) -> str:
    return subject.arn("sns", subject.named())


KINDS = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": Kind(
        lambda s: s.named(),
        lambda s, id_: {"arn": s.arn("cloudwatch", f"alarm:{id_}"), "name": id_},
    ),
    "aws:sns/topic:Topic": Kind(_topic, lambda s, id_: {"arn": id_, "name": s.named(), "owner": ACCOUNT}),
    "aws:sns/topicPolicy:TopicPolicy": Kind(lambda s: s.get("arn"), lambda s, id_: {"owner": ACCOUNT}),
    "aws:sns/topicSubscription:TopicSubscription": Kind(
        lambda s: f"{s.get('topic')}:{s.uuid()}",
        lambda s, id_: {"arn": id_, "ownerId": ACCOUNT, "pendingConfirmation": s.get("protocol") == "email"},
    ),
    "aws:sqs/queue:Queue": Kind(_url, _queue),
    "aws:sqs/queuePolicy:QueuePolicy": Kind(lambda s: s.get("queueUrl")),
    "aws:cloudwatch/eventRule:EventRule": Kind(
        lambda s: s.named(),
        lambda s, id_: {"arn": s.arn("events", f"rule/{id_}"), "name": id_},
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Kind(lambda s: f"{s.get('rule')}-{s.get('targetId')}"),
}
