"""EKS add-ons and the identities of controllers."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pulumi_aws as aws
import pytest

from components.cluster.addons import Addons, AddonsArgs
from components.cluster.load_balancer_policy import load_balancer_policy
from preview.recording.recorder import Recording
from tests.components.reading import statements, waits_for

Record = Callable[..., Recording]
ZONE = "arn:aws:route53:::hostedzone/Z123"


def install(record_resources: Record, **changes: Any) -> Recording:
    def make() -> None:
        node = aws.ec2.Eip("node")
        Addons(
            "addons",
            AddonsArgs(
                **{
                    "cluster_name": "agents",
                    "cluster_arn": "arn:aws:eks:eu-central-1:123456789012:cluster/agents",
                    "cluster_label": "agents",
                    "region": "eu-central-1",
                    "auto_mode": False,
                    "external_dns_zone_arn": ZONE,
                    "external_dns_domain": "agents.example.com",
                    "external_dns_owner": "agents",
                    "load_balancer_controller": True,
                    "nodes": [node],
                    **changes,
                }
            ),
        )

    return record_resources(make)


def installed(made: Recording) -> set[str]:
    return {addon.inputs["addonName"] for addon in made.of_type("aws:eks/addon:Addon")}


def test_what_workloads_rely_on_is_installed(record_resources: Record) -> None:
    assert installed(install(record_resources)) == {
        "coredns",
        "metrics-server",
        "cert-manager",
        "aws-secrets-store-csi-driver-provider",
        "external-dns",
    }


def test_auto_mode_brings_dns_and_load_balancers_itself(record_resources: Record) -> None:
    made = install(record_resources, auto_mode=True)
    assert "coredns" not in installed(made)
    with pytest.raises(LookupError):
        made.named("addons-load-balancer-controller")


def test_add_ons_wait_for_nodes_and_not_for_each_other(record_resources: Record) -> None:
    made = install(record_resources)
    for addon in made.of_type("aws:eks/addon:Addon"):
        waits = waits_for(made, addon)
        assert "node" in waits
        assert not {name for name in waits if made.named(name).type == addon.type}


def test_mounted_secrets_follow_their_source_and_become_no_kubernetes_secret(
    record_resources: Record,
) -> None:
    addon = install(record_resources).named("addons-aws-secrets-store-csi-driver-provider")
    driver = json.loads(addon.inputs["configurationValues"])["secrets-store-csi-driver"]
    assert driver["enableSecretRotation"]
    assert not driver["syncSecret"]["enabled"]


def test_external_dns_writes_to_its_zone_and_its_own_records_only(record_resources: Record) -> None:
    made = install(record_resources)
    write, find = statements(made.named("addons-external-dns-policy"))
    assert write["Resource"] == ZONE
    assert find["Action"] == "route53:ListHostedZones"
    addon = next(a for a in made.of_type("aws:eks/addon:Addon") if a.inputs["addonName"] == "external-dns")
    configuration = json.loads(addon.inputs["configurationValues"])
    assert configuration["domainFilters"] == ["agents.example.com"]
    assert configuration["txtOwnerId"] == "agents"
    assert "addons-external-dns-association" in waits_for(made, addon)


def test_without_a_zone_there_is_no_external_dns(record_resources: Record) -> None:
    made = install(record_resources, external_dns_zone_arn=None, external_dns_domain=None)
    assert "external-dns" not in installed(made)


def test_a_zone_without_its_domain_is_refused(record_resources: Record) -> None:
    with pytest.raises(ValueError, match="external_dns_domain is None: name the domain"):
        install(record_resources, external_dns_domain=None)


def test_a_pinned_version_is_installed_and_others_are_left_to_eks(record_resources: Record) -> None:
    made = install(record_resources, versions={"coredns": "v1.13.2-eksbuild.7"})
    versions = {
        a.inputs["addonName"]: a.inputs.get("addonVersion") for a in made.of_type("aws:eks/addon:Addon")
    }
    assert versions["coredns"] == "v1.13.2-eksbuild.7"
    assert versions["cert-manager"] is None


def test_a_pin_of_what_is_not_installed_is_refused(record_resources: Record) -> None:
    with pytest.raises(ValueError, match=r"versions names core-dns: the add-ons are .*coredns"):
        install(record_resources, versions={"core-dns": "v1"})


def condition_values(statement: Mapping[str, Any]) -> set[str]:
    return {
        str(value)
        for block in statement.get("Condition", {}).values()
        for key, value in block.items()
        if key.endswith("elbv2.k8s.aws/cluster")
    }


def test_load_balancers_of_another_cluster_are_out_of_reach() -> None:
    for statement in load_balancer_policy("agents"):
        changes_load_balancers = {
            action
            for action in statement["Action"]
            if action.startswith(("elasticloadbalancing:Delete", "elasticloadbalancing:Modify"))
            and ("LoadBalancer" in action or "TargetGroup" in action)
        }
        if changes_load_balancers:
            assert condition_values(statement) == {"agents"}


def test_the_controller_makes_no_service_linked_role_but_its_own() -> None:
    [statement] = [s for s in load_balancer_policy("agents") if "iam:CreateServiceLinkedRole" in s["Action"]]
    assert statement["Condition"] == {
        "StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}
    }


def test_the_controller_s_policy_fits_into_a_role() -> None:
    # Inline policies of a role hold 10,240 characters, white space not counted.
    assert len(json.dumps(load_balancer_policy("a" * 100), separators=(",", ":"))) < 10_240


def test_secrets_are_mounted_on_tainted_nodes_where_there_are_any(record_resources: Record) -> None:
    def tolerations(tainted_nodes: bool) -> Any:
        made = install(record_resources, tainted_nodes=tainted_nodes)
        addon = made.named("addons-aws-secrets-store-csi-driver-provider")
        return json.loads(addon.inputs["configurationValues"]).get("tolerations")

    assert tolerations(tainted_nodes=True) == [{"operator": "Exists"}]
    assert tolerations(tainted_nodes=False) is None
