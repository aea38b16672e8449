"""EKS."""

import base64
from typing import Any

from sandbox.emulated.subject import Kind, Subject, keys

# Shown where a certificate would be; nothing connects to an emulated cluster by it.
CERTIFICATE = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nemulated\n-----END CERTIFICATE-----\n").decode()


def _cluster(subject: Subject, id_: str) -> dict[str, Any]:
    authority = subject.hex(32).upper()
    return {
        "arn": subject.arn("eks", f"cluster/{id_}"),
        "certificateAuthority": {"data": CERTIFICATE},
        "endpoint": f"https://{authority}.gr7.{subject.region}.eks.amazonaws.com",
        "identities": [
            {"oidcs": [{"issuer": f"https://oidc.eks.{subject.region}.amazonaws.com/id/{authority}"}]}
        ],
        "name": id_,
        "platformVersion": "eks.1",
        "status": "ACTIVE",
        "vpcConfig": {
            **subject.inputs["vpcConfig"],
            "clusterSecurityGroupId": f"sg-{subject.hex()}",
            "vpcId": f"vpc-{subject.hex()}",
        },
    }


def _node_group(subject: Subject, id_: str) -> dict[str, Any]:
    cluster, name = id_.split(":", 1)
    return {
        "arn": subject.arn("eks", f"nodegroup/{cluster}/{name}/{subject.uuid()}"),
        "nodeGroupName": name,
        "resources": [{"autoscalingGroups": [{"name": f"eks-{name}-{subject.uuid()}"}]}],
        "status": "ACTIVE",
    }


def _addon(subject: Subject, id_: str) -> dict[str, Any]:
    name = f"{subject.get('clusterName')}/{subject.get('addonName')}"
    return {
        "addonVersion": subject.get("addonVersion", "v1.0.0-eksbuild.1"),
        "arn": subject.arn("eks", f"addon/{name}/{subject.uuid()}"),
    }


def _of_cluster(*inputs: str) -> Any:
    return lambda s: ":".join(s.get(key) for key in ("clusterName", *inputs))


KINDS = {
    "aws:eks/cluster:Cluster": Kind(
        lambda s: s.named(),
        _cluster,
    ),
    "aws:eks/nodeGroup:NodeGroup": Kind(
        lambda s: f"{s.get('clusterName')}:{s.named('nodeGroupName')}",
        _node_group,
    ),
    "aws:eks/addon:Addon": Kind(_of_cluster("addonName"), _addon, renewed=keys("addonVersion")),
    "aws:eks/accessEntry:AccessEntry": Kind(
        _of_cluster("principalArn"),
        lambda s, id_: {
            "accessEntryArn": s.arn("eks", f"access-entry/{s.get('clusterName')}/{s.uuid()}"),
            "userName": s.get("userName") or s.get("principalArn"),
        },
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": Kind(
        _of_cluster("principalArn", "policyArn"),
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Kind(
        lambda s: f"a-{s.hex()}",
        lambda s, id_: {
            "associationArn": s.arn("eks", f"podidentityassociation/{s.get('clusterName')}/{id_}"),
            "associationId": id_,
        },
    ),
}
