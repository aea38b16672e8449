"""Where an RDS instance's logs and figures go."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components import iam
from components.naming import IAM_ROLE_NAME, safe_name


def log_groups(
    name: str,
    *,
    identifier: str,
    exports: Sequence[str],
    retention_days: int,
    kms_key_arn: pulumi.Input[str],
    parent: pulumi.Resource,
) -> list[pulumi.Resource]:
    """The log groups of an instance, made before it: RDS would make them without retention and without a key.

    Args:
        exports: kinds of logs, as RDS names them.
    """
    return [
        aws.cloudwatch.LogGroup(
            f"{name}-{export}-logs",
            name=f"/aws/rds/instance/{identifier}/{export}",
            retention_in_days=retention_days,
            kms_key_id=kms_key_arn,
            opts=pulumi.ResourceOptions(parent=parent),
        )
        for export in exports
    ]


def monitoring_role(name: str, *, identifier: str, parent: pulumi.Resource) -> aws.iam.Role:
    """The role by which RDS writes the operating system's figures to CloudWatch Logs."""
    role = aws.iam.Role(
        f"{name}-monitoring-role",
        name=safe_name(identifier, "monitoring", limit=IAM_ROLE_NAME),
        description="RDS writes the operating system's figures to CloudWatch Logs",
        assume_role_policy=iam.trust("monitoring.rds.amazonaws.com"),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    aws.iam.RolePolicyAttachment(
        f"{name}-monitoring",
        role=role.name,
        policy_arn=iam.aws_managed_policy("service-role/AmazonRDSEnhancedMonitoringRole"),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return role
