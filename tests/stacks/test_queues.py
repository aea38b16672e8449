"""Agents that KEDA scales by the runs that wait or execute."""

from collections.abc import Mapping
from typing import Any, Literal

import pytest

from policies import check
from policies.model import Stack
from policies.pods_of_stack import workloads
from preview.cost.requests import requested
from preview.recording.recorder import Recording
from stacks.loading import SettingsError, load
from tests.conftest import record_with
from tests.policies.plans import MadePlan
from tests.stacks.stack_files import changed

SCALED_OBJECT = "kubernetes:keda.sh/v1alpha1:ScaledObject"
HPA = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def with_queue(stack: str = "dev", **changes: Any) -> dict[str, Any]:
    settings = changed(stack, "agents.0.autoscaling.queue", 10)
    settings["agents"][0] |= changes
    return settings


def with_workers(minimum: int, queue: int | None = 10) -> dict[str, Any]:
    autoscaling = {"queue": queue} if queue else {}
    workers = {"replicas": {"min": minimum, "max": 4}, "autoscaling": autoscaling}
    return changed("dev", "agents.0.workers", workers)


def by_name(made: Recording, type_: str) -> dict[str, Mapping[str, Any]]:
    return {r.inputs["metadata"]["name"]: r.inputs for r in made.of_type(type_)}


def problems(settings: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SettingsError) as raised:
        load(settings, stack="test")
    return {problem.field: problem.remedy for problem in raised.value.problems}


@pytest.fixture(scope="module")
def made() -> Recording:
    return record_with("dev", with_queue())


@pytest.fixture(scope="module")
def to_zero() -> Recording:
    return record_with("dev", with_workers(0))


def test_keda_takes_the_place_of_the_autoscaler_and_takes_over_the_one_that_is_there(made: Recording) -> None:
    assert made.of_type(HPA) == []
    scaled = by_name(made, SCALED_OBJECT)["support"]
    assert scaled["metadata"]["annotations"] == {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}
    assert scaled["spec"]["scaleTargetRef"] == {"name": "support"}
    assert scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"] == "support"


def test_ten_runs_a_pod_count_beside_cpu_and_memory(made: Recording) -> None:
    cpu, memory, queue = by_name(made, SCALED_OBJECT)["support"]["spec"]["triggers"]
    assert (cpu["type"], cpu["metricType"], cpu["metadata"]["value"]) == ("cpu", "Utilization", "70")
    assert (memory["type"], memory["metadata"]["value"]) == ("memory", "80")
    assert (queue["type"], queue["metricType"]) == ("metrics-api", "AverageValue")
    assert queue["metadata"]["targetValue"] == "10"


def test_pods_come_two_a_minute_and_go_one_as_with_kubernetes_own_autoscaler(
    made: Recording, dev: Recording
) -> None:
    scaled = by_name(made, SCALED_OBJECT)["support"]["spec"]
    behavior = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior == by_name(dev, HPA)["support"]["spec"]["behavior"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (
        by_name(dev, HPA)["support"]["spec"]["minReplicas"],
        by_name(dev, HPA)["support"]["spec"]["maxReplicas"],
    )


def test_keda_reads_the_metric_by_the_service_and_may(made: Recording) -> None:
    metadata = by_name(made, SCALED_OBJECT)["support"]["spec"]["triggers"][2]["metadata"]
    assert metadata["url"] == "http://support.langgraph-agents.svc:9464/metrics"
    assert (metadata["format"], metadata["valueLocation"]) == ("prometheus", "agent_open_runs")
    ports = {
        p["name"]: p["port"] for p in by_name(made, "kubernetes:core/v1:Service")["support"]["spec"]["ports"]
    }
    assert ports == {"http": 80, "metrics": 9464}
    readers = [
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for rule in by_name(made, POLICY)["support-server"]["spec"]["ingress"]
        if [port["port"] for port in rule["ports"]] == [9464]
        for peer in rule["from"]
    ]
    assert readers == ["monitoring", "keda"]


def test_the_chart_comes_with_the_first_queue_and_reads_no_secrets(made: Recording, dev: Recording) -> None:
    values = made.named("keda-release").inputs["values"]
    assert values["permissions"]["operator"]["restrict"]["secret"] is True
    assert made.named("keda-release").urn in made.of_type(SCALED_OBJECT)[0].dependencies
    with pytest.raises(LookupError):
        dev.named("keda-release")


def test_production_with_a_queue_keeps_every_rule() -> None:
    settings = with_queue("prod")
    settings["cluster"]["nodeGroups"][0]["maxSize"] += 1
    made = record_with("prod", settings)
    assert check(MadePlan(tuple(made.resources.values()))) == []


def test_nodes_and_costs_reckon_with_what_keda_may_start(to_zero: Recording) -> None:
    pods = {workload.name: workload for workload in workloads(Stack(to_zero.resources.values()))}
    assert pods["support-worker"].pods == 4
    assert {pods[f"keda ({part})"].cpu_millis for part in ("operator", "metricsServer", "webhooks")} == {100}
    plan: Any = to_zero
    ends: tuple[tuple[Literal["min", "max"], float], ...] = (
        ("min", 0),
        ("max", 4 * pods["support-worker"].cpu_millis / 1000),
    )
    for end, cores in ends:
        found = {r.deployment.inputs["metadata"]["name"]: r.cores for r in requested(plan, end)}
        assert found["support-worker"] == cores


def test_workers_may_all_go_because_those_that_answer_stay_and_tell_the_queue(to_zero: Recording) -> None:
    scaled = by_name(to_zero, SCALED_OBJECT)
    assert set(scaled) == {"support-worker"}
    spec = scaled["support-worker"]["spec"]
    assert (spec["minReplicaCount"], spec["fallback"]["replicas"]) == (0, 1)
    assert "//support.langgraph-agents.svc" in spec["triggers"][2]["metadata"]["url"]
    assert by_name(to_zero, HPA)["support"]["spec"]["minReplicas"] == 1


def test_pods_that_answer_may_not_all_go() -> None:
    assert "agents[0].replicas.min" in problems(with_queue(replicas={"min": 0, "max": 3}))


def test_no_worker_goes_for_good() -> None:
    found = problems(with_workers(0, queue=None))
    assert "set workers.autoscaling.queue" in found["agents[0].workers.replicas.min"]


def test_production_scales_no_workers_to_zero() -> None:
    settings = with_workers(0)["agents"][0]["workers"]
    found = problems(changed("prod", "agents.0.workers", settings))
    assert found["agents[0].workers.replicas.min"] == "production needs 2 or more: one pod is an outage"


def test_a_queue_is_for_the_pods_that_execute() -> None:
    settings = with_workers(1)
    settings["agents"][0]["autoscaling"] = {"queue": 10}
    assert "move it to workers.autoscaling" in problems(settings)["agents[0].autoscaling.queue"]


def test_a_queue_needs_runs_that_postgresql_knows() -> None:
    found = problems(with_queue(checkpointer="valkey"))
    assert "set checkpointer: postgres" in found["agents[0].autoscaling.queue"]
