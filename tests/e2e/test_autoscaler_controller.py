"""The replay's autoscaler beside the real one, Kubernetes' own controller, fed with the same metrics.

The test stands in for the kubelet and for the metrics APIs. Whenever the controller asks for metrics, the replay's
autoscaler is given the same pods and samples, and what the controller then sets is compared. Its periods are shortened,
and so are those of the stack's own autoscaler. Whatever is compared with a clock lies at odd seconds, and the looks
half a second after even ones, so that no delay of this machine moves a look over a limit.
"""

import dataclasses
import itertools
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from sandbox.__main__ import default_cache
from sandbox.binaries import build
from sandbox.cluster import controlplane
from sandbox.cluster.api import Api
from sandbox.cluster.controlplane import ControlPlane, Place
from sandbox.cluster.pki import Pki
from sandbox.common.state import State
from simulate.autoscaler import Autoscaler, Policy, Rules, Spec
from simulate.metrics import Phase, Pod, QueueTarget, Readiness, Readings, ResourceTarget, Sample
from simulate.stack import scaling_of
from tests.e2e.metrics_apis import served
from tests.preview.projects import plan_of

# For the night: two hundred looks of the real controller, two seconds apart.
pytestmark = [pytest.mark.e2e, pytest.mark.nightly, pytest.mark.timeout(900)]

READINESS = Readiness(cpu_initialization_seconds=11, initial_readiness_seconds=3)
FLAGS = (
    # A look is held back until half a second after the next even one.
    "--horizontal-pod-autoscaler-sync-period=1s",
    f"--horizontal-pod-autoscaler-cpu-initialization-period={READINESS.cpu_initialization_seconds}s",
    f"--horizontal-pod-autoscaler-initial-readiness-delay={READINESS.initial_readiness_seconds}s",
)
STABILISED_UP, STABILISED_DOWN, PERIOD = 3, 9, 5
WINDOW = 5
CPU, MEMORY = 500, 1000 * 1000 * 1000
"""What a pod requests: millicores, and thousandths of a byte."""


@dataclass(frozen=True)
class Look:
    """What the metrics say at one look of the controller."""

    cpu: int | None = None
    """Percent of the requests, of every pod; None: the API fails."""
    memory: int | None = 10
    missing: int = 0
    """So many pods have no sample."""
    queue: int | None = None
    starting: bool = False
    """Whether pods that are new by now stay unready."""


def _times(look: Look, times: int) -> list[Look]:
    return [look] * times


UP_AND_DOWN = [
    *_times(Look(cpu=70), 2),
    # Tolerated on both sides.
    *_times(Look(cpu=77), 3),
    *_times(Look(cpu=64), 2),
    # Up, first with pods that are not ready for a while, then with those that are so since a moment ago.
    *_times(Look(cpu=140, starting=True), 5),
    *_times(Look(cpu=95), 8),
    # A pod without a sample uses nothing on the way up: the first is tolerated then, the second is not.
    *_times(Look(cpu=85, missing=1), 5),
    *_times(Look(cpu=100, missing=1), 5),
    *_times(Look(cpu=200), 8),
    # On the way down it uses all of its request, and no pod goes.
    *_times(Look(cpu=50, missing=4), 9),
    # The memory asks for more than the CPU.
    *_times(Look(cpu=30, memory=110), 3),
    # Who does not know everything takes nothing away, and who knows nothing does nothing.
    *_times(Look(cpu=10, memory=None), 7),
    *_times(Look(cpu=None, memory=None), 3),
    # Down, as stabilisation and policies let them.
    *_times(Look(cpu=10), 42),
]

QUEUE = [
    *_times(Look(cpu=10, queue=20), 3),
    # A tenth more is tolerated, and more is not.
    *_times(Look(cpu=10, queue=22), 3),
    *_times(Look(cpu=10, queue=23), 4),
    *_times(Look(cpu=10, queue=200), 18),
    # A tenth less is, too.
    *_times(Look(cpu=10, queue=110), 9),
    *_times(Look(cpu=10, queue=None), 7),
    *_times(Look(cpu=200, queue=None), 2),
    *_times(Look(cpu=10, queue=41), 8),
    *_times(Look(cpu=10, queue=0), 42),
]


