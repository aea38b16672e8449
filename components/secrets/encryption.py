"""KMS keys: one for each kind of data, rotated every year, so that access to one kind opens no other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import iam

# The longest and the shortest time (days) that KMS waits before it destroys a key for good.
_DELETION_WINDOW_PROTECTED = 30
_DELETION_WINDOW = 7


def encryption_key(
    name: str,
    *,
    alias: str,
    description: str,
    protect: bool,
    parent: pulumi.Resource,
    policy: pulumi.Input[str] | None = None,
) -> aws.kms.Key:
    """A symmetric key with yearly rotation, and its alias.

    Args:
        alias: without the ``alias/`` that KMS puts before it.
        protect: keep the key from being destroyed: what it encrypted is lost with it.
        policy: the key policy; None is KMS's default, by which IAM policies of the account decide.
    """
    key = aws.kms.Key(
        name,
        description=description,
        enable_key_rotation=True,
        deletion_window_in_days=_DELETION_WINDOW_PROTECTED if protect else _DELETION_WINDOW,
        policy=policy,
        tags={"Name": alias},
        opts=pulumi.ResourceOptions(parent=parent, protect=protect),
    )
    aws.kms.Alias(
        f"{name}-alias",
        name=f"alias/{alias}",
        target_key_id=key.key_id,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return key


class ImagesKey(pulumi.ComponentResource):
    """The key of the image repositories that agents have of their own: whoever may pull one may pull all of them.

    Attributes:
        arn: pass it as ``kms_key_arn`` of an `Image`.
    """

    arn: pulumi.Output[str]

    def __init__(
        self, name: str, *, alias: str, protect: bool, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:ImagesKey", name, None, opts)
        self.arn = encryption_key(
            f"{name}-key",
            alias=alias,
            description="Encrypts the images of agents",
            protect=protect,
            parent=self,
        ).arn
        self.register_outputs({"arn": self.arn})


@dataclass(frozen=True, kw_only=True)
class LogsKeyArgs:
    """What `LogsKey` needs.

    Attributes:
        alias: the key's alias, without ``alias/``.
        account_id: the account that owns the log groups.
        region: the region of the log groups; CloudWatch Logs has one principal a region.
        protect: keep the key from being destroyed.
    """

    alias: str
    account_id: pulumi.Input[str]
    region: str
    protect: bool


class LogsKey(pulumi.ComponentResource):
    """The key of a stack's CloudWatch log groups.

    One key serves all of them: CloudWatch Logs needs a key policy of its own, and the log groups of a
    platform are read by the same people.

    Attributes:
        arn: pass it as ``kms_key_id`` of a log group.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: LogsKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:LogsKey", name, None, opts)
        account = pulumi.Output.from_input(args.account_id)
        key = encryption_key(
            f"{name}-key",
            alias=args.alias,
            description="Encrypts the platform's CloudWatch log groups",
            protect=args.protect,
            parent=self,
            policy=iam.document(
                [account_administers(account), _cloudwatch_logs_uses(account, region=args.region)]
            ),
        )
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})


def account_administers(account: pulumi.Output[str]) -> Mapping[str, Any]:
    """KMS's default statement: IAM decides. Without it nobody could ever change the key again."""
    return {
        "Effect": "Allow",
        "Principal": {"AWS": pulumi.Output.format("arn:aws:iam::{0}:root", account)},
        "Action": "kms:*",
        "Resource": "*",
    }


def _cloudwatch_logs_uses(account: pulumi.Output[str], *, region: str) -> Mapping[str, Any]:
    """CloudWatch Logs, for log groups of this account only (from its guide on encryption with KMS)."""
    groups = pulumi.Output.format("arn:aws:logs:{0}:{1}:log-group:*", region, account)
    return {
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{region}.amazonaws.com"},
        "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
        "Resource": "*",
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
    }
