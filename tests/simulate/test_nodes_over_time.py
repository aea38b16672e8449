"""Nodes: where pods are placed, and when nodes come and go."""

from simulate.assumptions import NODE_SECONDS, UNNEEDED_SECONDS, UNNEEDED_SHARE
from simulate.cluster import Cluster, Group, Machine
from stacks.instance_types import NodeSize
from stacks.packing import NodeGroup, Workload

SIZE = NodeSize("test.large", vcpus=2, memory_gib=8, cpu_millis=2000, memory_mib=8000, pods=10)
AGENT = Workload(name="agent", cpu_millis=800, memory_mib=100, pods=1)
SPREAD = Workload(name="spread", cpu_millis=800, memory_mib=100, pods=1, over_zones=True)
BASE = Workload(name="base", cpu_millis=300, memory_mib=100, pods=2)


def _cluster(least: int = 1, most: int = 4, zones: int = 2, followed: Workload = AGENT) -> Cluster:
    nodes = NodeGroup(name="general", size=SIZE, nodes=most, zones=zones)
    group = Group(nodes, least, 0.1, UNNEEDED_SECONDS, UNNEEDED_SHARE)
    return Cluster([group], [Workload(name="daemon", cpu_millis=100, memory_mib=10, pods=1)], [followed])


def _placed(cluster: Cluster, pod: Workload, now: float) -> Machine:
    machine = cluster.place(pod, now)
    assert machine is not None
    return machine


def test_it_begins_with_the_nodes_that_its_pods_need() -> None:
    cluster = _cluster()
    machines = cluster.settle([BASE], [AGENT] * 3)
    # 600m and 2400m on nodes of 1900m each.
    assert cluster.running(0) == 2
    assert None not in machines
    assert cluster.hourly() == 0.2


def test_a_pod_without_room_gets_a_node_after_the_time_that_it_takes_to_boot() -> None:
    cluster = _cluster()
    cluster.settle([], [AGENT] * 2)
    assert cluster.place(AGENT, 5) is None
    cluster.scan([AGENT], 10)
    assert cluster.running(10) == 1
    # What starts is counted on, and paid for.
    cluster.scan([AGENT], 20)
    assert len(cluster.machines) == 2
    assert cluster.hourly() == 0.2
    assert cluster.place(AGENT, 10 + NODE_SECONDS - 1) is None
    assert _placed(cluster, AGENT, 10 + NODE_SECONDS).ready_at == 10 + NODE_SECONDS


def test_no_more_nodes_come_than_the_group_may_have() -> None:
    cluster = _cluster(most=2)
    cluster.settle([], [AGENT] * 2)
    cluster.scan([AGENT] * 9, 10)
    cluster.scan([AGENT] * 9, 20)
    assert len(cluster.machines) == 2


def test_a_pod_that_is_larger_than_every_node_brings_none() -> None:
    cluster = _cluster()
    cluster.settle([], [])
    cluster.scan([Workload(name="agent", cpu_millis=1950, memory_mib=1, pods=1)], 10)
    assert len(cluster.machines) == 1


def test_pods_that_spread_wait_for_a_node_of_their_zone() -> None:
    cluster = _cluster(least=2, followed=SPREAD)
    first, second = cluster.settle([], [SPREAD] * 2)
    assert first
    assert second
    assert {first.node.zone, second.node.zone} == {0, 1}
    third, fourth = _placed(cluster, SPREAD, 5), _placed(cluster, SPREAD, 5)
    assert third.node.zone != fourth.node.zone
    # Both nodes are full; the next one comes in the zone that may have it.
    cluster.scan([SPREAD], 10)
    assert _placed(cluster, SPREAD, 100).node.zone == 0


def test_a_zone_that_is_ahead_takes_no_more() -> None:
    cluster = _cluster(least=2, followed=SPREAD)
    (ahead,) = cluster.settle([], [SPREAD])
    (behind,) = [machine for machine in cluster.machines if machine is not ahead]
    behind.node.take(AGENT)
    behind.node.take(AGENT)
    assert ahead
    assert ahead.node.has_room(SPREAD)
    assert cluster.place(SPREAD, 5) is None
    behind.node.give(AGENT)
    assert cluster.place(SPREAD, 5) is behind


def test_a_node_that_is_half_empty_for_ten_minutes_goes_when_its_pods_fit_elsewhere() -> None:
    cluster = _cluster(least=1)
    cluster.settle([BASE], [AGENT] * 3)
    for now in range(0, 1200, 10):
        cluster.scan([], now)
    assert not any(machine.leaves for machine in cluster.machines)
    # One agent less on each leaves 35 % and 45 % of them requested.
    for machine in cluster.machines:
        machine.node.give(AGENT)
    for now in range(1200, 1200 + UNNEEDED_SECONDS, 10):
        cluster.scan([], now)
        assert not any(machine.leaves for machine in cluster.machines)
    cluster.scan([], 1200 + UNNEEDED_SECONDS)
    (leaving,) = [machine for machine in cluster.machines if machine.leaves]
    # It stays as long as pods that are followed are on it, and takes no more.
    cluster.remove_if_empty(leaving, 1)
    assert leaving in cluster.machines
    placed = _placed(cluster, AGENT, 1900)
    assert placed is not leaving
    placed.node.give(AGENT)
    cluster.remove_if_empty(leaving, 0)
    assert cluster.running(1900) == 1
    assert cluster.machines[0].node.workloads["base"] == 2


def test_nodes_go_one_by_one() -> None:
    cluster = _cluster(least=1)
    cluster.settle([], [AGENT] * 6)
    for machine in cluster.machines:
        while machine.node.workloads.get("agent"):
            machine.node.give(AGENT)
    assert cluster.running(0) == 3
    for now in range(0, 3000, 10):
        cluster.scan([], now)
    (leaving,) = [machine for machine in cluster.machines if machine.leaves]
    cluster.remove_if_empty(leaving, 0)
    cluster.scan([], 3000)
    assert sum(machine.leaves for machine in cluster.machines) == 1


def test_no_node_goes_within_ten_minutes_of_one_that_came() -> None:
    cluster = _cluster(least=1)
    cluster.settle([], [AGENT] * 4)
    for machine in cluster.machines:
        machine.node.give(AGENT)
    for now in range(0, 500, 10):
        cluster.scan([], now)
    # One comes at 500 for a pod that a node has no room for, and the others are unneeded since 0.
    cluster.scan([AGENT] * 3, 500)
    assert len(cluster.machines) == 3
    for now in range(510, 500 + UNNEEDED_SECONDS, 10):
        cluster.scan([], now)
        assert not any(machine.leaves for machine in cluster.machines)
    cluster.scan([], 500 + UNNEEDED_SECONDS)
    assert any(machine.leaves for machine in cluster.machines)


def test_the_fewest_nodes_stay() -> None:
    cluster = _cluster(least=2)
    cluster.settle([], [])
    for now in range(0, 3000, 10):
        cluster.scan([], now)
    assert not any(machine.leaves for machine in cluster.machines)


def test_nodes_that_are_somebody_elses_have_always_room() -> None:
    cluster = Cluster([], [], [AGENT])
    assert cluster.settle([BASE], [AGENT]) == [None]
    cluster.scan([AGENT], 10)
    assert cluster.hourly() == 0
