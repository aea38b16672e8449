"""A VPC that somebody else made: looked up, and never changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class ExistingNetworkArgs:
    """What `ExistingNetwork` needs.

    Attributes:
        vpc_id: the VPC.
        public_subnet_ids: for load balancers, tagged ``kubernetes.io/role/elb``.
        private_subnet_ids: for nodes and pods, in two zones at least, with a way to the internet.
        database_subnet_ids: for RDS and ElastiCache, in two zones at least.
    """

    vpc_id: str
    public_subnet_ids: Sequence[str]
    private_subnet_ids: Sequence[str]
    database_subnet_ids: Sequence[str]


class ExistingNetwork(pulumi.ComponentResource):
    """What `Network` offers, of a VPC that is there already.

    Attributes:
        vpc_id: the VPC.
        public_subnet_ids: in the order that they are named in; so are the other two.
        private_subnet_ids: for nodes and pods.
        database_subnet_ids: for RDS and ElastiCache.
        cidrs: the VPC's addresses, secondary ones included.
        public_cidrs: the addresses of the public subnets; so are the other two.
    """

    vpc_id: pulumi.Output[str]
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    database_subnet_ids: list[pulumi.Output[str]]
    cidrs: pulumi.Input[Sequence[str]]
    public_cidrs: Sequence[pulumi.Input[str]]
    private_cidrs: Sequence[pulumi.Input[str]]
    database_cidrs: Sequence[pulumi.Input[str]]

    def __init__(
        self, name: str, args: ExistingNetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:ExistingNetwork", name, None, opts)
        self._opts = pulumi.InvokeOutputOptions(parent=self)
        vpc = aws.ec2.get_vpc_output(id=args.vpc_id, opts=self._opts).apply(_usable)
        self.vpc_id = vpc.apply(lambda found: found.id)
        self.cidrs = vpc.apply(_cidrs)
        public = self._subnets(args.vpc_id, args.public_subnet_ids)
        private = self._subnets(args.vpc_id, args.private_subnet_ids)
        database = self._subnets(args.vpc_id, args.database_subnet_ids)
        self.public_subnet_ids, self.public_cidrs = _ids(public), _blocks(public)
        self.private_subnet_ids, self.private_cidrs = _ids(private), _blocks(private)
        self.database_subnet_ids, self.database_cidrs = _ids(database), _blocks(database)
        self.register_outputs({"vpc_id": self.vpc_id})

    def _subnets(self, vpc_id: str, ids: Sequence[str]) -> list[pulumi.Output[aws.ec2.GetSubnetResult]]:
        # By the VPC as well: a subnet of another one is not found.
        return [aws.ec2.get_subnet_output(id=id_, vpc_id=vpc_id, opts=self._opts) for id_ in ids]


def _usable(vpc: aws.ec2.GetVpcResult) -> aws.ec2.GetVpcResult:
    missing = [
        name
        for name, on in (
            ("enableDnsSupport", vpc.enable_dns_support),
            ("enableDnsHostnames", vpc.enable_dns_hostnames),
        )
        if not on
    ]
    if missing:
        raise pulumi.RunError(
            f"vpc_id is {vpc.id}: {' and '.join(missing)} of it are off, and EKS's private endpoint needs both: "
            f"aws ec2 modify-vpc-attribute --vpc-id {vpc.id} turns them on, one a call"
        )
    return vpc


def _cidrs(vpc: aws.ec2.GetVpcResult) -> Sequence[str]:
    return sorted({vpc.cidr_block, *(each.cidr_block for each in vpc.cidr_block_associations)})


def _ids(subnets: Sequence[pulumi.Output[aws.ec2.GetSubnetResult]]) -> list[pulumi.Output[str]]:
    return [subnet.apply(lambda found: found.id) for subnet in subnets]


def _blocks(subnets: Sequence[pulumi.Output[aws.ec2.GetSubnetResult]]) -> list[pulumi.Output[str]]:
    return [subnet.apply(lambda found: found.cidr_block) for subnet in subnets]
