"""A trace replayed against a stack: what happens to its pods, nodes and runs, and what that costs.

Controllers look every few seconds, each with its own period, and runs start and end at any moment between. The same
trace and stack give the same outcome.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from simulate.assumptions import METRICS_SECONDS, SCAN_SECONDS
from simulate.autoscaler import SYNC_SECONDS, Autoscaler
from simulate.cluster import Cluster
from simulate.document import ScalingStrategy
from simulate.fleet import Ended, LiveFleet
from simulate.keda import Keda
from simulate.metrics import QueueTarget, Readings, thousandths
from simulate.stack import Fleet, Scaling
from simulate.trace import Trace

#: All periods are multiples of it.
STEP_SECONDS = 5
_HOUR, _DAY = 3600, 86_400


@dataclass
class Series:
    """What was there at each look of the autoscaler; all lists are as long as ``seconds``."""

    seconds: list[int] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    """``spec.replicas``."""
    ready: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    """Runs in the queue."""
    executing: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class AgentOutcome:
    """What became of one agent's load."""

    agent: str
    series: Series
    ended: Sequence[Ended]
    submitted: int
    open: int
    """Runs that wait or execute at the end."""

    @property
    def timed_out(self) -> int:
        return sum(ended.timed_out for ended in self.ended)

    @property
    def pod_hours(self) -> float:
        """Of pods that are ready."""
        return sum(self.series.ready) * SYNC_SECONDS / _HOUR

    def latency(self, share: float) -> float:
        """Seconds from request to end that so many of the runs take at most; 0 where none ended."""
        return quantile([ended.latency for ended in self.ended], share)

    def wait(self, share: float) -> float:
        """Seconds in the queue, likewise."""
        return quantile([ended.waited for ended in self.ended], share)


@dataclass(frozen=True)
class Outcome:
    """What became of the whole."""

    name: str
    """Who scaled."""
    agents: Sequence[AgentOutcome]
    seconds: Sequence[int]
    nodes: Sequence[int]
    """Ready ones, at each look of the autoscaler."""
    without_node: Sequence[int]
    """Pods that waited for a node then."""
    nodes_daily: float
    """USD a day, at the trace's average."""


class Scaler(Protocol):
    """What sets the replicas of one Deployment."""

    def look(self, now: int, live: LiveFleet, replicas: int) -> int:
        """Called every ``STEP_SECONDS``; returns the replicas from now on."""


class Kubernetes:
    """The HorizontalPodAutoscaler of a stack, and KEDA where it has it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._autoscaler = Autoscaler(fleet.spec)
        per_pod = next((t.per_pod for t in fleet.spec.targets if isinstance(t, QueueTarget)), 0)
        self._keda = Keda(fleet.scaled, per_pod) if fleet.scaled else None

    def look(self, now: int, live: LiveFleet, replicas: int) -> int:
        scaled = self._fleet.scaled
        # Pods that answer tell it; where there are no others, those that are ready.
        told = not self._fleet.answers_itself or live.ready(now) > 0
        queue = thousandths(live.open) if told else None
        if self._keda and scaled and now % scaled.polling_seconds == 0:
            replicas = self._keda.poll(now, queue, replicas)
        if now % SYNC_SECONDS:
            return replicas
        metric = self._keda.metric(queue, replicas) if self._keda else None
        return self._autoscaler.sync(
            now,
            live.pods(now),
            Readings(live.samples(), metric),
            replicas=replicas,
            status_replicas=live.replicas,
        )


class Document:
    """The document's ScalingStrategy, with the stack's bounds."""

    def __init__(self, fleet: Fleet) -> None:
        self._strategy = ScalingStrategy(fleet.spec.least, fleet.spec.most)

    def look(self, now: int, live: LiveFleet, replicas: int) -> int:
        if now % SYNC_SECONDS:
            return replicas
        return self._strategy.sync(live.pods(now), live.samples(), len(live.queue), replicas)


#: Who scales, by the name that is shown.
SCALERS: dict[str, Callable[[Fleet], Scaler]] = {
    "this stack": Kubernetes,
    "the document's ScalingStrategy": Document,
}


def replay(
    scaling: Scaling, trace: Trace, name: str, progress: Callable[[float], None] = lambda share: None
) -> Outcome:
    """Replay a trace.

    Args:
        name: one of ``SCALERS``.
        progress: is told which share is done, now and then.
    """
    followed = [fleet.workload for fleet in scaling.fleets]
    cluster = Cluster(scaling.groups, scaling.daemons, followed)
    lives = [LiveFleet(fleet, trace, cluster) for fleet in scaling.fleets]
    scalers = [SCALERS[name](fleet) for fleet in scaling.fleets]
    replicas = [fleet.scaled.least if fleet.scaled else fleet.spec.least for fleet in scaling.fleets]
    _settle(cluster, scaling, lives, replicas)
    series = [Series() for _ in lives]
    seconds: list[int] = []
    nodes: list[int] = []
    without: list[int] = []
    spent = 0.0
    end = int(trace.seconds)
    for now in range(0, end + 1, STEP_SECONDS):
        for live in lives:
            live.reap(now)
        if now % METRICS_SECONDS == 0:
            for live in lives:
                live.scrape(now)
        for index, live in enumerate(lives):
            replicas[index] = scalers[index].look(now, live, replicas[index])
            live.scale(replicas[index], now)
        _move_off_leaving_nodes(cluster, lives, now)
        for live in lives:
            live.place(now)
        waiting = [live.fleet.workload for live in lives for _ in live.waiting()]
        if now % SCAN_SECONDS == 0:
            cluster.scan(waiting, now)
        if now % SYNC_SECONDS == 0:
            seconds.append(now)
            nodes.append(cluster.running(now))
            without.append(len(waiting))
            for live, kept, wanted in zip(lives, series, replicas, strict=True):
                kept.seconds.append(now)
                kept.wanted.append(wanted)
                kept.ready.append(live.ready(now))
                kept.waiting.append(len(live.queue))
                kept.executing.append(live.executing)
            progress(now / end)
        until = min(now + STEP_SECONDS, end)
        spent += cluster.hourly() * (until - now) / _HOUR
        for live in lives:
            live.serve(now, until)
    return Outcome(
        name=name,
        agents=[
            AgentOutcome(live.fleet.agent, kept, live.ended, live.submitted, live.open)
            for live, kept in zip(lives, series, strict=True)
        ],
        seconds=seconds,
        nodes=nodes,
        without_node=without,
        nodes_daily=spent * _DAY / end,
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The value that so many are at or below; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _settle(cluster: Cluster, scaling: Scaling, lives: Sequence[LiveFleet], replicas: Sequence[int]) -> None:
    pods = [live.fleet.workload for live, many in zip(lives, replicas, strict=True) for _ in range(many)]
    machines = iter(cluster.settle(scaling.standing, pods))
    for live, many in zip(lives, replicas, strict=True):
        live.settle([next(machines) for _ in range(many)])


def _move_off_leaving_nodes(cluster: Cluster, lives: Sequence[LiveFleet], now: int) -> None:
    """Drain nodes: one pod of a Deployment at a time, as its PodDisruptionBudget allows."""
    for machine in [m for m in cluster.machines if m.leaves]:
        left = 0
        for live in lives:
            on_it = [server for server in live.servers if server.machine is machine]
            left += len(on_it)
            stays = [server for server in on_it if server.deleted_at is None]
            if stays and live.ready(now) == live.replicas:
                live.delete(stays[0], now)
                # The ReplicaSet makes another in its place.
                live.scale(live.replicas + 1, now)
        cluster.remove_if_empty(machine, left)
