"""The VPC."""

from collections.abc import Callable
from typing import Any

import pytest

from components.network.network import NatGateways, Network, NetworkArgs
from preview.recording.recorder import Recording
from tests.components.reading import protected, statements, waits_for

Record = Callable[..., Recording]


def args(**changes: Any) -> NetworkArgs:
    return NetworkArgs(
        **{
            "cidr": "10.0.0.0/16",
            "zones": ["eu-central-1a", "eu-central-1b", "eu-central-1c"],
            "nat_gateways": NatGateways.PER_ZONE,
            "region": "eu-central-1",
            "cluster_name": "agents",
            "flow_logs": False,
            "flow_logs_retention_days": 30,
            "logs_kms_key_arn": "arn:aws:kms:eu-central-1:123456789012:key/logs",
            "protect": False,
            **changes,
        }
    )


def routes(network: Recording) -> dict[str, str]:
    """Where each route table sends what leaves the VPC, by the table's logical name."""
    tables = {table.id: table.name for table in network.of_type("aws:ec2/routeTable:RouteTable")}
    return {
        tables[route.inputs["routeTableId"]]: route.inputs.get("natGatewayId") or route.inputs["gatewayId"]
        for route in network.of_type("aws:ec2/route:Route")
    }


def test_every_zone_has_a_public_a_private_and_a_database_subnet(record_resources: Record) -> None:
    network = record_resources(lambda: Network("network", args()))
    zones = {
        subnet.name: subnet.inputs["availabilityZone"] for subnet in network.of_type("aws:ec2/subnet:Subnet")
    }
    assert zones == {
        f"network-{kind}-{number}": f"eu-central-1{letter}"
        for kind in ("public", "private", "database")
        for number, letter in enumerate("abc", start=1)
    }


def test_no_subnet_gives_instances_public_addresses(record_resources: Record) -> None:
    network = record_resources(lambda: Network("network", args()))
    assert not any(s.inputs["mapPublicIpOnLaunch"] for s in network.of_type("aws:ec2/subnet:Subnet"))


def test_private_subnets_leave_through_the_gateway_of_their_zone(record_resources: Record) -> None:
    network = record_resources(lambda: Network("network", args()))
    out = routes(network)
    assert [out[f"network-private-{zone}-routes"] for zone in (1, 2, 3)] == [
        network.named(f"network-nat-{zone}").id for zone in (1, 2, 3)
    ]
    assert out["network-public-routes"] == network.named("network-internet-gateway").id


def test_a_single_gateway_serves_all_zones(record_resources: Record) -> None:
    network = record_resources(lambda: Network("network", args(nat_gateways=NatGateways.SINGLE)))
    [gateway] = network.of_type("aws:ec2/natGateway:NatGateway")
    assert {routes(network)[f"network-private-{zone}-routes"] for zone in (1, 2, 3)} == {gateway.id}


def test_more_gateways_change_routes_and_no_table(record_resources: Record) -> None:
    single = record_resources(lambda: Network("network", args(nat_gateways=NatGateways.SINGLE)))
    several = record_resources(lambda: Network("network", args()))
    tables = [{t.name for t in n.of_type("aws:ec2/routeTable:RouteTable")} for n in (single, several)]
    assert tables[0] == tables[1]


def test_databases_have_no_way_out(record_resources: Record) -> None:
    network = record_resources(lambda: Network("network", args()))
    assert "network-database-routes" not in routes(network)
    table = network.named("network-database-routes")
    assert table.type == "aws:ec2/routeTable:RouteTable"
    assert not table.inputs.get("routes")


def test_the_default_security_group_is_emptied(record_resources: Record) -> None:
    group = record_resources(lambda: Network("network", args())).named("network-default-security-group")
    assert group.inputs.get("ingress") == group.inputs.get("egress") == []


def test_a_nat_gateway_waits_for_the_internet_gateway(record_resources: Record) -> None:
    network = record_resources(lambda: Network("network", args()))
    assert "network-internet-gateway" in waits_for(network, network.named("network-nat-1"))


def test_image_layers_do_not_pass_the_nat_gateways(record_resources: Record) -> None:
    endpoint = record_resources(lambda: Network("network", args())).named("network-s3-endpoint")
    assert endpoint.inputs["serviceName"] == "com.amazonaws.eu-central-1.s3"
    assert len(endpoint.inputs["routeTableIds"]) == 3


def test_interface_endpoints_answer_the_vpc_only(record_resources: Record) -> None:
    network = record_resources(lambda: Network("network", args(interface_endpoints=["ecr.api", "sts"])))
    endpoints = [network.named(f"network-{service}-endpoint") for service in ("ecr.api", "sts")]
    group = network.named("network-endpoints-security-group")
    assert all(endpoint.inputs["securityGroupIds"] == [group.id] for endpoint in endpoints)
    assert all(endpoint.inputs["privateDnsEnabled"] for endpoint in endpoints)
    [rule] = network.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert rule.inputs["cidrIpv4"] == "10.0.0.0/16"
    assert rule.inputs["fromPort"] == rule.inputs["toPort"] == 443


def test_flow_logs_go_to_an_encrypted_group_and_nowhere_else(record_resources: Record) -> None:
    network = record_resources(lambda: Network("network", args(flow_logs=True)))
    group = network.named("network-flow-logs-group")
    assert group.inputs["kmsKeyId"].endswith("key/logs")
    assert group.inputs["retentionInDays"] == 30
    [statement] = statements(network.named("network-flow-logs-policy"))
    assert statement["Resource"] == [group.outputs["arn"], f"{group.outputs['arn']}:*"]
    [trust] = statements(network.named("network-flow-logs-role"), "assumeRolePolicy")
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_without_flow_logs_nothing_of_them_is_made(record_resources: Record) -> None:
    assert not record_resources(lambda: Network("network", args())).of_type("aws:ec2/flowLog:FlowLog")


def test_protection_covers_the_vpc_and_the_addresses_that_others_allow_list(record_resources: Record) -> None:
    network = record_resources(lambda: Network("network", args(protect=True)))
    assert protected(network) == {"network-vpc", *(f"network-nat-{zone}-address" for zone in (1, 2, 3))}


def test_an_endpoint_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"interface_endpoints is .* name every service once"):
        args(interface_endpoints=["sts", "sts"])


def test_a_cidr_without_room_is_refused_when_the_args_are_made() -> None:
    with pytest.raises(ValueError, match=r"cidr is 10\.0\.0\.0/24"):
        args(cidr="10.0.0.0/24")