class _ControlPlane(ControlPlane):
    """One whose controller looks more often."""

    def _run(self, place: Place, role: str, arguments: Sequence[str]) -> Any:
        more = FLAGS if role == "kube-controller-manager" else ()
        return super()._run(place, role, [*arguments, *more])


@dataclass
class Difference:
    """The real controller set another number."""

    look: int
    at: Look
    before: int
    ours: int
    real: int


@dataclass
class Watched:
    """A Deployment whose autoscaler is watched."""

    api: Api
    client: httpx.Client
    namespace: str
    looks: Sequence[Look]
    spec: Spec
    autoscaler: Autoscaler = field(init=False)
    series: list[int] = field(default_factory=list)
    """The replicas before each look."""
    last: float = 0
    """When it was looked at last."""
    expected: int | None = None
    differences: list[Difference] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    answers: dict[str, Any] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.autoscaler = Autoscaler(self.spec)

    def answer(self, what: str) -> dict[str, Any] | None:
        """One of the questions of a look: ``pods``, twice, or ``queue``."""
        with self.lock:
            kind = what
            if what == "pods":
                kind = "cpu" if "cpu" not in self.answered else "memory"
            if not self.answered:
                try:
                    self._look()
                except BaseException as error:
                    self.errors.append(error)
                    self.done.set()
                    raise
            self.answered.add(kind)
            answer: dict[str, Any] | None = self.answers.get(kind)
            if len(self.answered) == len(self.spec.targets):
                self.answered = set()
            return answer

    def _look(self) -> None:
        number = len(self.series)
        look = self.looks[min(number, len(self.looks) - 1)]
        deployment, pods = self._settled(look)
        now = self.last = _wait_for_the_time(self.last)
        replicas = deployment["spec"]["replicas"]
        if self.expected is not None and replicas != self.expected:
            before = self.looks[number - 1]
            self.differences.append(Difference(number - 1, before, self.series[-1], self.expected, replicas))
        if number == len(self.looks):
            self.done.set()
        self.series.append(replicas)
        seen = [_seen(pod) for pod in pods]
        samples = _samples(look, [pod.name for pod in seen], now)
        self.answers = {
            **{resource: self._pod_metrics(look, of) for resource, of in samples.items()},
            "queue": self._queue(look, now),
        }
        self.expected = self.autoscaler.sync(
            now,
            seen,
            Readings(samples, None if look.queue is None else look.queue * 1000),
            replicas=replicas,
            status_replicas=deployment["status"]["replicas"],
        )

    def _settled(self, look: Look) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The Deployment, once it has as many pods as it wants, and those, with what a kubelet says of them."""
        deadline = time.monotonic() + 60
        while True:
            deployment = self.api.get("apps/v1", "Deployment", self.namespace, "support") or {}
            pods = self.api.list("v1", "Pod", self.namespace)
            told = [self._tell(pod, look) for pod in pods]
            wanted = deployment["spec"]["replicas"]
            settled = len(pods) == wanted == deployment.get("status", {}).get("replicas")
            if settled and not any(told):
                return deployment, sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))
            assert time.monotonic() < deadline, f"{len(pods)} of {wanted} pods"
            time.sleep(0.05)

    def _tell(self, pod: Mapping[str, Any], look: Look) -> bool:
        """Say of a pod what its kubelet would; whether that was new."""
        status = pod["status"]
        ready = _condition(pod)
        if status.get("startTime") and (ready or look.starting):
            return False
        now = _text(time.time())
        condition = {"type": "Ready", "status": str(not look.starting), "lastTransitionTime": now}
        told = {"phase": "Running", "startTime": status.get("startTime") or now, "conditions": [condition]}
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}/status"
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        self.client.patch(path, json={"status": told}, headers=headers).raise_for_status()
        return True

    def _pod_metrics(self, look: Look, samples: Mapping[str, Sample]) -> dict[str, Any] | None:
        """One answer for CPU and memory: the controller asks for both in the same words."""
        if look.cpu is None:
            return None
        return {
            "kind": "PodMetricsList",
            "apiVersion": "metrics.k8s.io/v1beta1",
            "metadata": {},
            "items": [
                {
                    "metadata": {"name": name, "namespace": self.namespace},
                    "timestamp": _text(sample.timestamp),
                    "window": f"{sample.window:.0f}s",
                    "containers": [{"name": "agent", "usage": _usage(look)}],
                }
                for name, sample in (samples or _samples(look, [], 0)["cpu"]).items()
            ],
        }

    def _queue(self, look: Look, now: float) -> dict[str, Any] | None:
        if look.queue is None:
            return None
        value = {"metricName": "queue", "metricLabels": {}, "timestamp": _text(now), "value": str(look.queue)}
        return {
            "kind": "ExternalMetricValueList",
            "apiVersion": "external.metrics.k8s.io/v1beta1",
            "metadata": {},
            "items": [value],
        }


def _wait_for_the_time(last: float) -> float:
    """Half a second after an even one, but not that of the last look again."""
    while (now := time.time()) < last + 1 or not 0.4 <= now % 2 <= 0.6:
        time.sleep(0.02)
    return now


def _samples(look: Look, pods: Sequence[str], now: float) -> dict[str, dict[str, Sample]]:
    """By resource and pod."""
    if look.cpu is None:
        return {"cpu": {}, "memory": {}}
    measured = pods[look.missing :]
    values = {"cpu": look.cpu * CPU // 100}
    if look.memory is not None:
        values["memory"] = look.memory * MEMORY // 100
    at = float(int(now))
    return {
        resource: {name: Sample(values[resource], at, WINDOW) for name in measured if resource in values}
        for resource in ("cpu", "memory")
    }


def _usage(look: Look) -> dict[str, str]:
    usage = {"cpu": f"{(look.cpu or 0) * CPU // 100}m"}
    return usage if look.memory is None else {**usage, "memory": str(look.memory * MEMORY // 100 // 1000)}


def _condition(pod: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Its readiness, once it is ready."""
    conditions = pod["status"].get("conditions") or ()
    return next((c for c in conditions if c["type"] == "Ready" and c["status"] == "True"), None)


