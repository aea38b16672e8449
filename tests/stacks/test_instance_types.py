"""What nodes have for pods, against figures of real nodes."""

import pytest

from stacks.instance_types import is_arm, node_size


@pytest.mark.parametrize(
    ("instance_type", "cpu_millis", "memory_mib", "pods"),
    [
        # CPU: kube-reserved as nodes show it. Memory: 92.5 % of the instance, less 255 MiB, 11 MiB a pod, 100 MiB.
        ("m7i.large", 1930, 6012, 110),
        ("m7i.xlarge", 3920, 13590, 110),
        ("m7i.2xlarge", 7910, 28745, 110),
        ("m7i.8xlarge", 31850, 118136, 250),
        ("c7g.xlarge", 3920, 6012, 110),
        ("r6i.large", 1930, 13590, 110),
        ("t3.medium", 1930, 2223, 110),
        ("t3.nano", 1930, 0, 34),
        ("m7g.medium", 940, 2355, 98),
        ("m7i-flex.large", 1930, 6012, 110),
    ],
)
def test_a_node_has_what_its_size_leaves(
    instance_type: str, cpu_millis: int, memory_mib: int, pods: int
) -> None:
    size = node_size(instance_type)
    assert size is not None
    assert (size.cpu_millis, size.memory_mib, size.pods) == (cpu_millis, memory_mib, pods)


@pytest.mark.parametrize(
    "instance_type", ["m4.large", "i4i.large", "c5n.large", "m7i.metal-24xl", "t2.micro", "m7g"]
)
def test_a_type_that_follows_no_rule_has_no_size(instance_type: str) -> None:
    assert node_size(instance_type) is None


def test_gravitons_are_arm() -> None:
    assert [
        is_arm(t) for t in ("m7g.large", "t4g.small", "c8gn.large", "a1.large", "m7i.large", "g5.xlarge")
    ] == [
        True,
        True,
        True,
        True,
        False,
        False,
    ]
