"""When an object has become what its manifest asks for."""

from typing import Any

import pytest

from sandbox.cluster.readiness import Phase, explain, judge
from tests.sandbox.fakes import FakeApi


def condition(type_: str, status: str = "True", **more: str) -> dict[str, Any]:
    return {"conditions": [{"type": type_, "status": status, **more}]}


def live(kind: str, status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"name": "x", "namespace": "a", "generation": 2},
        "spec": spec,
        "status": status,
    }


def phase(obj: dict[str, Any], api: FakeApi | None = None) -> Phase:
    return judge(obj, api or FakeApi()).phase  # type: ignore[arg-type]


AVAILABLE = {"observedGeneration": 2, "updatedReplicas": 2, "availableReplicas": 2, "replicas": 2}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (AVAILABLE, Phase.READY),
        (AVAILABLE | {"observedGeneration": 1}, Phase.WAITING),
        (AVAILABLE | {"availableReplicas": 1}, Phase.WAITING),
        (AVAILABLE | {"updatedReplicas": 1}, Phase.WAITING),
        (AVAILABLE | {"replicas": 3}, Phase.WAITING),
        ({}, Phase.WAITING),
        (AVAILABLE | condition("Progressing", "False", reason="ProgressDeadlineExceeded"), Phase.FAILED),
        (
            condition("ReplicaFailure", message='pods "x" is forbidden: violates PodSecurity "restricted"'),
            Phase.FAILED,
        ),
        (condition("ReplicaFailure", message='serviceaccount "x" not found'), Phase.WAITING),
    ],
)
def test_a_deployment_is_ready_when_all_its_new_pods_are_and_no_old_ones(
    status: dict[str, Any], expected: Phase
) -> None:
    assert phase(live("Deployment", status, replicas=2)) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (condition("Complete"), Phase.READY),
        (condition("Failed", reason="BackoffLimitExceeded"), Phase.FAILED),
        ({"active": 1}, Phase.WAITING),
    ],
)
def test_a_job_is_ready_when_it_is_complete(status: dict[str, Any], expected: Phase) -> None:
    assert phase(live("Job", status)) is expected


def test_a_suspended_job_is_not_waited_for() -> None:
    assert phase(live("Job", {}, suspend=True)) is Phase.READY


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Running"} | condition("Ready"), Phase.READY),
        ({"phase": "Succeeded"}, Phase.READY),
        ({"phase": "Failed", "reason": "Evicted"}, Phase.FAILED),
        ({"phase": "Running"} | condition("Ready", "False"), Phase.WAITING),
    ],
)
def test_a_pod_is_ready_when_it_says_so_or_has_succeeded(status: dict[str, Any], expected: Phase) -> None:
    assert phase(live("Pod", status)) is expected


def test_a_service_is_ready_when_a_pod_of_its_selector_is() -> None:
    service, api = live("Service", {}, selector={"app": "x"}, clusterIP="10.96.0.9"), FakeApi()
    assert phase(service, api) is Phase.WAITING
    labels = {"kubernetes.io/service-name": "x"}
    endpoints: dict[str, Any] = {
        "metadata": {"labels": labels},
        "endpoints": [{"conditions": {"ready": False}}],
    }
    api.objects["EndpointSlice", "a", "x-1"] = endpoints
    assert phase(service, api) is Phase.WAITING
    endpoints["endpoints"].append({"conditions": {"ready": True}})
    assert phase(service, api) is Phase.READY


@pytest.mark.parametrize(
    "spec",
    [{}, {"type": "ExternalName", "selector": {"app": "x"}}, {"clusterIP": "None", "selector": {"app": "x"}}],
)
def test_a_service_without_pods_of_its_own_is_not_waited_for(spec: dict[str, Any]) -> None:
    assert phase(live("Service", {}, **spec)) is Phase.READY


