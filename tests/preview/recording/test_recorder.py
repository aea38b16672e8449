"""The recorder, on small programs."""

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
import pulumi_random as random
import pytest

from preview.recording.plan import PlannedResource, Secret
from preview.recording.recorder import Recording, record


def _record(program: object, before: Recording | None = None) -> Recording:
    return record(
        program,  # type: ignore[arg-type]
        project="project",
        stack="test",
        before=before.resources if before else None,
    )


class _Group(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("project:tests:Group", name, None, opts)
        aws.ec2.Vpc(f"{name}-vpc", cidr_block="10.0.0.0/16", opts=pulumi.ResourceOptions(parent=self))


def test_urns_name_the_types_above_and_not_the_stack() -> None:
    assert list(_record(lambda: _Group("net") and None).resources) == [
        "urn:pulumi:test::project::project:tests:Group::net",
        "urn:pulumi:test::project::project:tests:Group$aws:ec2/vpc:Vpc::net-vpc",
    ]


def test_a_failure_inside_an_apply_is_raised_and_the_next_recording_is_whole() -> None:
    def failing() -> None:
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        vpc.id.apply(lambda _: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        _record(failing)
    assert len(_record(lambda: _Group("net") and None).resources) == 2


def test_two_resources_of_one_urn_are_refused() -> None:
    def twice() -> None:
        aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")

    with pytest.raises(ValueError, match="two resources have the URN"):
        _record(twice)


def test_a_password_is_secret_and_the_same_each_time() -> None:
    def program() -> None:
        pulumi.export("password", random.RandomPassword("password", length=20).result)

    first, second = _record(program).outputs["password"], _record(program).outputs["password"]
    assert isinstance(first, Secret)
    assert len(first.value) == 20
    assert first.value == second.value


def test_the_line_that_made_a_resource_is_reported_for_components_too() -> None:
    made = _record(lambda: _Group("net") and None)
    assert made.named("net-vpc").source.partition(":")[0].endswith("tests/preview/recording/test_recorder.py")
    assert int(made.named("net").source.rpartition(":")[2]) > int(
        made.named("net-vpc").source.rpartition(":")[2]
    )


def test_what_is_kept_keeps_its_id_under_another_name() -> None:
    before = _record(lambda: _Group("net") and None)
    opts = pulumi.ResourceOptions(aliases=[pulumi.Alias(name="net")])
    after = _record(lambda: _Group("network", opts) and None, before)
    assert after.named("network-vpc").aliases == (before.named("net-vpc").urn,)
    assert after.named("network-vpc").id == before.named("net-vpc").id
    assert (
        _record(lambda: _Group("network") and None, before).named("network-vpc").id
        != before.named("net-vpc").id
    )


def _subnet(cidr: str) -> PlannedResource:
    def program() -> None:
        vpc = aws.ec2.Vpc("vpc", cidr_block=cidr)
        aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24")

    return _record(program, _FIRST).named("subnet")


def test_what_is_replaced_has_another_id_and_whatever_refers_to_it_changes() -> None:
    assert _subnet("10.0.0.0/16").inputs == _FIRST.named("subnet").inputs
    assert _subnet("10.1.0.0/16").inputs["vpcId"] != _FIRST.named("subnet").inputs["vpcId"]


def _first() -> Recording:
    def program() -> None:
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24")

    return _record(program)


_FIRST = _first()


def test_an_object_without_a_name_gets_one_that_repeats() -> None:
    def program() -> None:
        k8s.core.v1.ConfigMap("settings", data={"a": "b"})

    names = {_record(program).named("settings").outputs["metadata"]["name"] for _ in range(2)}
    assert len(names) == 1
    assert names.pop().startswith("settings-")


def test_the_registration_order_is_the_same_each_time() -> None:
    def program() -> None:
        for number in range(20):
            _Group(f"group-{number}")

    assert list(_record(program).resources) == list(_record(program).resources)
