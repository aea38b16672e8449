"""The EKS cluster and its nodes."""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.cluster.cluster import Cluster, ClusterArgs
from components.cluster.kubeconfig import kubeconfig
from components.cluster.node_groups import Architecture, CapacityType, NodeGroupArgs
from preview.recording.recorder import Recording
from tests.components.reading import protected, statements, waits_for

Record = Callable[..., Recording]
ADMIN = "arn:aws:iam::123456789012:role/deployer"


def group(**changes: Any) -> NodeGroupArgs:
    return NodeGroupArgs(
        **{
            "name": "general",
            "instance_types": ["m7i.large"],
            "min_size": 2,
            "max_size": 4,
            "desired_size": 2,
            **changes,
        }
    )


def args(**changes: Any) -> ClusterArgs:
    return ClusterArgs(
        **{
            "cluster_name": "agents",
            "version": "1.36",
            "region": "eu-central-1",
            "vpc_id": "vpc-1",
            "subnet_ids": ["subnet-1", "subnet-2"],
            "public_access_cidrs": [],
            "admin_principal_arns": [ADMIN],
            "node_groups": [group()],
            "auto_mode": False,
            "log_retention_days": 30,
            "logs_kms_key_arn": "arn:aws:kms:eu-central-1:123456789012:key/logs",
            "protect": False,
            **changes,
        }
    )


AUTO = {"auto_mode": True, "node_groups": []}


def control_plane(made: Recording) -> dict[str, Any]:
    return dict(made.named("cluster-cluster").inputs)


def test_the_api_server_is_private_unless_networks_are_named(record_resources: Record) -> None:
    private = control_plane(record_resources(lambda: Cluster("cluster", args())))["vpcConfig"]
    assert private["endpointPrivateAccess"]
    assert not private["endpointPublicAccess"]
    public = control_plane(
        record_resources(lambda: Cluster("cluster", args(public_access_cidrs=["203.0.113.0/24"])))
    )["vpcConfig"]
    assert public["endpointPublicAccess"]
    assert public["publicAccessCidrs"] == ["203.0.113.0/24"]


def test_access_is_by_entries_for_the_named_admins_only(record_resources: Record) -> None:
    made = record_resources(lambda: Cluster("cluster", args()))
    access = control_plane(made)["accessConfig"]
    assert access == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    [association] = made.of_type("aws:eks/accessPolicyAssociation:AccessPolicyAssociation")
    assert association.inputs["principalArn"] == ADMIN
    assert association.inputs["policyArn"].endswith("/AmazonEKSClusterAdminPolicy")
    assert association.inputs["accessScope"] == {"type": "cluster"}


def test_without_named_admins_the_creator_administers(record_resources: Record) -> None:
    made = record_resources(lambda: Cluster("cluster", args(admin_principal_arns=[])))
    assert control_plane(made)["accessConfig"]["bootstrapClusterCreatorAdminPermissions"]
    # Naming somebody later must not replace the cluster.
    ignored = made.named("cluster-cluster").ignore_changes
    assert "accessConfig.bootstrapClusterCreatorAdminPermissions" in ignored


def test_secrets_are_encrypted_and_all_logs_kept(record_resources: Record) -> None:
    made = record_resources(lambda: Cluster("cluster", args()))
    cluster = control_plane(made)
    key = made.named("cluster-key")
    assert cluster["encryptionConfig"] == {
        "provider": {"keyArn": key.outputs["arn"]},
        "resources": ["secrets"],
    }
    assert len(cluster["enabledClusterLogTypes"]) == 5
    logs = made.named("cluster-logs")
    assert logs.inputs["name"] == "/aws/eks/agents/cluster"
    assert logs.inputs["kmsKeyId"].endswith("key/logs")
    assert "cluster-logs" in waits_for(made, made.named("cluster-cluster"))


