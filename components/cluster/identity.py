"""What a workload may do in AWS: a role that exactly one Kubernetes service account can take."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import iam
from components.naming import IAM_ROLE_NAME


@dataclass(frozen=True, kw_only=True)
class WorkloadIdentityArgs:
    """What `WorkloadIdentity` needs.

    Attributes:
        role_name: the IAM role's name, at most 64 characters.
        cluster_name: the EKS cluster.
        cluster_arn: its ARN: only pods of this cluster can take the role.
        namespace: the namespace of the service account.
        service_account: its name. It need not exist yet.
        region: the region of the secrets and their key.
        secret_arns: Secrets Manager entries that the workload reads.
        kms_key_arn: the key of those entries; needed when there are any.
        statements: further permissions.
        managed_policies: policies that AWS maintains, by name, such as ``AmazonEKS_CNI_Policy``.
    """

    role_name: str
    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    namespace: str
    service_account: str
    region: str
    secret_arns: Sequence[pulumi.Input[str]] = ()
    kms_key_arn: pulumi.Input[str] | None = None
    statements: Sequence[iam.Statement] = ()
    managed_policies: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.role_name) <= IAM_ROLE_NAME:
            raise ValueError(
                f"role_name is {self.role_name!r} ({len(self.role_name)} characters): IAM allows 1 to "
                f"{IAM_ROLE_NAME}; shorten it with naming.safe_name"
            )
        if self.secret_arns and self.kms_key_arn is None:
            raise ValueError("kms_key_arn is missing: name the key that encrypts the secrets of secret_arns")


class WorkloadIdentity(pulumi.ComponentResource):
    """A role for one service account of one cluster, by EKS Pod Identity.

    Attributes:
        role_arn: the role.
        association: depend on it before pods start: credentials are injected when a pod is created, and a
            pod that came earlier never gets any.
    """

    role_arn: pulumi.Output[str]
    association: aws.eks.PodIdentityAssociation

    def __init__(
        self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:WorkloadIdentity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            name=args.role_name,
            description=f"Pods of service account {args.namespace}/{args.service_account}",
            assume_role_policy=_pods_of(args),
            opts=child,
        )
        permissions: list[pulumi.Resource] = [
            aws.iam.RolePolicyAttachment(
                f"{name}-{policy.rsplit('/', 1)[-1]}",
                role=role.name,
                policy_arn=iam.aws_managed_policy(policy),
                opts=child,
            )
            for policy in args.managed_policies
        ]
        statements = [*_read_secrets(args), *args.statements]
        if statements:
            permissions.append(
                aws.iam.RolePolicy(
                    f"{name}-policy",
                    name="permissions",
                    role=role.name,
                    policy=iam.document(statements),
                    opts=child,
                )
            )
        self.role_arn = role.arn
        self.association = aws.eks.PodIdentityAssociation(
            f"{name}-association",
            cluster_name=args.cluster_name,
            namespace=args.namespace,
            service_account=args.service_account,
            role_arn=role.arn,
            # Whoever waits for the association also waits for the permissions: a pod that starts
            # between the two would be refused its secrets.
            opts=pulumi.ResourceOptions(parent=self, depends_on=permissions),
        )
        self.register_outputs({"role_arn": self.role_arn})


def _pods_of(args: WorkloadIdentityArgs) -> pulumi.Output[str]:
    """Pod Identity may assume the role for this service account of this cluster only.

    By the session tags that EKS sets itself:
    https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
    """
    return iam.trust(
        "pods.eks.amazonaws.com",
        actions=("sts:AssumeRole", "sts:TagSession"),
        conditions={
            "StringEquals": {
                "aws:RequestTag/eks-cluster-arn": args.cluster_arn,
                "aws:RequestTag/kubernetes-namespace": args.namespace,
                "aws:RequestTag/kubernetes-service-account": args.service_account,
            }
        },
    )


def _read_secrets(args: WorkloadIdentityArgs) -> list[iam.Statement]:
    """Read the named entries, and use their key for nothing but these entries through Secrets Manager."""
    if not args.secret_arns:
        return []
    arns = list(args.secret_arns)
    return [
        {
            "Sid": "ReadSecrets",
            "Effect": "Allow",
            "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
            "Resource": arns,
        },
        {
            "Sid": "DecryptSecrets",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": args.kms_key_arn,
            "Condition": {
                "StringEquals": {
                    "kms:ViaService": f"secretsmanager.{args.region}.amazonaws.com",
                    "kms:EncryptionContext:SecretARN": arns,
                }
            },
        },
    ]
