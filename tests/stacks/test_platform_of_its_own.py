"""A platform without agents, and stacks whose agents use it: neither changes anything of the other."""

import copy
from typing import Any

import pytest

from policies.checking import check
from preview.recording.plan import Plan
from preview.recording.recorder import Recording
from stacks.loading import load
from tests.components.reading import statements
from tests.conftest import record_with
from tests.stacks.stack_files import settings_of

USERS = "aws:elasticache/userGroup:UserGroup"
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
KMS = "arn:aws:kms:eu-central-1:123456789012:key/"


def platform_of(stack: str = "dev", **changed: Any) -> dict[str, Any]:
    settings = copy.deepcopy(settings_of(stack))
    settings.pop("defaults", None)
    return {**settings, "agents": [], **changed}


def team(platform: Recording, *agents: str) -> dict[str, Any]:
    """The stack file of a team: its agents, and of the platform what its output has."""
    settings = copy.deepcopy(settings_of("dev"))
    domain = settings["ingress"]["hostedZone"]
    settings["agents"] = [
        {"name": name, "host": f"{name}.{domain}", "replicas": {"min": 1, "max": 1}, "pool": {"maxSize": 2}}
        for name in agents
    ]
    return {**settings, "namespace": "team", **platform.outputs["existing"]}


@pytest.fixture(scope="module")
def platform() -> Recording:
    return record_with("dev", platform_of())


def test_a_platform_has_what_agents_need_and_no_agent(platform: Recording) -> None:
    types = {resource.type for resource in platform.resources.values()}
    assert "langgraph-agents:stacks:Agent" not in types
    assert "docker-build:index:Image" not in types
    for made in ("aws:eks/cluster:Cluster", "aws:rds/instance:Instance", "kubernetes:helm.sh/v3:Release"):
        assert made in types


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_it_keeps_every_policy(stack: str) -> None:
    recording = record_with(stack, platform_of(stack))
    found = check(Plan("p", stack, "eu-central-1", stack == "prod", recording.resources, {}))
    assert [finding.message for finding in found] == []


def test_its_output_is_what_the_stack_files_of_teams_say(platform: Recording) -> None:
    load(team(platform, "support"), stack="team", region="eu-central-1")
    recording = record_with("team", team(platform, "support", "research"))
    for absent in ("aws:eks/cluster:Cluster", "aws:rds/instance:Instance", "aws:ec2/vpc:Vpc", RULE):
        assert recording.of_type(absent) == []
    (joined, _) = recording.of_type("aws:elasticache/userGroupAssociation:UserGroupAssociation")
    (group,) = platform.of_type(USERS)
    assert joined.inputs["userGroupId"] == group.inputs["userGroupId"]


def test_logins_that_join_are_not_put_out_again(platform: Recording) -> None:
    (group,) = platform.of_type(USERS)
    assert group.ignore_changes == ("userIds",)
    (nobody,) = platform.of_type("aws:elasticache/user:User")
    assert group.inputs["userIds"] == [nobody.inputs["userId"]]
    assert nobody.inputs["accessString"] == "off -@all"


def test_a_stack_with_agents_goes_on_deciding_who_may_log_in() -> None:
    (group,) = record_with("dev", settings_of("dev")).of_type(USERS)
    assert group.ignore_changes == ()


def test_migrations_of_teams_may_use_the_key_of_the_administrator_s_entry(platform: Recording) -> None:
    recording = record_with("team", team(platform, "support"))
    admin = platform.outputs["existing"]["database"]["existing"]
    (decrypt,) = [
        statement
        for statement in statements(recording.named("support-migrate-identity-policy"))
        if statement.get("Sid") == "DecryptExisting"
    ]
    assert decrypt["Resource"] == admin["adminSecretKmsKeyArn"]
    assert decrypt["Condition"]["StringEquals"]["kms:EncryptionContext:SecretARN"] == admin["adminSecretArn"]
    serving = statements(recording.named("support-identity-policy"))
    assert not any(statement.get("Sid") == "DecryptExisting" for statement in serving)


def test_one_more_of_twenty_agents_of_a_team_changes_its_quota_and_nothing_else_that_is_there(
    platform: Recording,
) -> None:
    names = [f"agent-{number}" for number in range(21)]
    before = record_with("team", team(platform, *names[:20]))
    after = record_with("team", team(platform, *names))
    assert before.resources.keys() <= after.resources.keys()
    differing = {
        resource.name
        for urn, resource in before.resources.items()
        if resource.inputs != after.resources[urn].inputs
    }
    assert differing == {"namespace-quota"}


def test_a_platform_with_karpenter_has_spot_nodes_for_agents_that_want_them() -> None:
    groups = settings_of("dev")["cluster"]["nodeGroups"]
    cluster = {"version": "1.36", "compute": "karpenter", "nodeGroups": groups}
    recording = record_with("dev", platform_of(cluster=cluster))
    pools = {
        pool.inputs["metadata"]["name"] for pool in recording.of_type("kubernetes:karpenter.sh/v1:NodePool")
    }
    assert pools == {"on-demand", "spot"}


def test_parts_that_are_somebody_else_s_already_are_handed_on(platform: Recording) -> None:
    theirs = platform.outputs["existing"]
    second = record_with("dev", platform_of(**theirs))
    assert second.outputs["existing"] == theirs