def test_the_control_plane_uses_its_own_key_and_no_other(record_resources: Record) -> None:
    made = record_resources(lambda: Cluster("cluster", args()))
    [statement] = statements(made.named("cluster-encryption"))
    assert statement["Resource"] == made.named("cluster-key").outputs["arn"]


def test_nodes_give_their_role_to_no_pod(record_resources: Record) -> None:
    made = record_resources(lambda: Cluster("cluster", args()))
    template = made.named("cluster-general-template")
    assert template.inputs["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpPutResponseHopLimit": 1,
        "httpTokens": "required",
    }
    role = made.named("cluster-nodes-role").inputs["name"]
    attached = {
        attachment.inputs["policyArn"].rsplit("/", 1)[1]
        for attachment in made.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if attachment.inputs["role"] == role
    }
    assert attached == {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"}


def test_disks_are_encrypted(record_resources: Record) -> None:
    template = record_resources(lambda: Cluster("cluster", args())).named("cluster-general-template")
    [mapping] = template.inputs["blockDeviceMappings"]
    assert mapping["ebs"]["encrypted"] == "true"
    assert mapping["ebs"]["volumeType"] == "gp3"


def test_databases_know_pods_by_a_group_of_their_own(record_resources: Record) -> None:
    made = record_resources(lambda: Cluster("cluster", args()))
    workloads = made.named("cluster-workloads")
    cluster_group = made.named("cluster-cluster").outputs["vpcConfig"]["clusterSecurityGroupId"]
    template = made.named("cluster-general-template")
    assert template.inputs["vpcSecurityGroupIds"] == [cluster_group, workloads.id]
    assert not workloads.inputs.get("ingress")


def test_nodes_come_after_the_add_ons_that_make_them_ready(record_resources: Record) -> None:
    made = record_resources(lambda: Cluster("cluster", args()))
    assert waits_for(made, made.named("cluster-general")) >= {
        "cluster-vpc-cni",
        "cluster-kube-proxy",
        "cluster-eks-pod-identity-agent",
        "cluster-nodes-AmazonEKSWorkerNodePolicy",
    }


def test_the_cni_enforces_network_policies_with_a_role_of_its_own(record_resources: Record) -> None:
    made = record_resources(lambda: Cluster("cluster", args()))
    cni = made.named("cluster-vpc-cni")
    assert json.loads(cni.inputs["configurationValues"])["enableNetworkPolicy"] == "true"
    assert "cluster-cni-association" in waits_for(made, cni)
    assert made.named("cluster-cni-association").inputs["serviceAccount"] == "aws-node"


def test_load_decides_how_many_nodes_there_are(record_resources: Record) -> None:
    nodes = record_resources(lambda: Cluster("cluster", args())).named("cluster-general")
    assert nodes.ignore_changes == ("scalingConfig.desiredSize",)
    assert nodes.inputs["scalingConfig"] == {"desiredSize": 2, "maxSize": 4, "minSize": 2}


def test_a_node_group_that_is_replaced_does_not_meet_its_own_name(record_resources: Record) -> None:
    nodes = record_resources(lambda: Cluster("cluster", args())).named("cluster-general")
    assert "nodeGroupName" not in nodes.inputs
    assert nodes.inputs["nodeGroupNamePrefix"] == "general-"


def test_a_group_takes_its_architecture_capacity_and_disk(record_resources: Record) -> None:
    spot = group(capacity_type=CapacityType.SPOT, architecture=Architecture.ARM64, disk_size_gib=80)
    made = record_resources(lambda: Cluster("cluster", args(node_groups=[spot])))
    nodes = made.named("cluster-general").inputs
    assert (nodes["capacityType"], nodes["amiType"]) == ("SPOT", "AL2023_ARM_64_STANDARD")
    [mapping] = made.named("cluster-general-template").inputs["blockDeviceMappings"]
    assert mapping["ebs"]["volumeSize"] == 80


def test_instances_and_volumes_carry_the_stack_s_tags(record_resources: Record) -> None:
    made = record_resources(lambda: Cluster("cluster", args(instance_tags={"stack": "prod"})))
    tags = {
        spec["resourceType"]: spec["tags"]["stack"]
        for spec in made.named("cluster-general-template").inputs["tagSpecifications"]
    }
    assert tags == {"instance": "prod", "volume": "prod", "network-interface": "prod"}


def test_auto_mode_turns_all_three_of_its_parts_on(record_resources: Record) -> None:
    made = record_resources(lambda: Cluster("cluster", args(**AUTO)))
    cluster = control_plane(made)
    assert cluster["computeConfig"]["enabled"]
    assert cluster["kubernetesNetworkConfig"] == {"elasticLoadBalancing": {"enabled": True}}
    assert cluster["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert not made.of_type("aws:eks/nodeGroup:NodeGroup")
    assert not made.of_type("aws:eks/addon:Addon")
    [trust] = statements(made.named("cluster-role"), "assumeRolePolicy")
    assert "sts:TagSession" in trust["Action"]


def test_in_auto_mode_databases_know_pods_by_the_cluster_s_group(record_resources: Record) -> None:
    shown: dict[str, str] = {}

    def make() -> None:
        cluster = Cluster("cluster", args(**AUTO))
        pulumi.Output.all(cluster.workload_security_group_id, cluster.security_group_id).apply(
            lambda ids: shown.update(workloads=ids[0], cluster=ids[1])
        )

    record_resources(make)
    assert shown["workloads"] == shown["cluster"] != ""


@pytest.mark.parametrize("mode", [{}, AUTO], ids=["node groups", "auto mode"])
def test_protection_covers_the_cluster_and_its_key(record_resources: Record, mode: dict[str, Any]) -> None:
    made = record_resources(lambda: Cluster("cluster", args(protect=True, **mode)))
    assert protected(made) == {"cluster-cluster", "cluster-key"}
    assert control_plane(made)["deletionProtection"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"public_access_cidrs": ["office"]}, "public_access_cidrs has 'office'"),
        ({"admin_principal_arns": ["arn:aws:sts::1:assumed-role/a/b"]}, "name the IAM role or user itself"),
        ({"node_groups": []}, "node_groups is empty: define one at least, or set auto_mode"),
        ({"auto_mode": True}, r"node_groups is \['general'\] with auto_mode: .* leave it empty"),
        ({"node_groups": [group(), group()]}, "give each group a name of its own"),
        ({"addon_versions": {"vpc-cny": "v1"}}, "versions names vpc-cny: the add-ons are .*vpc-cni"),
    ],
)
def test_what_cannot_work_is_refused_with_a_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        args(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name of a node group is empty"),
        ({"instance_types": []}, "instance_types of node group 'general' is empty"),
        ({"desired_size": 5}, "min_size 2, desired_size 5, max_size 4: they have to rise in this order"),
        ({"min_size": 0, "desired_size": 0, "max_size": 0}, "max_size being at least 1"),
        ({"disk_size_gib": 10}, "disk_size_gib of node group 'general' is 10: use at least 20"),
    ],
)
def test_a_node_group_that_cannot_work_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        group(**changes)


def test_the_kubeconfig_asks_for_a_token_and_holds_none(record_resources: Record) -> None:
    texts: list[str] = []

    def make() -> None:
        kubeconfig(
            name="agents",
            endpoint="https://eks",
            certificate_authority_data="Q0E=",
            region="eu-central-1",
        ).apply(texts.append)

    record_resources(make)
    config = json.loads(texts[0])
    [user] = config["users"]
    assert user["user"].keys() == {"exec"}
    assert user["user"]["exec"]["command"] == "aws"
    assert "eks get-token --cluster-name agents --region eu-central-1" in " ".join(
        user["user"]["exec"]["args"]
    )
    assert config["clusters"][0]["cluster"] == {
        "server": "https://eks",
        "certificate-authority-data": "Q0E=",
    }