def _seen(pod: Mapping[str, Any]) -> Pod:
    status = pod["status"]
    (condition,) = [c for c in status["conditions"] if c["type"] == "Ready"]
    return Pod(
        pod["metadata"]["name"],
        Phase(status["phase"]),
        {"cpu": CPU, "memory": MEMORY},
        started=_seconds(status["startTime"]),
        ready=condition["status"] == "True",
        ready_changed=_seconds(condition["lastTransitionTime"]),
        deleting="deletionTimestamp" in pod["metadata"],
    )


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _spec(*, queue: bool) -> Spec:
    """The stack's own, with shorter times; with a queue, as KEDA makes it."""
    (spec,) = [fleet.spec for fleet in scaling_of(plan_of("prod")).fleets if fleet.agent == "support"]
    shorter = {30: STABILISED_UP, 300: STABILISED_DOWN, 60: PERIOD}

    def shortened(rules: Rules) -> Rules:
        policies = [Policy(p.unit, p.value, shorter[p.period_seconds]) for p in rules.policies]
        return dataclasses.replace(
            rules, policies=policies, stabilization_seconds=shorter[rules.stabilization_seconds]
        )

    targets = [*spec.targets, *([QueueTarget(10_000)] if queue else [])]
    return dataclasses.replace(
        spec,
        targets=targets,
        up=shortened(spec.up),
        down=shortened(spec.down),
        readiness=READINESS,
        least=2,
        most=12,
    )


