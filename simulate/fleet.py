"""The pods of an agent and the runs that they execute, from one moment to the next.

Between two changes of a pod all of its runs go on at the same speed, so that each pod has a clock of its own: a run
that would take a minute alone ends when that clock has moved by a minute. Nothing is stepped through second by second.
"""

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from simulate.assumptions import (
    CONTAINER_SECONDS,
    IMAGE_SECONDS,
    METRICS_SECONDS,
    POD_MIB,
    PROCESS_SECONDS,
    SHAPE,
)
from simulate.cluster import Cluster, Machine
from simulate.metrics import Phase, Pod, Sample, thousandths
from simulate.stack import Fleet
from simulate.trace import Trace

_LONG_AGO = -86_400.0
_MINUTE = 60
_MIB = 2**20


@dataclass(eq=False)
class Run:
    """One run."""

    arrived: float
    work: float
    """Seconds that are left of it, alone."""
    cores: float
    """CPU that it uses at full speed."""
    memory_mib: float
    started: float | None = None
    """When it got a place first."""
    ends_at: float = math.inf
    """By its pod's clock."""
    placed: float = 0
    ended: bool = False


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    at: float
    latency: float
    """From its request to its end."""
    waited: float
    """For a place."""
    timed_out: bool


@dataclass(eq=False)
class Server:
    """A pod."""

    name: str
    fleet: Fleet
    machine: Machine | None = None
    placed_at: float | None = None
    runs_at: float = math.inf
    """When its process starts."""
    ready_at: float = math.inf
    deleted_at: float | None = None
    clock: float = 0
    at: float = 0
    """When its clock was last moved."""
    cores: float = 0
    memory_mib: float = 0
    used: float = 0
    """CPU seconds."""
    scraped: float | None = None
    scraped_used: float = 0
    sample: dict[str, Sample] = field(default_factory=dict)
    ends: list[tuple[float, int, Run]] = field(default_factory=list)
    runs: set[Run] = field(default_factory=set)
    changes: int = 0
    """How often its speed may have changed."""
    order: deque[Run] = field(default_factory=deque)

    def takes_runs(self, now: float) -> bool:
        return self.ready_at <= now and self.deleted_at is None and len(self.runs) < self.fleet.places

    @property
    def speed(self) -> float:
        """1, or less where its runs ask for more CPU than its limit."""
        limit = self.fleet.cpu_limit
        return 1.0 if limit is None or self.cores <= limit else limit / self.cores

    def advance(self, now: float) -> None:
        passed = now - self.at
        self.clock += passed * self.speed
        self.used += passed * self.cores * self.speed
        self.at = now

    def next_end(self) -> float:
        while self.ends and self.ends[0][2].ends_at != self.ends[0][0]:
            heapq.heappop(self.ends)
        return self.at + (self.ends[0][0] - self.clock) / self.speed if self.ends else math.inf

    def start(self, run: Run, now: float, number: int) -> None:
        self.advance(now)
        self.changes += 1
        run.placed = now
        run.started = now if run.started is None else run.started
        run.ends_at = self.clock + run.work
        self.runs.add(run)
        self.order.append(run)
        self.cores += run.cores
        self.memory_mib += run.memory_mib
        heapq.heappush(self.ends, (run.ends_at, number, run))

    def stop(self, run: Run, now: float) -> None:
        self.advance(now)
        self.changes += 1
        run.work = max(0.0, run.ends_at - self.clock)
        run.ends_at = math.nan
        self.runs.discard(run)
        # Sums of many small numbers drift; an idle pod uses nothing.
        self.cores = self.cores - run.cores if self.runs else 0.0
        self.memory_mib = self.memory_mib - run.memory_mib if self.runs else 0.0


