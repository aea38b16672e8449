"""Security groups, subnets and routes: which addresses reach which."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from preview.recording.plan import Plan, PlannedResource
from sandbox import emulated

_GROUPS = ("aws:rds/subnetGroup:SubnetGroup", "aws:elasticache/subnetGroup:SubnetGroup")
ANYWHERE = ("0.0.0.0/0", "::/0")
_TRAFFIC: Mapping[str, str] = {"6": "tcp", "17": "udp", "-1": "all"}


@dataclass(frozen=True)
class Rule:
    """One ingress rule of a security group."""

    group: str
    """The group that it lets something into."""
    protocol: str
    first: int
    last: int
    cidr: str = ""
    other_group: str = ""
    by: str = ""
    """The resource that has it."""

    def lets(self, port: int) -> bool:
        """Whether TCP to ``port`` is let in."""
        return self.protocol == "all" or (self.protocol == "tcp" and self.first <= port <= self.last)

    @property
    def ports(self) -> str:
        """``5432/tcp``, ``8000-8100/tcp`` or ``all traffic``."""
        if self.protocol == "all":
            return "all traffic"
        span = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{span}/{self.protocol}"


class Network:
    """The network of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._by_id = {resource.id: resource for resource in plan.resources.values() if resource.id}
        self.rules = list(_rules(plan))
        self._open_tables = {
            str(route.inputs.get("routeTableId"))
            for route in plan.of_type("aws:ec2/route:Route")
            if route.inputs.get("gatewayId") and route.inputs.get("destinationCidrBlock") in ANYWHERE
        }
        self._tables = {
            str(association.inputs.get("subnetId")): str(association.inputs.get("routeTableId"))
            for association in plan.of_type("aws:ec2/routeTableAssociation:RouteTableAssociation")
        }
        self.node_groups, self.node_subnets = _nodes(plan, self._by_id)
        self.subnets = {
            *(subnet.id for subnet in plan.of_type("aws:ec2/subnet:Subnet")),
            *self.node_subnets,
            *(
                str(subnet)
                for group in plan.of_type(*_GROUPS)
                for subnet in group.inputs.get("subnetIds") or ()
            ),
        }
        """Those that the stack makes or has something in."""

    def cidrs(self, subnets: Iterable[str]) -> list[str]:
        """The address ranges of subnets."""
        return [self._cidr(subnet) for subnet in subnets]

    def _cidr(self, subnet: str) -> str:
        found = self._by_id.get(subnet)
        if found is None:
            # It is somebody else's, and the program was told its addresses.
            return str(emulated.invoke("aws:ec2/getSubnet:getSubnet", {"id": subnet})["cidrBlock"])
        return str(found.inputs["cidrBlock"])

    def is_public(self, subnets: Iterable[str]) -> bool:
        """Whether a route from the internet leads into one of the subnets."""
        return any(self._tables.get(subnet) in self._open_tables for subnet in subnets)

    def subnets_of(self, group_type: str, name: str, plan: Plan) -> list[str]:
        """The subnets of a subnet group."""
        for group in plan.of_type(group_type):
            if name in (group.inputs.get("name"), group.id):
                return [str(subnet) for subnet in group.inputs.get("subnetIds") or ()]
        return []

    def from_pods(self, groups: Iterable[str], port: int) -> Rule | None:
        """The rule by which the cluster's pods reach ``port`` of what is in ``groups``."""
        pods = self.cidrs(self.node_subnets)
        for rule in self.rules:
            if rule.group in groups and rule.lets(port):
                if rule.other_group in self.node_groups:
                    return rule
                if rule.cidr and any(overlap(rule.cidr, cidr) for cidr in pods):
                    return rule
        return None

    def from_groups(self, sources: Iterable[str], groups: Iterable[str], port: int) -> Rule | None:
        """The rule by which what is in ``sources`` reaches ``port`` of what is in ``groups``."""
        others, into = set(sources), set(groups)
        return next(
            (
                rule
                for rule in self.rules
                if rule.group in into and rule.other_group in others and rule.lets(port)
            ),
            None,
        )

    def open_rules(self, groups: Iterable[str]) -> list[Rule]:
        """The rules that let the whole internet into ``groups``."""
        return [rule for rule in self.rules if rule.group in groups and rule.cidr in ANYWHERE]


