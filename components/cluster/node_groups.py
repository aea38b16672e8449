"""Managed node groups: the EC2 instances that pods run on, without EKS Auto Mode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi
import pulumi_aws as aws

from components.naming import safe_name

# The provider appends 26 characters to a prefix, and EKS allows 63 in all.
_NAME_PREFIX = 36


class CapacityType(StrEnum):
    """How instances are bought."""

    ON_DEMAND = "ON_DEMAND"
    SPOT = "SPOT"
    """Cheaper, and taken back by AWS at two minutes' notice."""


class Architecture(StrEnum):
    """The processor of the instances; the agent's image has to be built for it."""

    X86_64 = "x86_64"
    ARM64 = "arm64"


#: The label of every node that names its processor, and what it says.
ARCH_LABEL = "kubernetes.io/arch"
ARCH_VALUES = {Architecture.X86_64: "amd64", Architecture.ARM64: "arm64"}

_AMI_TYPES = {
    Architecture.X86_64: "AL2023_x86_64_STANDARD",
    Architecture.ARM64: "AL2023_ARM_64_STANDARD",
}


@dataclass(frozen=True, kw_only=True)
class NodeGroupArgs:
    """One group of equal nodes.

    Attributes:
        name: unique within the cluster.
        instance_types: in order of preference; several make Spot capacity easier to get.
        min_size: the fewest nodes.
        max_size: the most.
        desired_size: how many at first. Later changes are the autoscaler's, or yours by hand.
        capacity_type: on demand or Spot.
        disk_size_gib: the root volume of a node, for images, logs and ``emptyDir``.
        architecture: of all the instance types.
    """

    name: str
    instance_types: Sequence[str]
    min_size: int
    max_size: int
    desired_size: int
    capacity_type: CapacityType = CapacityType.ON_DEMAND
    disk_size_gib: int = 50
    architecture: Architecture = Architecture.X86_64

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("name of a node group is empty: give each group a name")
        if not self.instance_types:
            raise ValueError(f"instance_types of node group {self.name!r} is empty: name at least one")
        if not 0 <= self.min_size <= self.desired_size <= self.max_size or self.max_size < 1:
            raise ValueError(
                f"node group {self.name!r} has min_size {self.min_size}, desired_size {self.desired_size}, "
                f"max_size {self.max_size}: they have to rise in this order, max_size being at least 1"
            )
        # The AL2023 image itself is 20 GiB.
        if self.disk_size_gib < 20:
            raise ValueError(
                f"disk_size_gib of node group {self.name!r} is {self.disk_size_gib}: use at least 20"
            )


def node_group(
    name: str,
    args: NodeGroupArgs,
    *,
    cluster_name: pulumi.Input[str],
    cluster_label: str,
    role_arn: pulumi.Input[str],
    subnet_ids: Sequence[pulumi.Input[str]],
    security_group_ids: Sequence[pulumi.Input[str]],
    instance_tags: Mapping[str, str],
    depends_on: Sequence[pulumi.Resource],
    parent: pulumi.Resource,
) -> aws.eks.NodeGroup:
    """A managed node group with its launch template.

    Args:
        cluster_label: the cluster's name as plain text, for names and tags.
        security_group_ids: of every network interface of the nodes, and so of the pods.
        instance_tags: further tags of instances and volumes, which no provider default reaches.
        depends_on: what a node needs before it can become ready.
    """
    label = f"{cluster_label}-{args.name}"
    tags = {**instance_tags, "Name": label}
    template = aws.ec2.LaunchTemplate(
        f"{name}-template",
        name=label,
        update_default_version=True,
        vpc_security_group_ids=list(security_group_ids),
        metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
            http_endpoint="enabled",
            http_tokens="required",
            # One hop ends at the node itself: no pod can take the node's role from the metadata service.
            http_put_response_hop_limit=1,
        ),
        block_device_mappings=[
            aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name="/dev/xvda",
                ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    volume_type="gp3",
                    volume_size=args.disk_size_gib,
                    encrypted="true",
                    delete_on_termination="true",
                ),
            )
        ],
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
            for kind in ("instance", "volume", "network-interface")
        ],
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return aws.eks.NodeGroup(
        name,
        cluster_name=cluster_name,
        # A prefix: what cannot be changed in place (instance types, capacity type) is replaced by a second
        # group that is up before the first one is drained, and two groups cannot share one name.
        node_group_name_prefix=f"{safe_name(args.name, limit=_NAME_PREFIX)}-",
        node_role_arn=role_arn,
        subnet_ids=list(subnet_ids),
        ami_type=_AMI_TYPES[args.architecture],
        capacity_type=args.capacity_type.value,
        instance_types=list(args.instance_types),
        labels={"langgraph-agents/node-group": args.name},
        launch_template=aws.eks.NodeGroupLaunchTemplateArgs(
            id=template.id, version=template.latest_version.apply(str)
        ),
        scaling_config=aws.eks.NodeGroupScalingConfigArgs(
            min_size=args.min_size, max_size=args.max_size, desired_size=args.desired_size
        ),
        # One node at a time, after its replacement is ready (the strategy that EKS has by default).
        update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
        node_repair_config=aws.eks.NodeGroupNodeRepairConfigArgs(enabled=True),
        tags={"Name": label},
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=list(depends_on),
            # How many nodes there are is decided by load, not by the last deployment.
            ignore_changes=["scalingConfig.desiredSize"],
        ),
    )
