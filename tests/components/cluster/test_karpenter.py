"""Karpenter, what it may start, and what it may do in AWS."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from components.cluster.karpenter import Karpenter, KarpenterArgs
from components.cluster.node_groups import Architecture
from preview.recording.recorder import Recording
from tests.components.reading import statements, waits_for

Record = Callable[..., Recording]
NODE_ROLE = "arn:aws:iam::123456789012:role/agents-nodes"


def args(**changes: Any) -> KarpenterArgs:
    return KarpenterArgs(
        **{
            "cluster_name": "agents",
            "cluster_arn": "arn:aws:eks:eu-central-1:123456789012:cluster/agents",
            "cluster_label": "agents",
            "region": "eu-central-1",
            "subnet_ids": ["subnet-1", "subnet-2"],
            "security_group_ids": ["sg-1", "sg-2"],
            "node_role_name": "agents-nodes",
            "node_role_arn": NODE_ROLE,
            "architecture": Architecture.X86_64,
            "disk_size_gib": 60,
            "cpu_limit": 40,
            "spot": False,
            "replicas": 2,
            "labels": {},
            "tags": {"stack": "test"},
            **changes,
        }
    )


def install(record_resources: Record, **changes: Any) -> Recording:
    return record_resources(lambda: Karpenter("karpenter", args(**changes)))


@pytest.fixture
def made(record_resources: Record) -> Recording:
    return install(record_resources, spot=True)


def requirements(pool: dict[str, Any]) -> dict[str, list[str]]:
    return {each["key"]: each["values"] for each in pool["template"]["spec"]["requirements"]}


def test_nodes_are_as_those_of_a_node_group(made: Recording) -> None:
    spec = made.named("karpenter-node-class").inputs["spec"]
    assert spec["subnetSelectorTerms"] == [{"id": "subnet-1"}, {"id": "subnet-2"}]
    assert spec["securityGroupSelectorTerms"] == [{"id": "sg-1"}, {"id": "sg-2"}]
    assert (spec["metadataOptions"]["httpTokens"], spec["metadataOptions"]["httpPutResponseHopLimit"]) == (
        "required",
        1,
    )
    (disk,) = spec["blockDeviceMappings"]
    assert (disk["ebs"]["volumeSize"], disk["ebs"]["encrypted"]) == ("60Gi", True)
    assert spec["tags"]["stack"] == "test"
    assert made.named("karpenter-instance-profile").inputs["role"] == "agents-nodes"
    assert spec["instanceProfile"] == made.named("karpenter-instance-profile").inputs["name"]


@pytest.mark.parametrize(
    ("architecture", "arch"), [(Architecture.X86_64, "amd64"), (Architecture.ARM64, "arm64")]
)
def test_nodes_have_the_processor_of_the_image(
    record_resources: Record, architecture: Architecture, arch: str
) -> None:
    pool = install(record_resources, architecture=architecture).named("karpenter-on-demand").inputs["spec"]
    assert requirements(pool)["kubernetes.io/arch"] == [arch]


def test_spot_nodes_are_for_those_alone_who_tolerate_them(record_resources: Record, made: Recording) -> None:
    spot, on_demand = (made.named(f"karpenter-{name}").inputs["spec"] for name in ("spot", "on-demand"))
    assert spot["template"]["spec"]["taints"] == [
        {"key": "karpenter.sh/capacity-type", "value": "spot", "effect": "NoSchedule"}
    ]
    assert "taints" not in on_demand["template"]["spec"]
    assert requirements(on_demand)["karpenter.sh/capacity-type"] == ["on-demand"]
    pools = install(record_resources).of_type("kubernetes:karpenter.sh/v1:NodePool")
    assert [pool.name for pool in pools] == ["karpenter-on-demand"]


def test_one_node_goes_at_a_time_and_the_bill_is_bounded(made: Recording) -> None:
    for pool in made.of_type("kubernetes:karpenter.sh/v1:NodePool"):
        assert pool.inputs["spec"]["disruption"]["budgets"] == [{"nodes": "1"}]
        assert pool.inputs["spec"]["limits"] == {"cpu": "40"}


def test_a_drain_is_given_more_time_than_any_pod_may_take(made: Recording) -> None:
    # An agent's gracePeriod is at most 4200 s.
    for pool in made.of_type("kubernetes:karpenter.sh/v1:NodePool"):
        assert pool.inputs["spec"]["template"]["spec"]["terminationGracePeriod"] == "24h"


def test_karpenter_hears_of_interruptions_before_it_starts(made: Recording) -> None:
    rules = made.of_type("aws:cloudwatch/eventRule:EventRule")
    heard = {json.loads(rule.inputs["eventPattern"])["detail-type"][0] for rule in rules}
    assert "EC2 Spot Instance Interruption Warning" in heard
    assert len(made.of_type("aws:cloudwatch/eventTarget:EventTarget")) == len(rules) == 5
    waits = waits_for(made, made.named("karpenter-release"))
    assert {"karpenter-interruptions-policy", "karpenter-identity-association", "karpenter-crds"} <= waits
    queue = made.named("karpenter-interruptions-queue").inputs["name"]
    assert made.named("karpenter-release").inputs["values"]["settings"]["interruptionQueue"] == queue


def test_nobody_but_the_rules_writes_into_the_queue(made: Recording) -> None:
    allow, deny = statements(made.named("karpenter-interruptions-policy"))
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert len(allow["Condition"]["ArnEquals"]["aws:SourceArn"]) == 5
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_it_ends_instances_of_its_own_cluster_alone(made: Recording) -> None:
    found = statements(made.named("karpenter-identity-policy"))
    (ending,) = [s for s in found if "ec2:TerminateInstances" in s["Action"]]
    assert ending["Condition"]["StringEquals"] == {"aws:ResourceTag/kubernetes.io/cluster/agents": "owned"}
    (passing,) = [s for s in found if "iam:PassRole" in s["Action"]]
    assert passing["Resource"] == [NODE_ROLE]
    changing = [s for s in found if "*" in s["Resource"]]
    assert {action.split(":")[1][:3] for s in changing for action in s["Action"]} <= {"Des", "Get", "Lis"}


def test_an_instance_profile_is_made_for_it_and_by_it_none(made: Recording) -> None:
    actions = {a for s in statements(made.named("karpenter-identity-policy")) for a in s["Action"]}
    assert {a for a in actions if a.startswith("iam:")} == {
        "iam:PassRole",
        "iam:GetInstanceProfile",
        "iam:ListInstanceProfiles",
    }


def test_nodes_go_before_their_controller(made: Recording) -> None:
    assert "karpenter-release" in waits_for(made, made.named("karpenter-node-class"))
    assert "karpenter-node-class" in waits_for(made, made.named("karpenter-on-demand"))


def test_a_limit_below_the_smallest_node_is_refused() -> None:
    with pytest.raises(ValueError, match="the smallest node has 2 vCPUs"):
        args(cpu_limit=1)
