"""SQS and EventBridge."""

from typing import Any

from sandbox.emulated.subject import ACCOUNT, Kind, Subject


def _url(subject: Subject) -> str:
    return f"https://sqs.{subject.region}.amazonaws.com/{ACCOUNT}/{subject.named()}"


def _queue(subject: Subject, id_: str) -> dict[str, Any]:
    return {"arn": subject.arn("sqs", subject.named()), "name": subject.named(), "url": id_}


KINDS = {
    "aws:sqs/queue:Queue": Kind(_url, _queue),
    "aws:sqs/queuePolicy:QueuePolicy": Kind(lambda s: s.get("queueUrl")),
    "aws:cloudwatch/eventRule:EventRule": Kind(
        lambda s: s.named(),
        lambda s, id_: {"arn": s.arn("events", f"rule/{id_}"), "name": id_},
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Kind(lambda s: f"{s.get('rule')}-{s.get('targetId')}"),
}
