"""URNs and former URNs, as the engine makes them."""

from preview.recording.urns import Alias, former, make, name_of, type_of

_PARENT = make("dev", "p", "", "p:c:Network", "network")
_FORMER_PARENT = make("dev", "p", "", "p:c:Network", "net")


def test_a_child_shows_the_types_above_it_and_not_the_stack() -> None:
    stack = "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev"
    assert make("dev", "p", stack, "p:c:Network", "network") == _PARENT
    child = make("dev", "p", _PARENT, "aws:ec2/vpc:Vpc", "network-vpc")
    assert child == "urn:pulumi:dev::p::p:c:Network$aws:ec2/vpc:Vpc::network-vpc"
    assert (name_of(child), type_of(child)) == ("network-vpc", "aws:ec2/vpc:Vpc")


def test_a_child_takes_part_in_the_renaming_of_its_parent() -> None:
    found = former("dev", "p", _PARENT, "aws:ec2/vpc:Vpc", "network-vpc", [], [_FORMER_PARENT])
    assert found == ("urn:pulumi:dev::p::p:c:Network$aws:ec2/vpc:Vpc::net-vpc",)


def test_a_child_that_is_not_named_after_its_parent_keeps_its_name() -> None:
    found = former(
        "dev", "p", _PARENT, "aws:ec2/vpc:Vpc", "vpc", [], [make("dev", "p", "", "p:c:Net", "network")]
    )
    assert found == ("urn:pulumi:dev::p::p:c:Net$aws:ec2/vpc:Vpc::vpc",)


def test_an_alias_may_name_the_former_name_type_parent_or_urn() -> None:
    aliases = [Alias(name="old"), Alias(type="aws:x:Y"), Alias(parent=""), Alias(urn="urn:a")]
    assert former("dev", "p", _PARENT, "aws:ec2/vpc:Vpc", "vpc", aliases, []) == (
        "urn:pulumi:dev::p::p:c:Network$aws:ec2/vpc:Vpc::old",
        "urn:pulumi:dev::p::p:c:Network$aws:x:Y::vpc",
        "urn:pulumi:dev::p::aws:ec2/vpc:Vpc::vpc",
        "urn:a",
    )
