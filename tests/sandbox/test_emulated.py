"""The emulated answers of AWS, random, docker-build and Helm."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import emulated
from sandbox.emulated import _KINDS

VPC = "aws:ec2/vpc:Vpc"
PASSWORD = "random:index/randomPassword:RandomPassword"
IMAGE = "docker-build:index:Image"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"

# Inputs without which the real provider would refuse a resource too.
REQUIRED: dict[str, dict[str, Any]] = {
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": {"repository": "agents"},
    "aws:elasticache/user:User": {"userId": "agents-support"},
    "aws:elasticache/userGroup:UserGroup": {"userGroupId": "agents-users"},
    "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup": {"dbProxyName": "agents"},
    "aws:eks/cluster:Cluster": {"vpcConfig": {"subnetIds": ["subnet-1"]}},
    "aws:sns/topicPolicy:TopicPolicy": {"arn": "arn:aws:sns:eu-central-1:123456789012:agents"},
    "aws:sqs/queuePolicy:QueuePolicy": {
        "queueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/agents"
    },
    PASSWORD: {"length": 20},
    "random:index/randomString:RandomString": {"length": 8},
    "random:index/randomId:RandomId": {"byteLength": 8},
}


def create(type_: str, inputs: dict[str, Any] | None = None, urn: str = "urn:one") -> emulated.Created:
    return emulated.create(type_, "thing", {**REQUIRED.get(type_, {}), **(inputs or {})}, urn)


@pytest.mark.parametrize("type_", sorted(_KINDS))
def test_every_known_type_has_an_id_and_keeps_its_inputs(type_: str) -> None:
    created = create(type_, {"tags": {"stack": "dev"}})
    assert created.id
    assert created.outputs["tags"] == {"stack": "dev"}


@pytest.mark.parametrize("type_", sorted(set(_KINDS) - {PASSWORD}))
def test_the_same_resource_gets_the_same_id_again(type_: str) -> None:
    assert create(type_).id == create(type_).id


@pytest.mark.parametrize("type_", sorted(type_ for type_ in _KINDS if type_.startswith("aws:ec2/")))
def test_another_resource_gets_another_id(type_: str) -> None:
    assert create(type_).id != create(type_, urn="urn:two").id


@given(st.sets(st.text(min_size=1), min_size=2, max_size=20))
def test_ids_look_like_those_of_aws_and_never_meet(urns: set[str]) -> None:
    ids = [create(VPC, urn=urn).id for urn in urns]
    assert len(set(ids)) == len(urns)
    assert all(re.fullmatch(r"vpc-[0-9a-f]{17}", id_) for id_ in ids)


def test_arns_follow_the_region_of_the_resource() -> None:
    key = create("aws:kms/key:Key", {"region": "us-west-2"})
    assert key.outputs["arn"] == f"arn:aws:kms:us-west-2:123456789012:key/{key.id}"


def test_a_cluster_has_what_a_kubeconfig_needs() -> None:
    cluster = create("aws:eks/cluster:Cluster", {"name": "agents"}).outputs
    assert re.fullmatch(r"https://[0-9A-F]{32}\.gr7\.eu-central-1\.eks\.amazonaws\.com", cluster["endpoint"])
    assert cluster["certificateAuthority"]["data"]
    assert cluster["vpcConfig"]["subnetIds"] == ["subnet-1"]
    assert cluster["vpcConfig"]["clusterSecurityGroupId"].startswith("sg-")


def test_passwords_are_really_random_and_of_the_asked_kind() -> None:
    passwords = [create(PASSWORD, {"length": 32, "special": False}).outputs["result"] for _ in range(20)]
    assert len(set(passwords)) == 20
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", password) for password in passwords)
    assert emulated.secret_outputs(PASSWORD) == {"result", "bcryptHash"}


def test_an_update_keeps_the_password_and_the_id_s_consequences() -> None:
    old = create(PASSWORD).outputs
    assert emulated.update(PASSWORD, "thing", {"length": 20}, old, "urn:one")["result"] == old["result"]
    vpc = create(VPC, {"tags": {}}).outputs
    new = emulated.update(VPC, "thing", {"tags": {"a": "b"}}, vpc, "urn:one")
    assert new == {**vpc, "tags": {"a": "b"}}


def test_an_update_drops_inputs_that_are_gone() -> None:
    old = create(VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}}).outputs
    assert "tags" not in emulated.update(VPC, "thing", {"cidrBlock": "10.0.0.0/16"}, old, "urn:one")


def test_a_changed_source_is_another_digest_and_a_new_token_is_not() -> None:
    def build(tag: str, password: str) -> str:
        inputs = {"tags": [f"repo:{tag}"], "registries": [{"address": "repo", "password": password}]}
        return str(create(IMAGE, inputs).outputs["digest"])

    assert build("a", "1") == build("a", "2") != build("b", "1")
    old = create(IMAGE, {"tags": ["repo:a"]}).outputs
    new = emulated.update(IMAGE, "thing", {"tags": ["repo:b"]}, old, "urn:one")
    assert new["digest"] != old["digest"]
    assert new["ref"] == f"repo@{new['digest']}"


def test_a_changed_launch_template_is_a_new_version() -> None:
    old = create(TEMPLATE).outputs
    new = emulated.update(TEMPLATE, "thing", {}, old, "urn:one")
    assert (old["latestVersion"], new["latestVersion"]) == (1, 2)
    assert emulated.update(TEMPLATE, "thing", {}, new, "urn:one")["latestVersion"] == 3


def test_a_changed_secret_is_a_new_version() -> None:
    versions = {create(VERSION, {"secretString": value}).outputs["versionId"] for value in ("a", "b")}
    assert len(versions) == 2
    assert emulated.replaced(VERSION, {"secretString": "a"}, {"secretString": "b"}) == ["secretString"]


def test_replacement_follows_the_provider() -> None:
    assert emulated.replaced(VPC, {"cidrBlock": "a"}, {"cidrBlock": "b"}) == ["cidrBlock"]
    assert emulated.replaced(VPC, {"tags": {}}, {"tags": {"a": "b"}}) == []
    versions = {"engineVersion": "17"}, {"engineVersion": "18"}
    assert emulated.replaced("aws:rds/instance:Instance", *versions) == []


@pytest.mark.parametrize(
    ("engines", "properties"), [(("valkey", "redis"), ["engine"]), (("redis", "valkey"), [])]
)
def test_a_cache_is_replaced_by_one_of_redis_and_upgraded_to_valkey(
    engines: tuple[str, str], properties: list[str]
) -> None:
    old, new = ({"engine": engine} for engine in engines)
    assert emulated.replaced("aws:elasticache/replicationGroup:ReplicationGroup", old, new) == properties


def _replaced(type_: str) -> list[str]:
    return emulated.replaced(type_, {}, {"a": 1})


@pytest.mark.parametrize("ask", [create, _replaced, emulated.secret_outputs])
def test_an_unknown_type_is_refused_with_the_place_to_add_it(ask: Any) -> None:
    with pytest.raises(
        emulated.UnknownType, match=r"aws:s3/bucket:Bucket is not emulated: .* sandbox/emulated/"
    ):
        ask("aws:s3/bucket:Bucket")


def test_an_unknown_function_is_refused_with_the_place_to_add_it() -> None:
    with pytest.raises(emulated.UnknownType, match=r"getAmi is not emulated: .*sandbox/emulated/lookups.py"):
        emulated.invoke("aws:ec2/getAmi:getAmi", {})


def test_zones_are_those_of_the_asked_region() -> None:
    zones = emulated.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {"region": "us-east-1"})
    assert zones["names"] == ["us-east-1a", "us-east-1b", "us-east-1c"]


def test_a_hosted_zone_is_found_by_its_name() -> None:
    zone = emulated.invoke("aws:route53/getZone:getZone", {"name": "agents.example.com."})
    assert zone["name"] == "agents.example.com"
    assert zone["arn"] == f"arn:aws:route53:::hostedzone/{zone['zoneId']}"


@given(names=st.lists(st.sampled_from(["a.example.com", "b.example.com", "*.example.com"]), unique=True))
def test_a_certificate_is_validated_by_a_record_for_each_name(names: list[str]) -> None:
    certificate = create(
        "aws:acm/certificate:Certificate",
        {"domainName": "a.example.com", "subjectAlternativeNames": names},
    )
    options = certificate.outputs["domainValidationOptions"]
    assert {option["domainName"] for option in options} == {"a.example.com", *names}
    assert len({option["resourceRecordName"] for option in options}) == len(options)
