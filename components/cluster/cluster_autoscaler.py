"""The Cluster Autoscaler: it moves node groups between their least and their most nodes, by what pods ask for."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.cluster.identity import WorkloadIdentity, WorkloadIdentityArgs
from components.iam import Statement
from components.naming import IAM_ROLE_NAME, safe_name

CHART_VERSION = "9.59.1"
NAMESPACE = "kube-system"
SERVICE_ACCOUNT = "cluster-autoscaler"

# What EKS puts on the Auto Scaling groups of managed node groups, and on what others are found by:
# https://docs.aws.amazon.com/eks/latest/best-practices/cas.html
_TAG = "k8s.io/cluster-autoscaler"
# The least that a stopping pod gets; the autoscaler's own default.
_GRACE_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class ClusterAutoscalerArgs:
    """What it works on."""

    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    cluster_label: str
    """The cluster's name as plain text, for the role and the tag that its groups carry."""
    version: str
    """The cluster's Kubernetes minor version: the autoscaler simulates the scheduler of the same one."""
    region: str
    replicas: int
    """One is at work, the others wait to take over."""
    longest_grace_seconds: int
    """Of all pods of the cluster: a node that is taken away waits for so long."""
    run_after: tuple[pulumi.Resource, ...] = ()
    """Leaves that it waits for: nodes to run on."""


class ClusterAutoscaler(pulumi.ComponentResource):
    """Adds nodes for pods that wait for one, and takes away those whose pods fit elsewhere."""

    def __init__(
        self, name: str, args: ClusterAutoscalerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:ClusterAutoscaler", name, None, opts)
        identity = WorkloadIdentity(
            f"{name}-identity",
            WorkloadIdentityArgs(
                role_name=safe_name(args.cluster_label, "cluster-autoscaler", limit=IAM_ROLE_NAME),
                cluster_name=args.cluster_name,
                cluster_arn=args.cluster_arn,
                namespace=NAMESPACE,
                service_account=SERVICE_ACCOUNT,
                region=args.region,
                statements=_statements(args.cluster_label, args.region),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        k8s.helm.v3.Release(
            f"{name}-release",
            name="cluster-autoscaler",
            namespace=NAMESPACE,
            chart="cluster-autoscaler",
            version=CHART_VERSION,
            repository_opts=k8s.helm.v3.RepositoryOptsArgs(repo="https://kubernetes.github.io/autoscaler"),
            atomic=True,
            values={
                "fullnameOverride": "cluster-autoscaler",
                "cloudProvider": "aws",
                "awsRegion": args.region,
                "autoDiscovery": {"clusterName": args.cluster_label},
                "image": {"tag": f"v{args.version}.0"},
                "replicaCount": args.replicas,
                "rbac": {"serviceAccount": {"create": True, "name": SERVICE_ACCOUNT}},
                "extraArgs": {
                    "expander": "least-waste",
                    "balance-similar-node-groups": True,
                    # Agents have an emptyDir for what libraries put into /tmp, and lose nothing with it.
                    "skip-nodes-with-local-storage": False,
                    # Two replicas and a budget keep what runs in kube-system; otherwise no node would ever go.
                    "skip-nodes-with-system-pods": False,
                    # Runs that are under way end; the autoscaler would kill what takes longer than ten minutes.
                    "max-graceful-termination-sec": max(_GRACE_SECONDS, args.longest_grace_seconds),
                },
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65534,
                    "runAsGroup": 65534,
                    "fsGroup": 65534,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containerSecurityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "resources": {
                    "requests": {"cpu": "100m", "memory": "300Mi"},
                    "limits": {"memory": "600Mi"},
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                # Credentials are injected when a pod is made.
                depends_on=[identity.association, *args.run_after],
            ),
        )
        self.register_outputs({})


def _statements(cluster_label: str, region: str) -> list[Statement]:
    """The documented policy, with the changing actions bound to the groups of this cluster.

    https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md#iam-policy
    """
    return [
        {
            "Effect": "Allow",
            "Action": [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeAutoScalingInstances",
                "autoscaling:DescribeLaunchConfigurations",
                "autoscaling:DescribeScalingActivities",
                "ec2:DescribeImages",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeLaunchTemplateVersions",
                "ec2:GetInstanceTypesFromInstanceRequirements",
            ],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": "eks:DescribeNodegroup",
            "Resource": f"arn:aws:eks:{region}:*:nodegroup/{cluster_label}/*",
        },
        {
            "Effect": "Allow",
            "Action": ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
            "Resource": f"arn:aws:autoscaling:{region}:*:autoScalingGroup:*",
            "Condition": {"StringEquals": {f"aws:ResourceTag/{_TAG}/{cluster_label}": "owned"}},
        },
    ]
