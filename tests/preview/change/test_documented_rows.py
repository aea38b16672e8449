"""Rows of the table whose pages were read beside them, each case with what the reference of AWS's API says there."""

from typing import Any

import pytest

from sandbox.emulated import changes

DATABASE = "aws:rds/instance:Instance"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
CLUSTER = "aws:eks/cluster:Cluster"
NODES = "aws:eks/nodeGroup:NodeGroup"
KEY = [{"provider": {"keyArn": "arn:aws:kms:eu-central-1:123456789012:key/1"}, "resources": ["secrets"]}]


@pytest.mark.parametrize(
    ("type_", "name", "before", "after", "does"),
    [
        # ModifyDBInstance: no outage, not rebooted automatically, nor in the next maintenance window.
        (DATABASE, "parameterGroupName", "postgres17", "tuned", "in place"),
        # Without ApplyImmediately in the next maintenance window, and no outage.
        (DATABASE, "allocatedStorage", 100, 200, "in place in the window"),
        (DATABASE, "storageType", "gp2", "gp3", "in place in the window"),
        (DATABASE, "iops", 3000, 4000, "in place in the window"),
        (DATABASE, "storageThroughput", 125, 250, "in place in the window"),
        (DATABASE, "multiAz", False, True, "in place in the window"),
        # Reboots in the next maintenance window without ApplyImmediately; another port restarts whatever that says.
        (DATABASE, "identifier", "agents", "others", "restart in the window"),
        (DATABASE, "port", 5432, 5433, "restart"),
        # Asynchronously, as soon as possible.
        (DATABASE, "backupRetentionPeriod", 7, 14, "in place"),
        (DATABASE, "password", "a", "b", "in place"),
        # "Once KMS key is set, it can never be changed", says the provider.
        (DATABASE, "performanceInsightsKmsKeyId", None, "key", "in place"),
        (DATABASE, "performanceInsightsKmsKeyId", "key", "other", "refused"),
        # ModifyReplicationGroup: clients go over with no downtime, first to preferred, then to required.
        (CACHE, "transitEncryptionEnabled", False, True, "in place"),
        (CACHE, "transitEncryptionMode", None, "preferred", "in place"),
        (CACHE, "transitEncryptionMode", "preferred", "required", "in place"),
        # AssociateEncryptionConfig is for clusters without encryption, and irreversible.
        (CLUSTER, "encryptionConfig", None, KEY, "in place"),
        (CLUSTER, "encryptionConfig", KEY, None, "refused"),
        (CLUSTER, "encryptionConfig", KEY, [{"resources": ["secrets"]}], "refused"),
        # UpdateNodegroupVersion: not back to an earlier version of Kubernetes or of the image.
        (NODES, "version", "1.36", "1.35", "refused"),
        (NODES, "releaseVersion", "1.36.1-20260901", "1.36.1-20260801", "refused"),
        (NODES, "version", "1.35", "1.36", "moves pods"),
        # DetachInternetGateway: not while instances of the VPC have public addresses.
        ("aws:ec2/internetGateway:InternetGateway", "vpcId", "vpc-1", "vpc-2", "refused"),
    ],
)
def test_a_row_says_what_the_reference_says(
    type_: str, name: str, before: Any, after: Any, does: str
) -> None:
    row = changes.row(type_, name, {name: before}, {name: after}, {})
    assert row is not None
    assert f"{row.does.value}{' in the window' if row.in_window else ''}" == does


@pytest.mark.parametrize(
    ("before", "after", "told"), [("preferred", "required", True), ("required", "preferred", False)]
)
def test_only_who_does_not_speak_tls_is_cut_off_when_it_is_required(
    before: str, after: str, told: bool
) -> None:
    name = "transitEncryptionMode"
    row = changes.row(CACHE, name, {name: before}, {name: after}, {})
    assert row is not None
    assert bool(row.callers) is told


def test_nodes_that_stay_behind_are_told_to_hold_up_the_next_upgrade() -> None:
    """UpdateClusterVersion: all node groups have to match the cluster's version before it is updated again."""
    row = changes.row(CLUSTER, "version", {"version": "1.35"}, {"version": "1.36"}, {})
    assert row is not None
    assert "EKS wants before it upgrades again: aws eks update-nodegroup-version" in row.says
