"""Stacks of one agent, for tests of what happens to its pods and runs."""

from dataclasses import replace

from preview.cost import Range
from simulate.assumptions import UNNEEDED_SECONDS, UNNEEDED_SHARE
from simulate.autoscaler import Policy, Rules, Spec, Unit
from simulate.cluster import Group
from simulate.keda import ScaledObject
from simulate.metrics import QueueTarget, ResourceTarget, Target
from simulate.stack import Fleet, Scaling
from simulate.trace import Row, Trace
from stacks.instance_types import NodeSize
from stacks.packing import NodeGroup, Workload

WORKLOAD = Workload(name="support", cpu_millis=500, memory_mib=1024, pods=1)


def fleet(
    least: int = 1, most: int = 10, places: int = 100, queue: int | None = None, **more: object
) -> Fleet:
    targets: list[Target] = [ResourceTarget("cpu", 70), ResourceTarget("memory", 80)]
    scaled = None
    if queue is not None:
        targets.append(QueueTarget(queue * 1000))
        scaled = ScaledObject(
            least=least, polling_seconds=5, cooldown_seconds=300, failures=3, fallback_replicas=max(1, least)
        )
    made = Fleet(
        agent="support",
        deployment="support",
        workload=WORKLOAD,
        requests={"cpu": 500, "memory": 1024 * 2**20 * 1000},
        cpu_limit=1.0,
        places=places,
        run_timeout=600,
        grace_seconds=640,
        spec=Spec(
            least=max(1, least),
            most=most,
            targets=targets,
            up=Rules([Policy(Unit.PODS, 2, 60)], 30),
            down=Rules([Policy(Unit.PODS, 1, 60)], 300),
        ),
        scaled=scaled,
        answers_itself=least > 0,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def scaling(of: Fleet, least: int = 0, most: int = 0) -> Scaling:
    """On nodes for three of its pods each; without a number of them, on nodes that have always room."""
    size = NodeSize("test.large", vcpus=2, memory_gib=8, cpu_millis=1900, memory_mib=8000, pods=10)
    nodes = NodeGroup(name="general", size=size, nodes=most, zones=2)
    group = Group(nodes, least, hourly=0.1, unneeded_seconds=UNNEEDED_SECONDS, unneeded_share=UNNEEDED_SHARE)
    return Scaling(
        stack="test",
        fleets=[of],
        standing=[],
        daemons=[],
        groups=[group] if most else [],
        other_daily=Range(),
        notes=[],
    )


def trace(*rows: tuple[float, float], run: float = 20, cpu: float = 0.8, seconds: float = 3600) -> Trace:
    """Rates a minute by second."""
    made = [Row(second, rate, run, cpu, 4, "") for second, rate in [*rows, (seconds, 0)]]
    return Trace("test", made)