class LiveFleet:
    """An agent's pods, its queue, and what became of its runs."""

    def __init__(self, fleet: Fleet, trace: Trace, cluster: Cluster) -> None:
        self.fleet = fleet
        self.servers: list[Server] = []
        self.queue: deque[Run] = deque()
        self.ended: list[Ended] = []
        self.submitted = 0
        self._cluster = cluster
        self._numbers = itertools.count(1)
        self._upcoming: list[tuple[float, int, int, Server]] = []
        """The next end of a run of each pod, by ``changes`` at that time; those of other ones are void."""
        self._arrivals = _arrivals(fleet.agent, trace)
        self._next: Run | None = next(self._arrivals, None)

    @property
    def open(self) -> int:
        """Runs that wait or execute: what KEDA reads."""
        return len(self.queue) + self.executing

    @property
    def executing(self) -> int:
        return sum(len(server.runs) for server in self.servers)

    @property
    def replicas(self) -> int:
        """``status.replicas``: pods that are not being deleted."""
        return sum(server.deleted_at is None for server in self.servers)

    def ready(self, now: float) -> int:
        return sum(server.deleted_at is None and server.ready_at <= now for server in self.servers)

    def settle(self, machines: Sequence[Machine | None]) -> None:
        """The pods that are there at the beginning, ready for long."""
        for machine in machines:
            server = self._new()
            server.machine, server.placed_at = machine, _LONG_AGO
            server.runs_at = server.ready_at = _LONG_AGO + CONTAINER_SECONDS + PROCESS_SECONDS
            if machine:
                machine.has_image = True

    def scale(self, replicas: int, now: float) -> None:
        """Make and delete pods as a Deployment's ReplicaSet does."""
        live = [server for server in self.servers if server.deleted_at is None]
        for _ in range(replicas - len(live)):
            self._new()
        if replicas < len(live):
            crowd: dict[Machine, int] = {}
            for server in live:
                if server.machine:
                    crowd[server.machine] = crowd.get(server.machine, 0) + 1
            # Those without a node first, those not ready, those with the most others on their node, the youngest.
            ranked = sorted(
                live,
                key=lambda s: (
                    s.placed_at is not None,
                    s.ready_at <= now,
                    -crowd.get(s.machine, 0) if s.machine else 0,
                    -s.ready_at if s.ready_at <= now else 0,
                ),
            )
            for server in ranked[: len(live) - replicas]:
                self.delete(server, now)

    def delete(self, server: Server, now: float) -> None:
        """Ask a pod to stop: it takes no more runs, and ends those that it has."""
        server.deleted_at = now

    def place(self, now: float) -> None:
        """Put pods on nodes, as far as there is room."""
        for server in self.waiting():
            machine = self._cluster.place(self.fleet.workload, now)
            if machine is None and self._cluster.groups:
                return
            server.machine, server.placed_at = machine, now
            pulled = machine is None or machine.has_image
            server.runs_at = now + CONTAINER_SECONDS + (0 if pulled else IMAGE_SECONDS)
            server.ready_at = server.runs_at + PROCESS_SECONDS
            server.at = now
            if machine:
                machine.has_image = True

    def waiting(self) -> list[Server]:
        """Pods without a node."""
        return [server for server in self.servers if server.placed_at is None and server.deleted_at is None]

    def reap(self, now: float) -> None:
        """End runs that take too long, and pods that are asked to stop and have no runs any more."""
        for server in self.servers:
            while server.order and (server.order[0].ended or server.order[0] not in server.runs):
                server.order.popleft()
            while server.order and server.order[0].placed + self.fleet.run_timeout <= now:
                run = server.order.popleft()
                if run in server.runs:
                    self._end(server, run, now, timed_out=True)
        for server in [s for s in self.servers if s.deleted_at is not None]:
            if server.runs and now - (server.deleted_at or 0) >= self.fleet.grace_seconds:
                # Others go on with them, from their last checkpoints.
                for run in sorted(server.runs, key=lambda run: run.arrived, reverse=True):
                    self._stop(server, run, now)
                    self.queue.appendleft(run)
            if not server.runs:
                self.servers.remove(server)
                if server.machine:
                    server.machine.node.give(self.fleet.workload)

    def serve(self, now: float, until: float) -> None:
        """Requests come, runs start and end, from ``now`` until before ``until``."""
        self._hand_out(now)
        while True:
            while self._upcoming and self._upcoming[0][2] != self._upcoming[0][3].changes:
                heapq.heappop(self._upcoming)
            arrival = self._next.arrived if self._next else math.inf
            end = self._upcoming[0][0] if self._upcoming else math.inf
            if min(arrival, end) >= until:
                return
            if end <= arrival:
                server = self._upcoming[0][3]
                self._end(server, server.ends[0][2], end, timed_out=False)
                if self.queue and server.takes_runs(end):
                    self._start(server, end)
            elif self._next is not None:
                self.submitted += 1
                self.queue.append(self._next)
                self._next = next(self._arrivals, None)
                free = [server for server in self.servers if server.takes_runs(arrival)]
                # Where more than this one wait, there is no place for it either.
                if free and len(self.queue) == 1:
                    self._start(min(free, key=lambda server: len(server.runs)), arrival)

    def scrape(self, now: float) -> None:
        """metrics-server looks at what pods use."""
        for server in self.servers:
            if server.runs_at > now:
                continue
            server.advance(now)
            if server.scraped is not None and server.scraped < now:
                share = (server.used - server.scraped_used) / (now - server.scraped)
                memory = (POD_MIB + server.memory_mib) * _MIB
                server.sample = {
                    "cpu": Sample(thousandths(share), now, METRICS_SECONDS),
                    "memory": Sample(thousandths(memory), now, METRICS_SECONDS),
                }
            server.scraped, server.scraped_used = now, server.used

    def pods(self, now: float) -> list[Pod]:
        """As the autoscaler sees them."""
        return [self._seen(server, now) for server in self.servers]

    def samples(self) -> dict[str, dict[str, Sample]]:
        """By resource and pod."""
        return {
            resource: {s.name: s.sample[resource] for s in self.servers if resource in s.sample}
            for resource in ("cpu", "memory")
        }

    def _seen(self, server: Server, now: float) -> Pod:
        ready = server.ready_at <= now
        return Pod(
            server.name,
            Phase.RUNNING if server.runs_at <= now else Phase.PENDING,
            self.fleet.requests,
            started=server.placed_at,
            ready=ready,
            ready_changed=server.ready_at if ready else server.placed_at or now,
            deleting=server.deleted_at is not None,
        )

    def _new(self) -> Server:
        server = Server(f"{self.fleet.deployment}-{next(self._numbers)}", self.fleet)
        self.servers.append(server)
        return server

    def _hand_out(self, now: float) -> None:
        """Give what waits to the pods with the fewest runs."""
        free = [(len(s.runs), number, s) for number, s in enumerate(self.servers) if s.takes_runs(now)]
        heapq.heapify(free)
        while self.queue and free:
            runs, number, server = free[0]
            self._start(server, now)
            if runs + 1 < self.fleet.places:
                heapq.heapreplace(free, (runs + 1, number, server))
            else:
                heapq.heappop(free)

    def _start(self, server: Server, at: float) -> None:
        server.start(self.queue.popleft(), at, next(self._numbers))
        self._foresee(server)

    def _stop(self, server: Server, run: Run, at: float) -> None:
        server.stop(run, at)
        self._foresee(server)

    def _foresee(self, server: Server) -> None:
        heapq.heappush(self._upcoming, (server.next_end(), next(self._numbers), server.changes, server))

    def _end(self, server: Server, run: Run, at: float, *, timed_out: bool) -> None:
        self._stop(server, run, at)
        run.ended = True
        waited = (run.started or at) - run.arrived
        self.ended.append(Ended(at, at - run.arrived, waited, timed_out))


def _arrivals(agent: str, trace: Trace) -> Iterator[Run]:
    """The runs that are asked of an agent, in their order; the same ones each time."""
    draws = random.Random(f"{trace.name} {agent}")  # noqa: S311 (no secret is drawn)
    for row, end in trace.spans(agent):
        at = row.second
        while row.requests_per_minute > 0:
            at += draws.expovariate(row.requests_per_minute / _MINUTE)
            if at >= end:
                break
            length = draws.gammavariate(SHAPE, row.run_seconds / SHAPE)
            yield Run(at, length, row.cpu_seconds / row.run_seconds, row.memory_mib)
