"""Faster versions of what the SDK does slowly: each decides as the SDK does."""

import gc
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi.output import Unknown
from pulumi.runtime import rpc

from preview.recording import shortcuts
from preview.recording.recorder import Recording, record


def _record(program: Callable[[], None]) -> Recording:
    return record(program, project="project", stack="test")


def _vpcs(number: int) -> None:
    for n in range(number):
        group = pulumi.ComponentResource("project:tests:Group", f"group-{n}")
        below = pulumi.ResourceOptions(parent=group)
        vpc = aws.ec2.Vpc(f"vpc-{n}", cidr_block="10.0.0.0/16", opts=below)
        aws.ec2.Subnet(f"subnet-{n}", vpc_id=vpc.id, cidr_block="10.0.0.0/24", opts=below)
        pulumi.export(f"arn-{n}", vpc.arn)


def test_a_program_that_is_worked_off_in_portions_is_recorded_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = _record(lambda: _vpcs(7))
    monkeypatch.setattr(shortcuts, "_PORTION", 4)
    portions = _record(lambda: _vpcs(7))
    assert dict(sorted(portions.resources.items())) == dict(sorted(whole.resources.items()))
    assert portions.outputs == whole.outputs


def test_what_was_begun_is_done_before_the_program_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "_PORTION", 3)
    done: list[str] = []

    def program() -> None:
        for n in range(9):
            aws.ec2.Vpc(f"vpc-{n}", cidr_block="10.0.0.0/16").id.apply(done.append)
        done.append("the program's end")

    _record(program)
    assert len(done) == 10
    assert done.index("the program's end") >= 6


def test_a_failure_in_a_portion_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "_PORTION", 2)

    def failing() -> None:
        aws.ec2.Vpc("first", cidr_block="10.0.0.0/16").id.apply(lambda _: 1 / 0)
        _vpcs(3)

    with pytest.raises(ZeroDivisionError):
        _record(failing)


def test_a_circle_of_dependencies_is_still_refused() -> None:
    def program() -> None:
        group = pulumi.ComponentResource("project:tests:Group", "group")
        # The group stands for all that is in it, this one included.
        aws.ec2.Vpc("vpc", opts=pulumi.ResourceOptions(parent=group, depends_on=[group]))

    with pytest.raises(RuntimeError, match="circular dependency"):
        _record(program)


def test_a_dependency_does_not_look_at_all_that_stands_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bool] = []
    original: Callable[..., bool] = vars(rpc)["declare_dependency"]

    def counting(*resources: Any) -> bool:
        looked.append(True)
        return original(*resources)

    monkeypatch.setattr(rpc, "declare_dependency", counting)

    def program() -> None:
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        for n in range(5):
            vpc = aws.ec2.Vpc(f"vpc-{n}", cidr_block=vpc.cidr_block)

    _record(program)
    assert looked == []


class _Typed(dict[str, Any]):
    """As a provider's types are: dicts, whose properties may be called like a dict's methods."""

    values = ("a property",)  # type: ignore[assignment]


_UNKNOWN: Any = Unknown()  # type: ignore[no-untyped-call]
_round: list[Any] = [1]
_round.append(_round)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        {"a": [1, {"b": "c"}]},
        _UNKNOWN,
        {"a": [1, {"b": _UNKNOWN}]},
        [[], [_UNKNOWN]],
        _round,
        _Typed(a=_UNKNOWN),
        _Typed(a=1),
    ],
)
def test_what_is_unknown_is_found_as_by_the_sdk(value: Any) -> None:
    assert shortcuts.contains_unknowns(value) is rpc.contains_unknowns(value)


def test_looking_for_unknowns_leaves_no_garbage_in_circles() -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            shortcuts.contains_unknowns({"a": [1, 2]})
        assert gc.collect() < 50
    finally:
        gc.enable()
