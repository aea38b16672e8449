"""EC2 and VPC."""

from collections.abc import Callable
from typing import Any

from sandbox.emulated.subject import ACCOUNT, Kind, Subject


def _prefixed(prefix: str) -> Callable[[Subject], str]:
    return lambda subject: f"{prefix}-{subject.hex()}"


def _rule(subject: Subject, id_: str) -> dict[str, Any]:
    return {"arn": subject.arn("ec2", f"security-group-rule/{id_}"), "securityGroupRuleId": id_}


def _ec2(resource: str) -> Callable[[Subject, str], dict[str, Any]]:
    return lambda subject, id_: {"arn": subject.arn("ec2", f"{resource}/{id_}"), "ownerId": ACCOUNT}


def _vpc(subject: Subject, id_: str) -> dict[str, Any]:
    return {
        **_ec2("vpc")(subject, id_),
        "defaultNetworkAclId": f"acl-{subject.hex()}",
        "defaultRouteTableId": f"rtb-{subject.hex()}",
        "defaultSecurityGroupId": f"sg-{subject.hex()}",
        "mainRouteTableId": f"rtb-{subject.hex()}",
    }


def _address(subject: Subject, id_: str) -> dict[str, Any]:
    # 198.18.0.0/15 is set aside for benchmarks (RFC 2544): nothing answers there.
    ip = f"198.18.{subject.octet('ip')}.{subject.octet('ip2')}"
    return {
        "allocationId": id_,
        "arn": subject.arn("ec2", f"elastic-ip/{id_}"),
        "publicIp": ip,
        "publicDns": f"ec2-{ip.replace('.', '-')}.{subject.region}.compute.amazonaws.com",
    }


def _nat_gateway(subject: Subject, id_: str) -> dict[str, Any]:
    return {
        "networkInterfaceId": f"eni-{subject.hex()}",
        "privateIp": f"10.0.{subject.octet('ip')}.{subject.octet('ip2')}",
        "publicIp": f"198.18.{subject.octet('ip3')}.{subject.octet('ip4')}",
    }


def _endpoint(subject: Subject, id_: str) -> dict[str, Any]:
    service = subject.get("serviceName")
    return {
        **_ec2("vpc-endpoint")(subject, id_),
        "dnsEntries": [{"dnsName": f"{id_}.{service}", "hostedZoneId": f"Z{subject.hex(13).upper()}"}],
        "prefixListId": f"pl-{subject.hex(8)}",
        "state": "available",
    }


KINDS = {
    "aws:ec2/vpc:Vpc": Kind(_prefixed("vpc"), _vpc),
    "aws:ec2/subnet:Subnet": Kind(
        _prefixed("subnet"),
        _ec2("subnet"),
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Kind(
        _prefixed("sg"),
        lambda s, id_: {**_ec2("security-group")(s, id_), "name": "default"},
    ),
    "aws:ec2/securityGroup:SecurityGroup": Kind(
        _prefixed("sg"),
        lambda s, id_: {**_ec2("security-group")(s, id_), "name": s.named()},
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Kind(_prefixed("sgr"), _rule),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Kind(_prefixed("sgr"), _rule),
    "aws:ec2/internetGateway:InternetGateway": Kind(_prefixed("igw"), _ec2("internet-gateway")),
    "aws:ec2/eip:Eip": Kind(_prefixed("eipalloc"), _address),
    "aws:ec2/natGateway:NatGateway": Kind(_prefixed("nat"), _nat_gateway),
    "aws:ec2/routeTable:RouteTable": Kind(_prefixed("rtb"), _ec2("route-table")),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Kind(_prefixed("rtbassoc")),
    "aws:ec2/route:Route": Kind(
        lambda s: f"r-{s.get('routeTableId')}{s.hex(10)}",
        lambda s, id_: {"origin": "CreateRoute", "state": "active"},
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Kind(_prefixed("vpce"), _endpoint),
    "aws:ec2/flowLog:FlowLog": Kind(
        _prefixed("fl"),
        lambda s, id_: {"arn": s.arn("ec2", f"vpc-flow-log/{id_}")},
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": Kind(
        _prefixed("lt"),
        lambda s, id_: {
            "arn": s.arn("ec2", f"launch-template/{id_}"),
            "name": s.named(),
            "defaultVersion": 1,
            "latestVersion": 1,
        },
        # Every change is a new version of the template, and so a new set of nodes.
        updated=lambda old: {
            "defaultVersion": int(old["latestVersion"]) + 1,
            "latestVersion": int(old["latestVersion"]) + 1,
        },
    ),
}