@pytest.mark.parametrize(("kind", "spec"), [("Ingress", {}), ("Service", {"type": "LoadBalancer"})])
def test_an_address_from_outside_is_waited_for(kind: str, spec: dict[str, Any]) -> None:
    assert phase(live(kind, {"loadBalancer": {}}, **spec)) is Phase.WAITING
    assert phase(live(kind, {"loadBalancer": {"ingress": [{"hostname": "h"}]}}, **spec)) is Phase.READY


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("Namespace", {"phase": "Terminating"}, {"phase": "Active"}),
        ("CustomResourceDefinition", {"conditions": None}, condition("Established")),
        (
            "DaemonSet",
            {"observedGeneration": 2, "desiredNumberScheduled": 1},
            {
                "observedGeneration": 2,
                "desiredNumberScheduled": 1,
                "updatedNumberScheduled": 1,
                "numberAvailable": 1,
            },
        ),
        (
            "StatefulSet",
            {"observedGeneration": 2},
            {"observedGeneration": 2, "readyReplicas": 1, "updatedReplicas": 1},
        ),
    ],
)
def test_other_kinds_wait_for_what_they_report(
    kind: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert phase(live(kind, before)) is Phase.WAITING
    assert phase(live(kind, after)) is Phase.READY


def test_a_kind_without_a_rule_is_ready_at_once() -> None:
    assert phase(live("ConfigMap", {})) is Phase.READY


def test_the_schedulers_words_explain_a_pod_that_finds_no_node() -> None:
    api = FakeApi()
    pod = live("Pod", condition("PodScheduled", "False", message="0/4 nodes are available: Insufficient cpu"))
    pod["metadata"]["labels"] = {"app": "x"}
    api.objects["Pod", "a", "x"] = pod
    deployment = live("Deployment", {}, selector={"matchLabels": {"app": "x"}})
    assert explain(deployment, api) == "pod x: 0/4 nodes are available: Insufficient cpu"  # type: ignore[arg-type]
    assert explain(live("Job", {}), api) == ""  # type: ignore[arg-type]


def _pod(api: FakeApi, waiting: dict[str, Any], restarts: int = 0, **last: Any) -> None:
    status = {"state": {"waiting": waiting}, "restartCount": restarts, "lastState": last}
    api.objects["Pod", "a", "x-1"] = live("Pod", {"containerStatuses": [status]}) | {
        "metadata": {"name": "x-1", "namespace": "a", "labels": {"app": "x"}}
    }


def test_an_image_that_cannot_be_had_fails_a_rollout_at_once() -> None:
    api = FakeApi()
    deployment = live("Deployment", AVAILABLE | {"replicas": 3}, selector={"matchLabels": {"app": "x"}})
    _pod(api, {"reason": "ContainerCreating"})
    assert phase(deployment, api) is Phase.WAITING
    _pod(api, {"reason": "ErrImagePull", "message": "no such host"})
    verdict = judge(deployment, api)  # type: ignore[arg-type]
    assert verdict.phase is Phase.FAILED
    assert verdict.reason == "pod x-1: ErrImagePull: no such host; see `kubectl logs x-1 --previous`"


def test_a_container_that_ends_again_and_again_fails_a_rollout_with_the_reason_of_its_end() -> None:
    api = FakeApi()
    deployment = live("Deployment", AVAILABLE | {"replicas": 3}, selector={"matchLabels": {"app": "x"}})
    crash = {"reason": "CrashLoopBackOff", "message": "back-off 20s"}
    ended = {"reason": "OOMKilled", "exitCode": 137}
    _pod(api, crash, restarts=2, terminated=ended)
    assert phase(deployment, api) is Phase.WAITING
    _pod(api, crash, restarts=3, terminated=ended)
    assert "CrashLoopBackOff: back-off 20s; it ended by OOMKilled (137)" in judge(deployment, api).reason  # type: ignore[arg-type]


def test_a_job_whose_image_cannot_be_had_fails_and_one_that_crashes_is_left_to_its_backoff_limit() -> None:
    api = FakeApi()
    job = live("Job", {}, selector={"matchLabels": {"app": "x"}})
    _pod(api, {"reason": "CrashLoopBackOff", "message": "back-off 20s"}, restarts=5)
    assert phase(job, api) is Phase.WAITING
    _pod(api, {"reason": "ImagePullBackOff", "message": "no such host"})
    assert phase(job, api) is Phase.FAILED
