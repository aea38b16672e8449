"""How many replicas one metric asks for, as the HorizontalPodAutoscaler's controller reckons it.

By Kubernetes 1.36.2, pkg/controller/podautoscaler (replica_calculator.go, metrics/utilization.go). Amounts are whole
thousandths of their unit (millicores, thousandths of a byte, thousandths of a run), times are seconds on any one clock.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

_THOUSAND = 1000


class Phase(StrEnum):
    """Of a pod, as its status says it."""

    PENDING = "Pending"
    RUNNING = "Running"
    FAILED = "Failed"


@dataclass(frozen=True)
class Pod:
    """What the controller knows of a pod."""

    name: str
    phase: Phase
    requests: Mapping[str, int]
    """By resource, of all its containers that go on running: millicores, thousandths of a byte. What one of them does
    not request is missing."""
    started: float | None = None
    """``status.startTime``."""
    ready: bool | None = None
    """The condition ``Ready``; None while it has none."""
    ready_changed: float = 0
    """When that last changed."""
    deleting: bool = False


@dataclass(frozen=True)
class Sample:
    """What a pod used of a resource, on average over a window."""

    value: int
    timestamp: float
    """The window's end."""
    window: float


@dataclass(frozen=True)
class ResourceTarget:
    """``type: Resource`` with a target of ``type: Utilization``."""

    resource: str
    percent: int
    """Of the requests, on average."""


@dataclass(frozen=True)
class QueueTarget:
    """``type: External`` with a target of ``type: AverageValue``."""

    per_pod: int
    """Thousandths."""


Target = ResourceTarget | QueueTarget


@dataclass(frozen=True)
class Readings:
    """What the metrics APIs answer at one moment."""

    resources: Mapping[str, Mapping[str, Sample]]
    """By resource, then by pod; a pod without a sample is missing."""
    queue: int | None = None
    """The external metric, thousandths; None while nobody tells it."""


@dataclass(frozen=True)
class Tolerances:
    """How far usage may be from its target before anything is done, as shares of one."""

    up: float = 0.1
    down: float = 0.1

    def hold(self, ratio: float) -> bool:
        """Whether a ratio of usage to target is too near to one to act on."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True)
class Readiness:
    """Which samples of a young pod do not count."""

    cpu_initialization_seconds: float = 300
    """``--horizontal-pod-autoscaler-cpu-initialization-period``."""
    initial_readiness_seconds: float = 30
    """``--horizontal-pod-autoscaler-initial-readiness-delay``."""


class UnknownError(Exception):
    """The metric cannot be told now."""


def by_resource(
    target: ResourceTarget,
    samples: Mapping[str, Sample],
    pods: Sequence[Pod],
    *,
    replicas: int,
    tolerances: Tolerances,
    readiness: Readiness,
    now: float,
) -> int:
    """The replicas that the use of a resource asks for.

    Args:
        replicas: ``spec.replicas`` of what is scaled.

    Raises:
        UnknownError: no pod that counts has a sample.
    """
    if not pods or not samples:
        raise UnknownError(f"there are no samples of {target.resource}")
    if any(target.resource not in pod.requests for pod in pods):
        raise UnknownError(f"a container of a pod requests no {target.resource}")
    groups = _group(target.resource, samples, pods, readiness, now)
    requests = {pod.name: pod.requests[target.resource] for pod in pods}
    used = {
        name: sample.value
        for name, sample in samples.items()
        if name not in groups.unready and name not in groups.ignored
    }
    if not used:
        raise UnknownError(f"no pod that counts has a sample of {target.resource}")
    ratio = _ratio(used, requests, target)
    up_with_unready = bool(groups.unready) and ratio > 1
    if not up_with_unready and not groups.missing:
        return replicas if tolerances.hold(ratio) else math.ceil(ratio * groups.ready)

    # What is not known is taken to speak against the change: all of its request on the way down, nothing on the way up.
    if ratio < 1:
        least = max(100, target.percent)
        used |= {name: requests[name] * least // 100 for name in groups.missing}
    elif ratio > 1:
        used |= dict.fromkeys(groups.missing, 0)
    if up_with_unready:
        used |= dict.fromkeys(groups.unready, 0)
    guarded = _ratio(used, requests, target)
    if tolerances.hold(guarded) or (ratio < 1 < guarded) or (guarded < 1 < ratio):
        return replicas
    wanted = math.ceil(guarded * len(used))
    turns = (guarded < 1 and wanted > replicas) or (guarded > 1 and wanted < replicas)
    return replicas if turns else wanted


def by_queue(target: QueueTarget, queue: int | None, *, replicas: int, tolerances: Tolerances) -> int:
    """The replicas that the length of a queue asks for.

    Args:
        replicas: ``status.replicas`` of what is scaled.

    Raises:
        UnknownError: nobody tells it.
    """
    if queue is None:
        raise UnknownError("nobody tells how long the queue is")
    whole = target.per_pod * replicas
    # Without pods a ratio is infinite, or no number at all, and neither is within the tolerances.
    if whole and tolerances.hold(queue / whole):
        return replicas
    return math.ceil(queue / target.per_pod)


@dataclass(frozen=True)
class _Groups:
    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


def _group(
    resource: str, samples: Mapping[str, Sample], pods: Sequence[Pod], readiness: Readiness, now: float
) -> _Groups:
    ready = 0
    unready, missing, ignored = set(), set(), set()
    for pod in pods:
        if pod.deleting or pod.phase is Phase.FAILED:
            ignored.add(pod.name)
        elif pod.phase is Phase.PENDING:
            unready.add(pod.name)
        elif pod.name not in samples:
            missing.add(pod.name)
        elif resource == "cpu" and _starts(pod, samples[pod.name], readiness, now):
            unready.add(pod.name)
        else:
            ready += 1
    return _Groups(ready, frozenset(unready), frozenset(missing), frozenset(ignored))


def _starts(pod: Pod, sample: Sample, readiness: Readiness, now: float) -> bool:
    """Whether a pod's CPU is that of its start, and says nothing of its load."""
    if pod.ready is None or pod.started is None:
        return True
    if pod.started + readiness.cpu_initialization_seconds > now:
        return not pod.ready or sample.timestamp < pod.ready_changed + sample.window
    return not pod.ready and pod.started + readiness.initial_readiness_seconds > pod.ready_changed


def _ratio(used: Mapping[str, int], requests: Mapping[str, int], target: ResourceTarget) -> float:
    """Of the use to the target, by whole percents. Samples of pods that are gone by now do not count."""
    requested = sum(requests[name] for name in used if name in requests)
    if not requested:
        raise UnknownError(f"no sample of {target.resource} is of a pod that requests it")
    return (
        sum(value for name, value in used.items() if name in requests) * 100 // requested
    ) / target.percent


def thousandths(amount: float) -> int:
    """An amount as the metrics APIs give it."""
    return round(amount * _THOUSAND)
