"""Where alarms go: an SNS topic, and the e-mail addresses that it tells."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import iam
from components.secrets.encryption import account_administers, encryption_key


@dataclass(frozen=True, kw_only=True)
class AlarmTopicArgs:
    """What `AlarmTopic` needs.

    Attributes:
        topic_name: its fixed name, with which the names of its alarms begin.
        emails: who is told; each confirms it by a link in a first e-mail.
        account_id: the account whose alarms may write to it.
        region: the region of the alarms.
        protect: keep its key from being destroyed.
    """

    topic_name: str
    emails: Sequence[str]
    account_id: pulumi.Input[str]
    region: str
    protect: bool


class AlarmTopic(pulumi.ComponentResource):
    """A topic that alarms of one name write to, and nobody else.

    Attributes:
        arn: pass it to `Alarms`; further listeners (PagerDuty, Slack by Amazon Q Developer) subscribe to it.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: AlarmTopicArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:AlarmTopic", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        account = pulumi.Output.from_input(args.account_id)
        alarms = pulumi.Output.format(
            "arn:aws:cloudwatch:{0}:{1}:alarm:{2}-*", args.region, account, args.topic_name
        )
        ours = {"ArnLike": {"aws:SourceArn": alarms}, "StringEquals": {"aws:SourceAccount": account}}
        key = encryption_key(
            f"{name}-key",
            alias=args.topic_name,
            description="Encrypts what alarms say",
            protect=args.protect,
            parent=self,
            # The key that AWS manages for SNS does not let CloudWatch in:
            # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
            policy=iam.document(
                [
                    account_administers(account),
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "cloudwatch.amazonaws.com"},
                        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                        "Resource": "*",
                        "Condition": ours,
                    },
                ]
            ),
        )
        topic = aws.sns.Topic(f"{name}-topic", name=args.topic_name, kms_master_key_id=key.arn, opts=child)
        policy = aws.sns.TopicPolicy(
            f"{name}-policy",
            arn=topic.arn,
            policy=iam.document(
                [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "cloudwatch.amazonaws.com"},
                        "Action": "sns:Publish",
                        "Resource": topic.arn,
                        "Condition": ours,
                    },
                    iam.encrypted_only("sns:Publish", topic.arn),
                ]
            ),
            opts=child,
        )
        for email in args.emails:
            aws.sns.TopicSubscription(
                f"{name}-{email}", topic=topic.arn, protocol="email", endpoint=email, opts=child
            )
        # An alarm that tells nobody for lack of a permission does not say so: it waits until it may.
        self.arn = pulumi.Output.all(topic.arn, policy.id).apply(lambda made: str(made[0]))
        self.register_outputs({"arn": self.arn})
