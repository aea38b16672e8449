"""The IAM roles of an EKS cluster: of its control plane, and of its nodes."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components import iam
from components.naming import IAM_ROLE_NAME, safe_name

_CONTROL_PLANE = ("AmazonEKSClusterPolicy",)
# https://docs.aws.amazon.com/eks/latest/userguide/auto-cluster-iam-role.html
_AUTO_MODE_CONTROL_PLANE = (
    *_CONTROL_PLANE,
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
# https://docs.aws.amazon.com/eks/latest/userguide/create-node-role.html; without AmazonEKS_CNI_Policy, which
# goes to the CNI's own role.
_NODES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
# https://docs.aws.amazon.com/eks/latest/userguide/auto-create-node-role.html
_AUTO_MODE_NODES = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly")

#: A role, and its policies as leaves to wait for.
RoleAndPolicies = tuple[aws.iam.Role, list[pulumi.Resource]]


def control_plane_role(
    name: str,
    *,
    cluster_label: str,
    auto_mode: bool,
    secrets_key_arn: pulumi.Input[str],
    parent: pulumi.Resource,
) -> RoleAndPolicies:
    """The role by which EKS manages the cluster's network interfaces and, in Auto Mode, its nodes and volumes.

    Args:
        secrets_key_arn: the key that encrypts Kubernetes secrets.
    """
    child = pulumi.ResourceOptions(parent=parent)
    role = aws.iam.Role(
        f"{name}-role",
        name=safe_name(cluster_label, "control-plane", limit=IAM_ROLE_NAME),
        description="EKS manages what belongs to the cluster",
        assume_role_policy=iam.trust(
            "eks.amazonaws.com",
            # Auto Mode tags its sessions.
            actions=("sts:AssumeRole", "sts:TagSession") if auto_mode else ("sts:AssumeRole",),
        ),
        opts=child,
    )
    policies = _attach(name, role, _AUTO_MODE_CONTROL_PLANE if auto_mode else _CONTROL_PLANE, parent=parent)
    policies.append(
        aws.iam.RolePolicy(
            f"{name}-encryption",
            name="kubernetes-secrets-key",
            role=role.name,
            policy=iam.document(
                [
                    {
                        "Effect": "Allow",
                        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"],
                        "Resource": secrets_key_arn,
                    }
                ]
            ),
            opts=child,
        )
    )
    return role, policies


def node_role(name: str, *, cluster_label: str, auto_mode: bool, parent: pulumi.Resource) -> RoleAndPolicies:
    """The role of the instances.

    It holds what the kubelet needs and no more: pods have roles of their own, by Pod Identity, and the
    instance metadata service does not answer them.
    """
    role = aws.iam.Role(
        f"{name}-role",
        name=safe_name(cluster_label, "nodes", limit=IAM_ROLE_NAME),
        description="EC2 instances of the cluster's nodes",
        assume_role_policy=iam.trust("ec2.amazonaws.com"),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return role, _attach(name, role, _AUTO_MODE_NODES if auto_mode else _NODES, parent=parent)


def _attach(
    name: str, role: aws.iam.Role, policies: Sequence[str], *, parent: pulumi.Resource
) -> list[pulumi.Resource]:
    return [
        aws.iam.RolePolicyAttachment(
            f"{name}-{policy}",
            role=role.name,
            policy_arn=iam.aws_managed_policy(policy),
            opts=pulumi.ResourceOptions(parent=parent),
        )
        for policy in policies
    ]