def _objects(namespace: str, spec: Spec) -> Iterator[dict[str, Any]]:
    labels = {"app.kubernetes.io/name": "support"}
    metadata = {"name": "support", "namespace": namespace}
    requests = {"cpu": f"{CPU}m", "memory": str(MEMORY // 1000)}
    container = {"name": "agent", "image": "agent", "resources": {"requests": requests}}
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    yield {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata,
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "support"},
            "minReplicas": spec.least,
            "maxReplicas": spec.most,
            "metrics": [_metric(target) for target in spec.targets],
            "behavior": {"scaleUp": _behavior(spec.up), "scaleDown": _behavior(spec.down)},
        },
    }


def _metric(target: ResourceTarget | QueueTarget) -> dict[str, Any]:
    if isinstance(target, QueueTarget):
        average = {"type": "AverageValue", "averageValue": str(target.per_pod // 1000)}
        return {"type": "External", "external": {"metric": {"name": "queue"}, "target": average}}
    utilization = {"type": "Utilization", "averageUtilization": target.percent}
    return {"type": "Resource", "resource": {"name": target.resource, "target": utilization}}


def _behavior(rules: Rules) -> dict[str, Any]:
    return {
        "stabilizationWindowSeconds": rules.stabilization_seconds,
        "selectPolicy": rules.select.value,
        "policies": [
            {"type": p.unit.value, "value": p.value, "periodSeconds": p.period_seconds}
            for p in rules.policies
        ],
    }


def _available(api: Api) -> bool:
    for group in ("metrics.k8s.io", "external.metrics.k8s.io"):
        live = api.get("apiregistration.k8s.io/v1", "APIService", None, f"v1beta1.{group}") or {}
        conditions = live.get("status", {}).get("conditions") or [{}]
        if conditions[0].get("status") != "True":
            return False
    return True


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Watched]]:
    """Both series, looked at to their end by one controller."""
    binaries = build.find_or_build(default_cache())
    state = State(tmp_path_factory.mktemp("controller"), "dev")
    state.create()
    try:
        endpoint = _ControlPlane(state, binaries.kubernetes, binaries.manifests).ensure()
        headers = {"Authorization": f"Bearer {endpoint.token}"}
        context = ssl.create_default_context(cafile=endpoint.ca_file)
        with (
            Api(endpoint) as api,
            httpx.Client(
                base_url=endpoint.server, verify=context, headers=headers, trust_env=False
            ) as client,
        ):
            found = {
                "resources": Watched(api, client, "resources", UP_AND_DOWN, _spec(queue=False)),
                "queue": Watched(api, client, "queue", QUEUE, _spec(queue=True)),
            }

            def answer(group: str, namespace: str, name: str) -> dict[str, Any] | None:
                return found[namespace].answer("queue" if group.startswith("external") else name)

            with served(api, Pki(state.pki), answer):
                deadline = time.monotonic() + 60
                while not _available(api):
                    assert time.monotonic() < deadline, "the API server does not reach the metrics APIs"
                    time.sleep(0.2)
                for each in found.values():
                    for manifest in _objects(each.namespace, each.spec):
                        api.apply(manifest, force=True)
                for each in found.values():
                    assert each.done.wait(400), f"{len(each.series)} of {len(each.looks)} looks"
                    if each.errors:
                        raise each.errors[0]
                yield found
    finally:
        controlplane.stop(state)


def _went_up_and_down(series: Sequence[int]) -> bool:
    """By two and by one, and back to the fewest."""
    steps = {after - before for before, after in itertools.pairwise(series)}
    return {2, 0, -1} <= steps and min(series[series.index(max(series)) :]) == 2


def test_the_real_controller_sets_the_same_replicas_at_every_look(watched: dict[str, Watched]) -> None:
    series = watched["resources"]
    assert series.differences == []
    assert _went_up_and_down(series.series), series.series


def test_it_sets_the_same_replicas_for_a_queue_as_keda_hands_it_on(watched: dict[str, Watched]) -> None:
    series = watched["queue"]
    assert series.differences == []
    assert _went_up_and_down(series.series), series.series
