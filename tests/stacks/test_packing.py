"""Pods onto nodes."""

from hypothesis import given
from hypothesis import strategies as st

from stacks.instance_types import NodeSize
from stacks.packing import NodeGroup, Packing, Workload, pack

SIZE = NodeSize(instance_type="m7i.large", vcpus=2, memory_gib=8, cpu_millis=2000, memory_mib=8000, pods=10)


def group(nodes: int, zones: int = 1) -> NodeGroup:
    return NodeGroup(name="general", size=SIZE, nodes=nodes, zones=zones)


def workload(name: str, cpu: int, pods: int, memory: int = 100, over_zones: bool = False) -> Workload:
    return Workload(name=name, cpu_millis=cpu, memory_mib=memory, pods=pods, over_zones=over_zones)


def by_zone(packing: Packing, name: str) -> dict[int, int]:
    counts: dict[int, int] = {}
    for node in packing.nodes:
        counts[node.zone] = counts.get(node.zone, 0) + node.workloads.get(name, 0)
    return counts


def test_as_few_nodes_as_can_be_are_used() -> None:
    packing = pack([workload("large", 1500, 2), workload("small", 500, 2)], [], [group(4)])
    assert [node.workloads for node in packing.used] == [{"large": 1, "small": 1}] * 2
    assert packing.left_over == {}


def test_what_no_node_has_room_for_is_left_over() -> None:
    packing = pack([workload("huge", 2001, 1), workload("large", 1500, 3)], [], [group(2)])
    assert packing.left_over == {"huge": 1, "large": 1}


def test_memory_and_the_number_of_pods_run_out_as_well() -> None:
    assert pack([workload("fat", 10, 3, memory=4000)], [], [group(1)]).left_over == {"fat": 1}
    assert pack([workload("tiny", 1, 12, memory=1)], [], [group(1)]).left_over == {"tiny": 2}


def test_what_runs_on_every_node_is_taken_off_each() -> None:
    daemon = workload("daemon", 600, 1)
    assert pack([workload("large", 1500, 1)], [daemon], [group(3)]).left_over == {"large": 1}


def test_pods_are_level_over_zones_and_a_full_zone_ends_it() -> None:
    packing = pack([workload("server", 500, 7, over_zones=True)], [], [group(3, zones=3)])
    assert sorted(by_zone(packing, "server").values()) == [2, 2, 3]
    # One zone has one node, and the other two: four pods in each, and not one more anywhere.
    packing = pack([workload("server", 500, 12, over_zones=True)], [], [group(3, zones=2)])
    assert by_zone(packing, "server") == {0: 5, 1: 4}
    assert packing.left_over == {"server": 3}


@given(
    st.lists(
        st.tuples(st.integers(0, 2500), st.integers(0, 9000), st.integers(1, 8), st.booleans()), max_size=6
    ),
    st.integers(1, 6),
    st.integers(1, 3),
)
def test_no_node_has_more_than_it_holds_and_every_pod_is_placed_or_left_over(
    sizes: list[tuple[int, int, int, bool]], nodes: int, zones: int
) -> None:
    workloads = [
        workload(f"w{n}", cpu, pods, memory, over_zones)
        for n, (cpu, memory, pods, over_zones) in enumerate(sizes)
    ]
    packing = pack(workloads, [], [group(nodes, zones)])
    for node in packing.nodes:
        assert min(node.cpu_free, node.memory_free, node.pods_free) >= 0
    for some in workloads:
        placed = sum(node.workloads.get(some.name, 0) for node in packing.nodes)
        assert placed + packing.left_over.get(some.name, 0) == some.pods
        counts = by_zone(packing, some.name).values()
        assert not some.over_zones or max(counts) - min(counts) <= 1
