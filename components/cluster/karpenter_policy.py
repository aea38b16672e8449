"""What Karpenter may do: the statements of its own CloudFormation template (1.14), for one cluster.

https://karpenter.sh/docs/reference/cloudformation/. Narrower than there: the instance profile is the stack's, so that
no profile can be made or changed.
"""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.iam import Statement

_POOL = "karpenter.sh/nodepool"


def karpenter_policy(
    *,
    cluster_label: str,
    cluster_arn: pulumi.Input[str],
    region: str,
    node_role_arn: pulumi.Input[str],
    instance_profile_arn: pulumi.Input[str],
    queue_arn: pulumi.Input[str],
) -> list[Statement]:
    """Start instances with the cluster's tags, and end those that carry them; read what there is to choose from."""
    owned = f"kubernetes.io/cluster/{cluster_label}"
    made = [
        _ec2(region, kind)
        for kind in (
            "fleet",
            "instance",
            "volume",
            "network-interface",
            "launch-template",
            "spot-instances-request",
        )
    ]
    requested: dict[str, Any] = {
        f"aws:RequestTag/{owned}": "owned",
        "aws:RequestTag/eks:eks-cluster-name": cluster_label,
    }
    of_the_cluster = {
        "StringEquals": {f"aws:ResourceTag/{owned}": "owned"},
        "StringLike": {f"aws:ResourceTag/{_POOL}": "*"},
    }
    return [
        _allow(
            ["ec2:RunInstances", "ec2:CreateFleet"],
            [
                f"arn:aws:ec2:{region}::image/*",
                f"arn:aws:ec2:{region}::snapshot/*",
                _ec2(region, "security-group"),
                _ec2(region, "subnet"),
                _ec2(region, "capacity-reservation"),
            ],
        ),
        _allow(["ec2:RunInstances", "ec2:CreateFleet"], [_ec2(region, "launch-template")], of_the_cluster),
        _allow(
            ["ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate"],
            made,
            {"StringEquals": requested, "StringLike": {f"aws:RequestTag/{_POOL}": "*"}},
        ),
        _allow(
            ["ec2:CreateTags"],
            made,
            {
                "StringEquals": {
                    **requested,
                    "ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"],
                },
                "StringLike": {f"aws:RequestTag/{_POOL}": "*"},
            },
        ),
        _allow(
            ["ec2:CreateTags"],
            [_ec2(region, "instance")],
            {
                **of_the_cluster,
                "StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": cluster_label},
                "ForAllValues:StringEquals": {
                    "aws:TagKeys": ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"]
                },
            },
        ),
        _allow(
            ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
            [_ec2(region, "instance"), _ec2(region, "launch-template")],
            of_the_cluster,
        ),
        _allow(
            ["iam:PassRole"],
            [node_role_arn],
            {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
        _allow(["iam:GetInstanceProfile"], [instance_profile_arn]),
        _allow(["eks:DescribeCluster"], [cluster_arn]),
        _allow(["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"], [queue_arn]),
        _allow(["ssm:GetParameter"], [f"arn:aws:ssm:{region}::parameter/aws/service/*"]),
        # These have no narrower resource.
        _allow(
            [
                "ec2:DescribeCapacityReservations",
                "ec2:DescribeImages",
                "ec2:DescribeInstances",
                "ec2:DescribeInstanceStatus",
                "ec2:DescribeInstanceTypeOfferings",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeLaunchTemplates",
                "ec2:DescribePlacementGroups",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSpotPriceHistory",
                "ec2:DescribeSubnets",
            ],
            ["*"],
            {"StringEquals": {"aws:RequestedRegion": region}},
        ),
        _allow(["pricing:GetProducts", "iam:ListInstanceProfiles"], ["*"]),
    ]


def _ec2(region: str, kind: str) -> str:
    return f"arn:aws:ec2:{region}:*:{kind}/*"


def _allow(
    actions: list[str],
    resources: list[pulumi.Input[str]] | list[str],
    condition: Mapping[str, Mapping[str, Any]] | None = None,
) -> Statement:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": list(resources)}
    if condition:
        statement["Condition"] = condition
    return statement
