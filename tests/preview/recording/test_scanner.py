"""The plan in Terraform's shape."""

import json
from dataclasses import replace
from typing import Any

import pytest

from preview.recording.plan import Plan
from preview.recording.scanner import terraform_plan
from sandbox.common.errors import SandboxError
from tests.policies.plans import plan_of, with_resources


@pytest.fixture(params=["dev", "prod"])
def plan(request: pytest.FixtureRequest) -> Plan:
    return plan_of(request.param)


def values(plan: Plan, address: str) -> dict[str, Any]:
    resources = terraform_plan(plan)["planned_values"]["root_module"]["resources"]
    [found] = [resource["values"] for resource in resources if resource["address"] == address]
    values: dict[str, Any] = found
    return values


def test_every_aws_resource_is_in_it_once_and_nothing_else(plan: Plan) -> None:
    document = terraform_plan(plan)

    addresses = [change["address"] for change in document["resource_changes"]]
    assert len(addresses) == len(set(addresses)) == sum(r.package == "aws" for r in plan.resources.values())
    assert all(change["change"]["actions"] == ["create"] for change in document["resource_changes"])


def test_properties_have_terraforms_names_and_blocks_are_lists() -> None:
    cluster = values(plan_of("prod"), "aws_eks_cluster.cluster-cluster")

    [network] = cluster["vpc_config"]
    assert network["endpoint_private_access"] is True
    assert network["public_access_cidrs"] == ["198.51.100.0/24"]
    assert cluster["encryption_config"][0]["provider"][0]["key_arn"].startswith("arn:aws:kms:")


def test_repeated_blocks_have_terraforms_singular() -> None:
    group = values(plan_of("prod"), "aws_db_parameter_group.database-parameters")
    repository = values(plan_of("prod"), "aws_ecr_repository.image-repository")

    assert {"name": "rds.force_ssl", "value": "1", "apply_method": "immediate"} in group["parameter"]
    assert repository["encryption_configuration"][0]["encryption_type"] == "KMS"


def test_tags_stay_as_they_are_written() -> None:
    subnet = values(plan_of("prod"), "aws_subnet.network-public-1")

    assert subnet["tags"] == {"Name": "langgraph-agents-prod-public-1", "kubernetes.io/role/elb": "1"}


def test_secrets_are_not_in_it(plan: Plan) -> None:
    assert values(plan, "aws_db_instance.database-instance")["password"] == "(sensitive)"
    assert "$secret" not in json.dumps(terraform_plan(plan))


def test_references_lead_from_one_resource_to_another() -> None:
    configured = terraform_plan(plan_of("prod"))["configuration"]["root_module"]["resources"]
    [database] = [entry for entry in configured if entry["address"] == "aws_db_instance.database-instance"]

    assert database["expressions"]["vpc_security_group_ids"] == {
        "references": ["aws_security_group.database-security-group"]
    }


def test_a_type_without_a_terraform_name_is_reported() -> None:
    plan = plan_of("dev")
    other = replace(plan.named("network-vpc"), urn="urn:x", type="aws:gamelift/fleet:Fleet")

    with pytest.raises(SandboxError, match="Terraform's name of aws:gamelift/fleet:Fleet"):
        terraform_plan(with_resources(plan, [other]))


def test_the_same_plan_gives_the_same_bytes() -> None:
    assert json.dumps(terraform_plan(plan_of("prod"))) == json.dumps(terraform_plan(plan_of("prod")))
