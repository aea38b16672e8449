"""How a VPC's addresses are divided: pure arithmetic, apart from the resources."""

import ipaddress
from dataclasses import dataclass

#: The zones that every plan reserves room for.
MAX_ZONES = 4
# EKS wants subnets in two zones at least.
_MIN_ZONES = 2
# A VPC is a /16 at most. Below a /20 the private subnets (an eighth of the VPC each) have fewer than 507
# addresses: too few, when the VPC CNI gives every pod an address of its own.
_LARGEST, _SMALLEST = 16, 20


@dataclass(frozen=True)
class SubnetPlan:
    """CIDRs by kind, one for each zone, in the order of the zones."""

    public: tuple[str, ...]
    private: tuple[str, ...]
    database: tuple[str, ...]


def subnet_plan(cidr: str, zones: int) -> SubnetPlan:
    """Divide ``cidr`` among ``zones`` availability zones.

    The first half of the VPC goes to the private subnets, where nodes and pods take their addresses (of a /16
    four /19, with 8,187 each); an eighth each to the public and the database subnets (four /21). A quarter
    stays free. Room for four zones is always kept, so that a zone added later moves nothing.

    Raises:
        ValueError: a CIDR that is malformed, too small or too large, or a number of zones outside 2 to 4.
    """
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(f"cidr is {cidr!r}: {error}; write a network such as 10.0.0.0/16") from None
    if not _LARGEST <= network.prefixlen <= _SMALLEST:
        raise ValueError(
            f"cidr is {cidr}: use a /{_LARGEST} to /{_SMALLEST}, the largest that AWS allows to the smallest "
            "whose private subnets have room for pods"
        )
    if not _MIN_ZONES <= zones <= MAX_ZONES:
        raise ValueError(f"zones is {zones}: use {_MIN_ZONES} to {MAX_ZONES} availability zones")
    eighths = list(network.subnets(prefixlen_diff=3))
    public, database = (eighths[i].subnets(prefixlen_diff=2) for i in (4, 5))
    return SubnetPlan(
        private=tuple(str(s) for s in eighths[:zones]),
        public=tuple(str(s) for s in public)[:zones],
        database=tuple(str(s) for s in database)[:zones],
    )