def overlap(one: str, other: str) -> bool:
    """Whether two networks share addresses."""
    first, second = ipaddress.ip_network(one, strict=False), ipaddress.ip_network(other, strict=False)
    return first.version == second.version and first.overlaps(second)


def within(inner: str, outer: str) -> bool:
    """Whether the network ``inner`` is a part of ``outer``."""
    first, second = ipaddress.ip_network(inner, strict=False), ipaddress.ip_network(outer, strict=False)
    return isinstance(first, ipaddress.IPv4Network) and (
        isinstance(second, ipaddress.IPv4Network) and first.subnet_of(second)
    )


def _nodes(plan: Plan, by_id: Mapping[str, PlannedResource]) -> tuple[set[str], list[str]]:
    """The security groups and subnets of the nodes, which are those of their pods (VPC CNI)."""
    groups: set[str] = set()
    subnets: list[str] = []
    clusters = plan.of_type("aws:eks/cluster:Cluster")
    for cluster in clusters:
        # EKS puts what has no launch template of its own (Auto Mode, too) into the cluster's group.
        groups.add(str((cluster.outputs.get("vpcConfig") or {}).get("clusterSecurityGroupId")))
        subnets += (cluster.inputs.get("vpcConfig") or {}).get("subnetIds") or ()
    for node_group in plan.of_type("aws:eks/nodeGroup:NodeGroup"):
        subnets += node_group.inputs.get("subnetIds") or ()
        template = by_id.get(str((node_group.inputs.get("launchTemplate") or {}).get("id")))
        groups |= set((template.inputs.get("vpcSecurityGroupIds") if template else None) or ())
    return groups, list(dict.fromkeys(subnets))


def _rules(plan: Plan) -> Iterator[Rule]:
    for rule in plan.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"):
        i = rule.inputs
        yield _rule(
            i.get("securityGroupId"),
            i.get("ipProtocol"),
            i,
            i.get("cidrIpv4") or i.get("cidrIpv6"),
            i.get("referencedSecurityGroupId"),
            rule.name,
        )
    for rule in plan.of_type("aws:ec2/securityGroupRule:SecurityGroupRule"):
        if rule.inputs.get("type") == "ingress":
            yield from _inline(str(rule.inputs.get("securityGroupId")), rule.inputs, rule.name)
    for group in plan.of_type("aws:ec2/securityGroup:SecurityGroup"):
        for inline in group.inputs.get("ingress") or ():
            yield from _inline(group.id, inline, group.name)


def _inline(group: str, rule: Mapping[str, Any], name: str) -> Iterator[Rule]:
    for cidr in (*(rule.get("cidrBlocks") or ()), *(rule.get("ipv6CidrBlocks") or ())):
        yield _rule(group, rule.get("protocol"), rule, cidr, None, name)
    others = [*(rule.get("securityGroups") or ())]
    others += [rule["sourceSecurityGroupId"]] if rule.get("sourceSecurityGroupId") else []
    others += [group] if rule.get("self") else []
    for other in others:
        yield _rule(group, rule.get("protocol"), rule, None, other, name)


def _rule(group: Any, protocol: Any, ports: Mapping[str, Any], cidr: Any, other: Any, name: str) -> Rule:
    return Rule(
        group=str(group),
        protocol=_TRAFFIC.get(str(protocol), str(protocol)),
        first=int(ports.get("fromPort") or 0),
        last=int(ports.get("toPort") or 0),
        cidr=str(cidr or ""),
        other_group=str(other or ""),
        by=name,
    )
