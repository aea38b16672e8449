"""IAM policy documents as plain data, written in one way."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

#: One statement of a policy. Values may be Outputs.
Statement = Mapping[str, Any]

_VERSION = "2012-10-17"


def document(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """A policy document as JSON; ARNs in it may still be unknown."""
    return pulumi.Output.json_dumps({"Version": _VERSION, "Statement": list(statements)})


def encrypted_only(action: str, resource: pulumi.Input[str]) -> Statement:
    """The statement of a resource's policy that refuses whoever comes without TLS.

    Args:
        action: all that anybody may do there.
        resource: its ARN.
    """
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def trust(
    service: str, *, actions: Sequence[str] = ("sts:AssumeRole",), conditions: Mapping[str, Any] | None = None
) -> pulumi.Output[str]:
    """The trust policy by which an AWS service assumes a role.

    Args:
        service: the service principal, such as ``eks.amazonaws.com``.
        actions: what the service may call; Pod Identity and EKS Auto Mode also tag their sessions.
        conditions: the ``Condition`` block, or None.
    """
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": list(actions),
    }
    if conditions:
        statement["Condition"] = dict(conditions)
    return document([statement])


def aws_managed_policy(name: str) -> str:
    """The ARN of a policy that AWS maintains; ``name`` includes its path, such as ``service-role/X``.

    Of the commercial partition: the RDS root certificates that the platform ships are of that partition only.
    """
    return f"arn:aws:iam::aws:policy/{name}"
