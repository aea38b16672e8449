"""A stack in a VPC that somebody else made: `network.existing`."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from preview.exposure import INTERNET, Relation, exposure
from preview.recording.plan import Plan
from preview.recording.recorder import Recording
from preview.recording.urns import name_of
from sandbox import emulated
from sandbox.emulated.lookups import LOOKUPS
from stacks.loading import SettingsError, load
from tests.conftest import record_with
from tests.stacks.stack_files import settings_of

PUBLIC = ["subnet-00000001", "subnet-00000002"]
PRIVATE = ["subnet-00000003", "subnet-00000004"]
DATABASE = ["subnet-00000005", "subnet-00000006"]
EXISTING: Mapping[str, Any] = {
    "vpcId": "vpc-0a1b2c3d",
    "publicSubnetIds": PUBLIC,
    "privateSubnetIds": PRIVATE,
    "databaseSubnetIds": DATABASE,
}


def within(stack: str = "dev", **network: Any) -> dict[str, Any]:
    settings = copy.deepcopy(settings_of(stack))
    settings["network"] = {"existing": dict(EXISTING), **network}
    return settings


def refused(settings: Mapping[str, Any]) -> str:
    with pytest.raises(SettingsError) as error:
        load(settings, stack="dev")
    return str(error.value)


def cidr(subnet: str) -> str:
    return str(emulated.invoke("aws:ec2/getSubnet:getSubnet", {"id": subnet})["cidrBlock"])


def egress(recording: Recording, port: int) -> list[dict[str, Any]]:
    """Where an agent's server may connect to by a port."""
    policy = recording.named("support-network-server").inputs
    return [
        block["ipBlock"]
        for rule in policy["spec"]["egress"]
        if rule["ports"][0]["port"] == port
        for block in rule["to"]
        if "ipBlock" in block
    ]


def test_nothing_of_an_existing_network_is_made_or_changed() -> None:
    recording = record_with("dev", within())
    made = {resource.type for resource in recording.resources.values()}
    assert not {type_ for type_ in made if type_.startswith("aws:ec2/") and "securityGroup" not in type_} - {
        "aws:ec2/launchTemplate:LaunchTemplate"
    }


def test_everything_stands_in_the_subnets_that_are_named() -> None:
    recording = record_with("dev", within())
    (cluster,) = recording.of_type("aws:eks/cluster:Cluster")
    assert cluster.inputs["vpcConfig"]["subnetIds"] == PRIVATE
    (nodes,) = recording.of_type("aws:eks/nodeGroup:NodeGroup")
    assert nodes.inputs["subnetIds"] == PRIVATE
    for type_ in ("aws:rds/subnetGroup:SubnetGroup", "aws:elasticache/subnetGroup:SubnetGroup"):
        (group,) = recording.of_type(type_)
        assert group.inputs["subnetIds"] == DATABASE
    assert {group.inputs["vpcId"] for group in recording.of_type("aws:ec2/securityGroup:SecurityGroup")} == {
        "vpc-0a1b2c3d"
    }


def test_agents_reach_the_stores_by_the_addresses_of_those_subnets(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [{"cidrBlock": "10.9.0.0/16"}, {"cidrBlock": "100.64.0.0/16"}]
    vpc = {
        "cidrBlock": "10.9.0.0/16",
        "cidrBlockAssociations": blocks,
        "enableDnsHostnames": True,
        "enableDnsSupport": True,
    }
    monkeypatch.setitem(LOOKUPS, "aws:ec2/getVpc:getVpc", lambda args: vpc)
    recording = record_with("dev", within())
    assert [block["cidr"] for block in egress(recording, 5432)] == [cidr(subnet) for subnet in DATABASE]
    (https,) = egress(recording, 443)
    # The second block of the VPC is not the internet either.
    assert https["except"] == ["10.9.0.0/16", "100.64.0.0/16", "169.254.0.0/16"]


def test_endpoints_that_the_vpc_has_are_reached_and_not_made() -> None:
    recording = record_with("dev", within(interfaceEndpoints=["secretsmanager"]))
    assert recording.of_type("aws:ec2/vpcEndpoint:VpcEndpoint") == []
    assert [block["cidr"] for block in egress(recording, 443)][1:] == [cidr(subnet) for subnet in PRIVATE]


def test_a_vpc_without_names_is_refused_before_eks_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    vpc = {**emulated.invoke("aws:ec2/getVpc:getVpc", {"id": "vpc-0a1b2c3d"}), "enableDnsHostnames": False}
    monkeypatch.setitem(LOOKUPS, "aws:ec2/getVpc:getVpc", lambda args: vpc)
    with pytest.raises(
        Exception, match=r"vpc-0a1b2c3d: enableDnsHostnames of it are off.*modify-vpc-attribute"
    ):
        record_with("dev", within())


def test_a_subnet_of_another_vpc_is_not_found() -> None:
    asked = []

    def lookup(args: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(args)
        return {"cidrBlock": "10.9.1.0/24"}

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LOOKUPS, "aws:ec2/getSubnet:getSubnet", lookup)
        record_with("dev", within())
    assert {args["id"] for args in asked} == {*PUBLIC, *PRIVATE, *DATABASE}
    assert {args["vpcId"] for args in asked} == {"vpc-0a1b2c3d"}


def test_the_preview_sees_that_agents_reach_their_stores_there() -> None:
    assert connections(record_with("dev", within())) == connections(record_with("dev", settings_of("dev")))


def test_the_preview_takes_the_subnets_of_endpoints_for_the_stack_s_own() -> None:
    seen = exposure(
        Plan(
            "p",
            "dev",
            "eu-central-1",
            False,
            record_with("dev", within(interfaceEndpoints=["secretsmanager"])).resources,
            {},
        )
    )
    assert not {edge.target for edge in seen.edges} & {cidr(subnet) for subnet in (*PRIVATE, *DATABASE)}


def connections(recording: Recording) -> set[tuple[str, str, str]]:
    """Who connects where, by names."""
    seen = exposure(Plan("p", "dev", "eu-central-1", False, recording.resources, {}))
    found = {
        (name_of(edge.source), name_of(edge.target), edge.by)
        for edge in seen.edges
        if edge.relation is Relation.CONNECTS and edge.source != INTERNET
    }
    assert any(target == "database-instance" for _, target, _ in found)
    return found


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({}, "has neither cidr nor existing"),
        ({"existing": EXISTING, "cidr": "10.20.0.0/16", "zones": 2}, "cidr, zones are of a VPC that is made"),
        ({"existing": {**EXISTING, "vpcId": "vpc-x"}}, "write a VPC's id"),
        ({"existing": {**EXISTING, "privateSubnetIds": PRIVATE[:1]}}, "at least 2 items"),
        ({"existing": {**EXISTING, "privateSubnetIds": PRIVATE[:1] * 2}}, "twice"),
        ({"existing": {**EXISTING, "databaseSubnetIds": PUBLIC}}, "nodes or databases are in as well"),
    ],
)
def test_what_is_no_network_is_refused(network: dict[str, Any], words: str) -> None:
    text = refused({**settings_of("dev"), "network": network})
    assert "network" in text
    assert words in text
