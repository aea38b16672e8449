"""Pod Identity."""

from collections.abc import Callable
from typing import Any

import pytest

from components.cluster.identity import WorkloadIdentity, WorkloadIdentityArgs
from preview.recording.recorder import Recording
from tests.components.reading import statements, waits_for

Record = Callable[..., Recording]
CLUSTER = "arn:aws:eks:eu-central-1:123456789012:cluster/agents"
SECRETS = [
    f"arn:aws:secretsmanager:eu-central-1:123456789012:secret:{name}-a1b2c3" for name in ("one", "two")
]
KEY = "arn:aws:kms:eu-central-1:123456789012:key/secrets"


def args(**changes: Any) -> WorkloadIdentityArgs:
    return WorkloadIdentityArgs(
        **{
            "role_name": "agents-support",
            "cluster_name": "agents",
            "cluster_arn": CLUSTER,
            "namespace": "langgraph-agents",
            "service_account": "support",
            "region": "eu-central-1",
            "secret_arns": SECRETS,
            "kms_key_arn": KEY,
            **changes,
        }
    )


def test_only_one_service_account_of_one_cluster_can_take_the_role(record_resources: Record) -> None:
    made = record_resources(lambda: WorkloadIdentity("id", args()))
    [trust] = statements(made.named("id-role"), "assumeRolePolicy")
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert trust["Condition"] == {
        "StringEquals": {
            "aws:RequestTag/eks-cluster-arn": CLUSTER,
            "aws:RequestTag/kubernetes-namespace": "langgraph-agents",
            "aws:RequestTag/kubernetes-service-account": "support",
        }
    }


def test_it_reads_exactly_the_named_secrets(record_resources: Record) -> None:
    made = record_resources(lambda: WorkloadIdentity("id", args()))
    read, decrypt = statements(made.named("id-policy"))
    assert read["Action"] == ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    assert read["Resource"] == SECRETS
    assert decrypt["Action"] == "kms:Decrypt"
    assert decrypt["Resource"] == KEY
    assert decrypt["Condition"]["StringEquals"] == {
        "kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com",
        "kms:EncryptionContext:SecretARN": SECRETS,
    }


def test_the_association_is_made_after_the_permissions(record_resources: Record) -> None:
    made = record_resources(lambda: WorkloadIdentity("id", args(managed_policies=["AmazonEKS_CNI_Policy"])))
    association = made.named("id-association")
    assert waits_for(made, association) >= {"id-policy", "id-AmazonEKS_CNI_Policy"}
    assert association.inputs["roleArn"] == made.named("id-role").outputs["arn"]


def test_a_workload_without_permissions_gets_no_policy(record_resources: Record) -> None:
    made = record_resources(lambda: WorkloadIdentity("id", args(secret_arns=[], kms_key_arn=None)))
    assert not made.of_type("aws:iam/rolePolicy:RolePolicy")


def test_a_role_name_that_iam_would_refuse_is_refused_first() -> None:
    with pytest.raises(ValueError, match=r"role_name is 'r{65}' \(65 characters\): .* naming.safe_name"):
        args(role_name="r" * 65)


def test_secrets_without_their_key_are_refused() -> None:
    with pytest.raises(ValueError, match="kms_key_arn is missing"):
        args(kms_key_arn=None)
