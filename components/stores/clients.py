"""The way from the agents' pods to a store."""

import pulumi
import pulumi_aws as aws


def let_in(
    name: str,
    *,
    security_group_id: pulumi.Input[str],
    client_security_group_id: pulumi.Input[str],
    port: pulumi.Input[int],
    description: str,
    parent: pulumi.Resource,
) -> None:
    """A rule of a store's security group by which its clients' group may connect.

    Args:
        name: of the store's component.
    """
    aws.vpc.SecurityGroupIngressRule(
        f"{name}-from-clients",
        security_group_id=security_group_id,
        description=description,
        referenced_security_group_id=client_security_group_id,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        opts=pulumi.ResourceOptions(parent=parent),
    )
