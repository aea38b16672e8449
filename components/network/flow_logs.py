"""A VPC's flow logs: which connections there were, and which were refused."""

import pulumi
import pulumi_aws as aws

from components import iam
from components.naming import IAM_ROLE_NAME, safe_name


def flow_logs(
    name: str,
    *,
    vpc: aws.ec2.Vpc,
    label: str,
    retention_days: int,
    kms_key_arn: pulumi.Input[str],
    parent: pulumi.Resource,
) -> None:
    """Record all connections of a VPC in an encrypted log group.

    Args:
        label: the platform's name, for the names of the log group and the role.
    """
    child = pulumi.ResourceOptions(parent=parent)
    group = aws.cloudwatch.LogGroup(
        f"{name}-flow-logs-group",
        name=f"/langgraph-agents/{label}/vpc-flow-logs",
        retention_in_days=retention_days,
        kms_key_id=kms_key_arn,
        opts=child,
    )
    role = aws.iam.Role(
        f"{name}-flow-logs-role",
        name=safe_name(label, "flow-logs", limit=IAM_ROLE_NAME),
        description="VPC Flow Logs write into the log group of this VPC",
        assume_role_policy=iam.trust(
            "vpc-flow-logs.amazonaws.com",
            conditions={"StringEquals": {"aws:SourceAccount": vpc.owner_id}},
        ),
        opts=child,
    )
    # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html, for one log group.
    policy = aws.iam.RolePolicy(
        f"{name}-flow-logs-policy",
        name="write-flow-logs",
        role=role.name,
        policy=iam.document(
            [
                {
                    "Effect": "Allow",
                    "Action": [
                        "logs:CreateLogStream",
                        "logs:PutLogEvents",
                        "logs:DescribeLogGroups",
                        "logs:DescribeLogStreams",
                    ],
                    "Resource": [group.arn, pulumi.Output.format("{0}:*", group.arn)],
                }
            ]
        ),
        opts=child,
    )
    aws.ec2.FlowLog(
        f"{name}-flow-log",
        vpc_id=vpc.id,
        traffic_type="ALL",
        log_destination_type="cloud-watch-logs",
        log_destination=group.arn,
        iam_role_arn=role.arn,
        # Seconds: the longer of the two that there are, and the cheaper.
        max_aggregation_interval=600,
        tags={"Name": label},
        # The first delivery is tried at once and is refused without the policy.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[policy]),
    )
