"""Where Karpenter hears of instances that AWS is about to take away."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import iam

# By the rules of Karpenter's own template: https://karpenter.sh/docs/reference/cloudformation/
_EVENTS = {
    "health": ("aws.health", "AWS Health Event"),
    "spot-interruption": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "state-change": ("aws.ec2", "EC2 Instance State-change Notification"),
    "reservation-interruption": ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
}
# An interruption is two minutes ahead; what is older is of no use.
_RETENTION_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class InterruptionQueueArgs:
    """Its name."""

    queue_name: str
    """At most 50 characters, for the rules begin with it."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.queue_name) <= 50:
            raise ValueError(
                f"queue_name is {self.queue_name!r} ({len(self.queue_name)} characters): use 1 to 50"
            )


class InterruptionQueue(pulumi.ComponentResource):
    """An SQS queue that EventBridge writes to: Spot interruptions, maintenance, and instances that stop."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]
    """Leaves without which nothing arrives."""

    def __init__(
        self, name: str, args: InterruptionQueueArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:InterruptionQueue", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        queue = aws.sqs.Queue(
            f"{name}-queue",
            name=args.queue_name,
            message_retention_seconds=_RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            opts=child,
        )
        rules = {
            what: aws.cloudwatch.EventRule(
                f"{name}-{what}",
                name=f"{args.queue_name}-{what}"[:64],
                description="Karpenter hears of it",
                event_pattern=json.dumps({"source": [source], "detail-type": [detail]}),
                opts=child,
            )
            for what, (source, detail) in _EVENTS.items()
        }
        policy = aws.sqs.QueuePolicy(
            f"{name}-policy",
            queue_url=queue.url,
            policy=iam.document(
                [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "events.amazonaws.com"},
                        "Action": "sqs:SendMessage",
                        "Resource": queue.arn,
                        # No rule of somebody else's account may write here.
                        "Condition": {"ArnEquals": {"aws:SourceArn": [rule.arn for rule in rules.values()]}},
                    },
                    iam.encrypted_only("sqs:*", queue.arn),
                ]
            ),
            opts=child,
        )
        targets = [
            aws.cloudwatch.EventTarget(
                f"{name}-{what}-target", rule=rule.name, target_id="queue", arn=queue.arn, opts=child
            )
            for what, rule in rules.items()
        ]
        self.name, self.arn = queue.name, queue.arn
        self.ready = (policy, *targets)
        self.register_outputs({"name": self.name, "arn": self.arn})
