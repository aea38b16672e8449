"""The division of a VPC's addresses."""

from ipaddress import IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.network.subnets import MAX_ZONES, subnet_plan


@st.composite
def vpc_cidrs(draw: st.DrawFn) -> str:
    prefix = draw(st.integers(16, 20))
    address = draw(st.integers(0, 2**prefix - 1)) << (32 - prefix)
    return str(IPv4Network((address, prefix)))


@given(cidr=vpc_cidrs(), zones=st.integers(2, MAX_ZONES))
def test_subnets_lie_in_the_vpc_and_never_overlap(cidr: str, zones: int) -> None:
    plan = subnet_plan(cidr, zones)
    subnets = [IPv4Network(s) for s in (*plan.public, *plan.private, *plan.database)]
    assert len(subnets) == 3 * zones
    assert all(subnet.subnet_of(IPv4Network(cidr)) for subnet in subnets)
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))


@given(cidr=vpc_cidrs(), zones=st.integers(2, MAX_ZONES - 1))
def test_a_zone_added_later_moves_no_subnet(cidr: str, zones: int) -> None:
    before, after = subnet_plan(cidr, zones), subnet_plan(cidr, zones + 1)
    assert after.public[:zones] == before.public
    assert after.private[:zones] == before.private
    assert after.database[:zones] == before.database


@given(cidr=vpc_cidrs())
def test_private_subnets_have_room_for_pods(cidr: str) -> None:
    # A node of m7i.large runs 110 pods at most: four nodes a zone in the smallest VPC.
    assert all(IPv4Network(s).num_addresses >= 512 for s in subnet_plan(cidr, 3).private)


@pytest.mark.parametrize(
    ("cidr", "zones", "message"),
    [
        ("10.0.0.0/21", 2, "cidr is 10.0.0.0/21: use a /16 to /20"),
        ("10.0.0.0/8", 2, "cidr is 10.0.0.0/8: use a /16 to /20"),
        ("10.0.0.1/16", 2, "cidr is '10.0.0.1/16': .* write a network such as 10.0.0.0/16"),
        ("ten", 2, "cidr is 'ten'"),
        ("10.0.0.0/16", 1, "zones is 1: use 2 to 4"),
        ("10.0.0.0/16", 5, "zones is 5: use 2 to 4"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_remedy(cidr: str, zones: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        subnet_plan(cidr, zones)
