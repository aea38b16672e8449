"""A VPC of the platform's components, of which one property of one kind of resource is set otherwise."""

import pulumi

from components.network.network import NatGateways, Network, NetworkArgs


def named_by_id(
    args: pulumi.ResourceTransformationArgs,
) -> pulumi.ResourceTransformationResult | None:
    """Instances in a subnet are named by their id instead of their address; all else stays as the component has it."""
    if args.type_ != "aws:ec2/subnet:Subnet":
        return None
    return pulumi.ResourceTransformationResult(
        {**args.props, "private_dns_hostname_type_on_launch": "resource-name"}, args.opts
    )


network = Network(
    "network",
    NetworkArgs(
        cidr="10.40.0.0/16",
        zones=["eu-central-1a", "eu-central-1b"],
        nat_gateways=NatGateways.SINGLE,
        region="eu-central-1",
        cluster_name="agents",
        flow_logs=False,
        flow_logs_retention_days=30,
        logs_kms_key_arn="arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000",
        protect=False,
    ),
    # Pulumi hands them to every child of the component.
    opts=pulumi.ResourceOptions(transformations=[named_by_id]),
)
pulumi.export("vpc_id", network.vpc_id)
