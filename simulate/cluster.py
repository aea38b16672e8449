"""The nodes of a stack: where pods are placed, and what starts and stops nodes for them.

Sizes are those that the policy ``pods-fit-nodes`` reckons with. A pod goes to the node with the most CPU free, as the
scheduler prefers it; pods that spread over zones keep them level (``maxSkew: 1``, ``DoNotSchedule``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from simulate.assumptions import NODE_SECONDS
from stacks.packing import Node, NodeGroup, Workload, empty_node


@dataclass(frozen=True)
class Group:
    """Equal nodes, and what moves them between their fewest and their most."""

    nodes: NodeGroup
    least: int
    hourly: float
    """USD a node, its disk included."""
    unneeded_seconds: float
    """How long a node has to be unneeded before it goes."""
    unneeded_share: float
    """A node is unneeded whose pods request less of it, and fit elsewhere."""
    rests: bool = True
    """Whether none goes within ``unneeded_seconds`` of one that came."""


@dataclass(eq=False)
class Machine:
    """A node that runs or starts."""

    node: Node
    group: Group
    ready_at: float
    has_image: bool = False
    unneeded_since: float | None = None
    leaves: bool = False
    """Its pods are moved, then it goes."""


@dataclass
class Cluster:
    """All nodes. Without groups, nodes are somebody else's, and there is always room."""

    groups: Sequence[Group]
    daemons: Sequence[Workload]
    followed: Sequence[Workload]
    """Those whose pods are placed one by one."""
    machines: list[Machine] = field(default_factory=list)
    _added_at: float = float("-inf")
    _standing: list[Workload] = field(default_factory=list)

    def settle(self, standing: Iterable[Workload], pods: Iterable[Workload]) -> list[Machine | None]:
        """What is there at the beginning: the fewest nodes, and as many more as its pods need.

        Args:
            standing: what runs all the time, beside the pods that are followed one by one.

        Returns:
            Where each of ``pods`` stands.
        """
        for group in self.groups:
            for _ in range(group.least):
                self._start(group, ready_at=0)
        single = [workload for workload in standing for _ in range(workload.pods)]
        self._standing = sorted({w.name: w for w in single}.values(), key=lambda w: w.name)
        for workload in sorted(single, key=lambda w: (-w.memory_mib - w.cpu_millis * 4, w.name)):
            self._settled(workload)
        return [self._settled(pod) for pod in pods]

    def place(self, pod: Workload, now: float) -> Machine | None:
        """Put a pod on a node that has room for it, if there is one."""
        if not self.groups:
            return None
        found = self._room(pod, [m for m in self.machines if m.ready_at <= now and not m.leaves])
        if found:
            found.node.take(pod)
        return found

    def scan(self, waiting: Sequence[Workload], now: float) -> None:
        """A look of what starts and stops nodes, every ``SCAN_SECONDS``.

        Args:
            waiting: the pods that have no node.
        """
        self._grow(waiting, now)
        self._shrink(waiting, now)

    def running(self, now: float) -> int:
        """Nodes that are ready."""
        return sum(machine.ready_at <= now for machine in self.machines)

    def hourly(self) -> float:
        """What they cost, USD an hour; AWS charges from the start of an instance on."""
        return sum(machine.group.hourly for machine in self.machines)

    def remove_if_empty(self, machine: Machine, followed: int) -> None:
        """End a node that leaves once none of the ``followed`` pods is on it."""
        if machine.leaves and not followed:
            for workload in self._standing:
                while machine.node.workloads.get(workload.name):
                    machine.node.give(workload)
                    self._settled(workload)
            self.machines.remove(machine)

    def _settled(self, workload: Workload) -> Machine | None:
        """Place a pod that is there already, on a node that was started for it where none has room."""
        if not self.groups:
            return None
        found = self._room(workload, [m for m in self.machines if not m.leaves])
        if found is None and (group := self._group_for(workload)):
            found = self._start(group, ready_at=0)
        if found:
            found.node.take(workload)
        return found

    def _room(self, pod: Workload, machines: Sequence[Machine]) -> Machine | None:
        fitting = [machine for machine in machines if machine.node.has_room(pod)]
        if pod.over_zones and machines:
            counts = dict.fromkeys({machine.node.zone for machine in machines}, 0)
            for machine in machines:
                counts[machine.node.zone] += machine.node.workloads.get(pod.name, 0)
            least = min(counts.values())
            fitting = [machine for machine in fitting if counts[machine.node.zone] == least]
        return max(fitting, key=lambda m: m.node.cpu_free / m.node.group.size.cpu_millis, default=None)

    def _grow(self, waiting: Sequence[Workload], now: float) -> None:
        """Start nodes for the pods that have no place on those that run or start already."""
        machines = [m for m in self.machines if not m.leaves]
        taken: list[tuple[Machine, Workload]] = []
        for pod in waiting:
            found = self._room(pod, machines)
            if found is None and (group := self._group_for(pod)):
                found = self._start(group, ready_at=now + NODE_SECONDS)
                machines.append(found)
                self._added_at = now
                if self._room(pod, machines) is not found:
                    # It came in a zone that does not help this pod; the next look goes on.
                    continue
            if found:
                found.node.take(pod)
                taken.append((found, pod))
        # Who is placed where is decided once a node is ready.
        for machine, pod in taken:
            machine.node.give(pod)

    def _group_for(self, pod: Workload) -> Group | None:
        """Of the groups that may grow and whose nodes have room, the one that wastes least."""
        grow = [g for g in self.groups if sum(m.group is g for m in self.machines) < g.nodes.nodes]
        fitting = [g for g in grow if empty_node(g.nodes, 0, self.daemons).has_room(pod)]
        return min(fitting, key=lambda g: (g.nodes.size.cpu_millis, g.nodes.size.memory_mib), default=None)

    def _start(self, group: Group, ready_at: float) -> Machine:
        zones = dict.fromkeys(range(group.nodes.zones), 0)
        for machine in self.machines:
            if machine.group is group:
                zones[machine.node.zone] += 1
        zone = min(zones, key=lambda z: (zones[z], z))
        machine = Machine(empty_node(group.nodes, zone, self.daemons), group, ready_at)
        self.machines.append(machine)
        return machine

    def _shrink(self, waiting: Sequence[Workload], now: float) -> None:
        """Let one node go at a time."""
        leaving = any(machine.leaves for machine in self.machines)
        candidates = []
        for machine in self.machines:
            if machine.leaves or machine.ready_at > now or not self._is_unneeded(machine, now):
                machine.unneeded_since = None
                continue
            if machine.unneeded_since is None:
                machine.unneeded_since = now
            group = machine.group
            rested = not group.rests or self._added_at + group.unneeded_seconds <= now
            if now - machine.unneeded_since >= group.unneeded_seconds and rested:
                candidates.append(machine)
        if candidates and not leaving and not waiting:
            min(candidates, key=_requested_share).leaves = True

    def _is_unneeded(self, machine: Machine, now: float) -> bool:
        group = machine.group
        if sum(m.group is group and not m.leaves for m in self.machines) <= group.least:
            return False
        return _requested_share(machine) < group.unneeded_share and self._fit_elsewhere(machine, now)

    def _fit_elsewhere(self, machine: Machine, now: float) -> bool:
        others = [m for m in self.machines if m is not machine and m.ready_at <= now and not m.leaves]
        taken: list[tuple[Machine, Workload]] = []
        fits = True
        for workload in self._movable(machine):
            found = self._room(workload, others)
            if found is None:
                fits = False
                break
            found.node.take(workload)
            taken.append((found, workload))
        for other, workload in taken:
            other.node.give(workload)
        return fits

    def _movable(self, machine: Machine) -> list[Workload]:
        known = {workload.name: workload for workload in [*self._standing, *self.followed]}
        return [known[name] for name, pods in machine.node.workloads.items() for _ in range(pods)]


def _requested_share(machine: Machine) -> float:
    """Of a node's CPU or memory, whichever is requested more, DaemonSets included."""
    node, size = machine.node, machine.node.group.size
    return max(1 - node.cpu_free / size.cpu_millis, 1 - node.memory_free / size.memory_mib)
