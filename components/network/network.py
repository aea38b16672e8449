"""The VPC: where everything of a stack lives, and how traffic enters and leaves it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi
import pulumi_aws as aws

from components.network.flow_logs import flow_logs
from components.network.subnets import subnet_plan


class NatGateways(StrEnum):
    """How private subnets reach the internet."""

    SINGLE = "single"
    """One gateway for all zones: cheap, and its zone's failure cuts every zone off. For development."""
    PER_ZONE = "per-zone"
    """One in each zone: no zone depends on another."""


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What `Network` needs.

    Attributes:
        cidr: the VPC's addresses, a /16 to /20.
        zones: names of two to four availability zones. Add new ones at the end.
        nat_gateways: one for all, or one a zone.
        region: the region, which names the services of the endpoints.
        cluster_name: names the resources, and tells EKS which subnets are for its load balancers.
        interface_endpoints: services that are reached without the NAT gateway, such as ``ecr.api``. Each
            costs by the hour and zone.
        flow_logs: record accepted and rejected connections.
        flow_logs_retention_days: for how long.
        logs_kms_key_arn: the key of the flow logs.
        protect: keep the VPC and its outbound addresses from being deleted.
    """

    cidr: str
    zones: Sequence[pulumi.Input[str]]
    nat_gateways: NatGateways
    region: str
    cluster_name: str
    interface_endpoints: Sequence[str] = ()
    flow_logs: bool
    flow_logs_retention_days: int
    logs_kms_key_arn: pulumi.Input[str]
    protect: bool

    def __post_init__(self) -> None:
        subnet_plan(self.cidr, len(self.zones))
        if len(set(self.interface_endpoints)) != len(self.interface_endpoints):
            raise ValueError(
                f"interface_endpoints is {list(self.interface_endpoints)}: name every service once"
            )


class Network(pulumi.ComponentResource):
    """A VPC with public, private and database subnets in every zone.

    Load balancers are in the public subnets, nodes in the private ones. Database subnets have no route out
    of the VPC.

    Attributes:
        vpc_id: the VPC.
        public_subnet_ids: one a zone, in the order of the zones; so are the other two.
        private_subnet_ids: for nodes and pods.
        database_subnet_ids: for RDS and ElastiCache.
        nat_gateway_ids: the NAT gateways.
        cidrs: the VPC's addresses.
        public_cidrs: the addresses of the public subnets; so are the other two.
    """

    vpc_id: pulumi.Output[str]
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    database_subnet_ids: list[pulumi.Output[str]]
    nat_gateway_ids: list[pulumi.Output[str]]
    cidrs: pulumi.Input[Sequence[str]]
    public_cidrs: Sequence[pulumi.Input[str]]
    private_cidrs: Sequence[pulumi.Input[str]]
    database_cidrs: Sequence[pulumi.Input[str]]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Network", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        plan = subnet_plan(args.cidr, len(args.zones))
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args.cidr,
            # Both are needed for interface endpoints and for the private endpoint of EKS.
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags(),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.vpc_id = vpc.id
        self.cidrs = [args.cidr]
        self.public_cidrs, self.private_cidrs, self.database_cidrs = plan.public, plan.private, plan.database
        # Emptied: whatever is put into it by oversight can talk to nothing.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default-security-group",
            vpc_id=vpc.id,
            ingress=[],
            egress=[],
            tags=self._tags("default-unused"),
            opts=self._child,
        )
        # The tags by which load balancer controllers find their subnets:
        # https://docs.aws.amazon.com/eks/latest/userguide/network-load-balancing.html
        public = self._subnets("public", plan.public, {"kubernetes.io/role/elb": "1"})
        private = self._subnets("private", plan.private, {"kubernetes.io/role/internal-elb": "1"})
        database = self._subnets("database", plan.database, {})

        gateway = aws.ec2.InternetGateway(
            f"{name}-internet-gateway", vpc_id=vpc.id, tags=self._tags(), opts=self._child
        )
        [public_table] = self._route_tables("public", [public])
        self._route_out("public", public_table, gateway_id=gateway.id)
        # One table for each zone even behind a single gateway: going from one gateway to one a zone then
        # changes routes only.
        private_tables = self._route_tables("private", [[subnet] for subnet in private])
        gateways = self._nat_gateways(public, gateway)
        self.nat_gateway_ids = [each.id for each in gateways]
        for zone, table in enumerate(private_tables):
            self._route_out(
                f"private-{zone + 1}", table, nat_gateway_id=gateways[min(zone, len(gateways) - 1)].id
            )
        self._route_tables("database", [database])

        # Image layers come from S3: through the NAT gateway they would be the largest part of its cost.
        aws.ec2.VpcEndpoint(
            f"{name}-s3-endpoint",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{args.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in private_tables],
            tags=self._tags("s3"),
            opts=self._child,
        )
        if args.interface_endpoints:
            self._interface_endpoints(private)
        if args.flow_logs:
            flow_logs(
                name,
                vpc=vpc,
                label=args.cluster_name,
                retention_days=args.flow_logs_retention_days,
                kms_key_arn=args.logs_kms_key_arn,
                parent=self,
            )

        self.public_subnet_ids = [subnet.id for subnet in public]
        self.private_subnet_ids = [subnet.id for subnet in private]
        self.database_subnet_ids = [subnet.id for subnet in database]
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "public_subnet_ids": self.public_subnet_ids,
                "private_subnet_ids": self.private_subnet_ids,
                "database_subnet_ids": self.database_subnet_ids,
            }
        )

    def _tags(self, what: str = "") -> dict[str, str]:
        return {"Name": f"{self._args.cluster_name}-{what}" if what else self._args.cluster_name}

    def _subnets(self, kind: str, cidrs: Sequence[str], role_tags: dict[str, str]) -> list[aws.ec2.Subnet]:
        # No subnet gives public addresses by itself, the public ones neither: only load balancers and NAT
        # gateways stand there, and they bring their own.
        return [
            aws.ec2.Subnet(
                f"{self._name}-{kind}-{zone}",
                vpc_id=self.vpc_id,
                cidr_block=cidr,
                availability_zone=self._args.zones[zone - 1],
                map_public_ip_on_launch=False,
                tags={**self._tags(f"{kind}-{zone}"), **role_tags},
                opts=self._child,
            )
            for zone, cidr in enumerate(cidrs, start=1)
        ]

    def _route_tables(
        self, kind: str, subnets: Sequence[Sequence[aws.ec2.Subnet]]
    ) -> list[aws.ec2.RouteTable]:
        """One table for each group of subnets, without any route of its own."""
        tables = []
        zone = 0
        for number, group in enumerate(subnets, start=1):
            label = kind if len(subnets) == 1 else f"{kind}-{number}"
            table = aws.ec2.RouteTable(
                f"{self._name}-{label}-routes",
                vpc_id=self.vpc_id,
                tags=self._tags(label),
                opts=self._child,
            )
            for subnet in group:
                zone += 1
                aws.ec2.RouteTableAssociation(
                    f"{self._name}-{kind}-{zone}-routes",
                    subnet_id=subnet.id,
                    route_table_id=table.id,
                    opts=self._child,
                )
            tables.append(table)
        return tables

    def _route_out(
        self,
        label: str,
        table: aws.ec2.RouteTable,
        *,
        gateway_id: pulumi.Input[str] | None = None,
        nat_gateway_id: pulumi.Input[str] | None = None,
    ) -> None:
        aws.ec2.Route(
            f"{self._name}-{label}-out",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway_id,
            nat_gateway_id=nat_gateway_id,
            opts=self._child,
        )

    def _nat_gateways(
        self, public: Sequence[aws.ec2.Subnet], internet_gateway: aws.ec2.InternetGateway
    ) -> list[aws.ec2.NatGateway]:
        standing_in = public if self._args.nat_gateways is NatGateways.PER_ZONE else public[:1]
        gateways = []
        for zone, subnet in enumerate(standing_in, start=1):
            address = aws.ec2.Eip(
                f"{self._name}-nat-{zone}-address",
                domain="vpc",
                tags=self._tags(f"nat-{zone}"),
                # Protected: others allow-list these addresses, and AWS gives none back.
                opts=pulumi.ResourceOptions(parent=self, protect=self._args.protect),
            )
            gateways.append(
                aws.ec2.NatGateway(
                    f"{self._name}-nat-{zone}",
                    allocation_id=address.id,
                    subnet_id=subnet.id,
                    tags=self._tags(f"nat-{zone}"),
                    # A NAT gateway cannot be made in a VPC that has no internet gateway yet, and nothing
                    # else in its arguments says so.
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[internet_gateway]),
                )
            )
        return gateways

    def _interface_endpoints(self, private: Sequence[aws.ec2.Subnet]) -> None:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-endpoints-security-group",
            name=f"{self._args.cluster_name}-endpoints",
            description="Interface endpoints of AWS services",
            vpc_id=self.vpc_id,
            tags=self._tags("endpoints"),
            opts=self._child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-endpoints-https",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            cidr_ipv4=self._args.cidr,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            opts=self._child,
        )
        for service in self._args.interface_endpoints:
            aws.ec2.VpcEndpoint(
                f"{self._name}-{service}-endpoint",
                vpc_id=self.vpc_id,
                service_name=f"com.amazonaws.{self._args.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in private],
                security_group_ids=[group.id],
                tags=self._tags(service),
                opts=self._child,
            )
