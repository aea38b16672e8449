"""The HorizontalPodAutoscaler's controller: what it sets a Deployment's replicas to, look by look.

By Kubernetes 1.36.2, pkg/controller/podautoscaler/horizontal.go, with its feature gates as they are by default.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from simulate.metrics import (
    Pod,
    QueueTarget,
    Readiness,
    Readings,
    Target,
    Tolerances,
    UnknownError,
    by_queue,
    by_resource,
)

#: ``--horizontal-pod-autoscaler-sync-period``: seconds between two looks.
SYNC_SECONDS = 15


class Select(StrEnum):
    """Which of several policies holds."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class Unit(StrEnum):
    """What a policy counts in."""

    PODS = "Pods"
    PERCENT = "Percent"


@dataclass(frozen=True)
class Policy:
    """How far replicas may move in a period."""

    unit: Unit
    value: int
    period_seconds: int


@dataclass(frozen=True)
class Rules:
    """``behavior.scaleUp`` or ``behavior.scaleDown``."""

    policies: Sequence[Policy]
    stabilization_seconds: int
    select: Select = Select.MAX


@dataclass(frozen=True)
class Spec:
    """A HorizontalPodAutoscaler of ``autoscaling/v2`` with a ``behavior``."""

    least: int
    most: int
    targets: Sequence[Target]
    up: Rules
    down: Rules
    tolerances: Tolerances = field(default_factory=Tolerances)
    readiness: Readiness = field(default_factory=Readiness)


@dataclass
class _Changes:
    """Replicas that were added, or taken away, and when."""

    rules: Rules
    made: list[tuple[float, int]] = field(default_factory=list)

    def note(self, now: float, replicas: int) -> None:
        longest = max((policy.period_seconds for policy in self.rules.policies), default=0)
        self.made = [(when, many) for when, many in self.made if when > now - longest]
        self.made.append((now, replicas))

    def within(self, now: float, seconds: int) -> int:
        return sum(replicas for when, replicas in self.made if when > now - seconds)


class Autoscaler:
    """One HorizontalPodAutoscaler, with what its controller remembers of it."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._recommended: list[tuple[float, int]] | None = None
        self._added = _Changes(spec.up)
        self._taken = _Changes(spec.down)

    def sync(
        self, now: float, pods: Sequence[Pod], readings: Readings, *, replicas: int, status_replicas: int
    ) -> int:
        """One look: the replicas that it sets.

        Args:
            pods: all that the Deployment's selector selects.
            replicas: ``spec.replicas`` of the Deployment; 0 turns the autoscaler off.
            status_replicas: ``status.replicas`` of it.
        """
        if self._recommended is None:
            self._recommended = [(now, replicas)]
        spec = self.spec
        if replicas == 0:
            return 0
        if not spec.least <= replicas <= spec.most:
            wanted = min(max(replicas, spec.least), spec.most)
        else:
            proposal = self._proposal(now, pods, readings, replicas, status_replicas)
            if proposal is None:
                return replicas
            wanted = self._limited(now, replicas, self._stabilized(now, replicas, proposal))
        if wanted > replicas:
            self._added.note(now, wanted - replicas)
        elif wanted < replicas:
            self._taken.note(now, replicas - wanted)
        return wanted

    def _proposal(
        self, now: float, pods: Sequence[Pod], readings: Readings, replicas: int, status_replicas: int
    ) -> int | None:
        """The most that a metric asks for; None where nothing is to be done for want of one."""
        spec = self.spec
        proposals = []
        for target in spec.targets:
            try:
                if isinstance(target, QueueTarget):
                    asked = by_queue(
                        target, readings.queue, replicas=status_replicas, tolerances=spec.tolerances
                    )
                else:
                    asked = by_resource(
                        target,
                        readings.resources.get(target.resource, {}),
                        pods,
                        replicas=replicas,
                        tolerances=spec.tolerances,
                        readiness=spec.readiness,
                        now=now,
                    )
            except UnknownError:
                continue
            proposals.append(asked)
        most = max(proposals, default=0)
        some_unknown = len(proposals) < len(spec.targets)
        # Who does not know everything takes nothing away.
        return None if not proposals or (some_unknown and most < replicas) else most

    def _stabilized(self, now: float, replicas: int, proposal: int) -> int:
        """No more than the least, and no less than the most that was proposed of late."""
        up, down = self.spec.up.stabilization_seconds, self.spec.down.stabilization_seconds
        recommended = [(when, many) for when, many in self._recommended or () if when > now - max(up, down)]
        lower = min([proposal, *(many for when, many in recommended if when > now - up)])
        upper = max([proposal, *(many for when, many in recommended if when > now - down)])
        self._recommended = [*recommended, (now, proposal)]
        return min(max(replicas, lower), upper)

    def _limited(self, now: float, replicas: int, wanted: int) -> int:
        """What the policies and the bounds let through."""
        spec = self.spec
        if wanted > replicas:
            limit = self._limit(now, replicas, spec.up, sign=1)
            return min(wanted, spec.most, max(limit, replicas))
        if wanted < replicas:
            limit = self._limit(now, replicas, spec.down, sign=-1)
            return max(wanted, spec.least, min(limit, replicas))
        return wanted

    def _limit(self, now: float, replicas: int, rules: Rules, sign: int) -> int:
        """How far the policies let replicas go; ``sign`` is 1 upwards and -1 downwards."""
        if rules.select is Select.DISABLED:
            return replicas
        limits = []
        for policy in rules.policies:
            added = self._added.within(now, policy.period_seconds)
            taken = self._taken.within(now, policy.period_seconds)
            before = replicas - added + taken
            if policy.unit is Unit.PODS:
                limits.append(before + sign * policy.value)
            else:
                share = before * (1 + sign * policy.value / 100)
                # Upwards rounded up, or one pod would never become two; downwards cut off, as Go converts.
                limits.append(math.ceil(share) if sign > 0 else int(share))
        farthest = (rules.select is Select.MAX) == (sign > 0)
        return max(limits) if farthest else min(limits)
