"""KEDA beside the HorizontalPodAutoscaler that it makes: the first pod, the last one, and a queue that nobody tells.

By KEDA 2.20.2, pkg/scaling/executor/scale_scaledobjects.go and pkg/fallback/fallback.go.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ScaledObject:
    """What a ScaledObject says besides what its HorizontalPodAutoscaler holds."""

    least: int
    """``minReplicaCount``, which may be 0."""
    polling_seconds: int
    cooldown_seconds: int
    """From the last run until the last pods go, where ``least`` is 0."""
    failures: int
    """``fallback.failureThreshold``: more looks in a row that failed, and the fallback holds."""
    fallback_replicas: int
    """With the behavior ``currentReplicasIfHigher``."""


class Keda:
    """One ScaledObject, with what KEDA remembers of it."""

    def __init__(self, scaled: ScaledObject, per_pod: int) -> None:
        """
        Args:
            per_pod: the queue's target, thousandths.
        """
        self._scaled = scaled
        self._per_pod = per_pod
        self._failed = 0
        self._active: float | None = None

    def metric(self, queue: int | None, replicas: int) -> int | None:
        """What the autoscaler is told when it asks: thousandths, or None while it fails."""
        if queue is not None:
            self._failed = 0
            return queue
        self._failed += 1
        if self._failed <= self._scaled.failures:
            return None
        return max(replicas, self._scaled.fallback_replicas) * self._per_pod

    def poll(self, now: float, queue: int | None, replicas: int) -> int:
        """A look of KEDA's own, every ``polling_seconds``: the replicas that it sets."""
        scaled = self._scaled
        if queue is None:
            return replicas
        if queue > 0:
            self._active = now
            return replicas or max(1, scaled.least)
        if replicas < scaled.least:
            return scaled.least
        cold = self._active is None or self._active + scaled.cooldown_seconds < now
        return 0 if scaled.least == 0 and cold else replicas
