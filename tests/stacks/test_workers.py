"""Pods that execute an agent's runs, beside those that answer its requests."""

from collections.abc import Mapping
from typing import Any

import pytest

from policies import check
from policies.model import Stack
from policies.pods_of_stack import workloads
from preview.cost.requests import requested
from preview.recording.recorder import Recording
from stacks.loading import SettingsError, load
from stacks.quota import quota
from stacks.settings import Settings
from stacks.vocabulary import quantity
from tests.conftest import record_with
from tests.policies.plans import MadePlan
from tests.stacks.stack_files import changed, settings_of

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
SCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"

WORKERS = {
    "replicas": {"min": 2, "max": 4},
    "resources": {"requests": {"cpu": "1.5", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
    "pool": {"maxSize": 5},
}


def with_workers(stack: str = "dev", **changes: Any) -> dict[str, Any]:
    return changed(stack, "agents.0.workers", {**WORKERS, **changes})


def by_name(made: Recording, type_: str) -> dict[str, Mapping[str, Any]]:
    return {r.inputs["metadata"]["name"]: r.inputs for r in made.of_type(type_)}


@pytest.fixture(scope="module")
def made() -> Recording:
    return record_with("dev", with_workers())


def problems(settings: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SettingsError) as raised:
        load(settings, stack="test")
    return {problem.field: problem.remedy for problem in raised.value.problems}


def test_two_deployments_have_one_image_identity_and_secrets_and_each_its_part(made: Recording) -> None:
    pods = {n: d["spec"]["template"]["spec"] for n, d in by_name(made, DEPLOYMENT).items()}
    server, worker = pods["support"], pods["support-worker"]
    for same in ("serviceAccountName", "volumes", "securityContext", "terminationGracePeriodSeconds"):
        assert worker[same] == server[same]
    assert worker["containers"][0]["image"] == server["containers"][0]["image"]
    assert worker["containers"][0]["resources"]["requests"] == {"cpu": "1.5", "memory": "2Gi"}
    variables = by_name(made, "kubernetes:core/v1:ConfigMap")
    read = {
        name: variables[pod["containers"][0]["envFrom"][0]["configMapRef"]["name"]]["data"]
        for name, pod in pods.items()
    }
    assert read["support"]["PROCESS_ROLE"] == "answer"
    assert read["support-worker"]["PROCESS_ROLE"] == "execute"
    assert read["support-worker"]["DATABASE_POOL_MAX_SIZE"] == "5"


def test_a_worker_that_stops_has_all_of_its_grace_for_its_runs(made: Recording) -> None:
    pod = by_name(made, DEPLOYMENT)["support-worker"]["spec"]["template"]["spec"]
    assert "lifecycle" not in pod["containers"][0]
    data = by_name(made, "kubernetes:core/v1:ConfigMap")["support-worker"]["data"]
    assert int(data["DRAIN_TIMEOUT_SECONDS"]) == pod["terminationGracePeriodSeconds"] - 10


def test_requests_reach_the_pods_that_answer_alone(made: Recording) -> None:
    worker = by_name(made, DEPLOYMENT)["support-worker"]["spec"]["template"]["metadata"]["labels"]
    (service,) = by_name(made, "kubernetes:core/v1:Service").values()
    assert not service["spec"]["selector"].items() <= worker.items()
    policy = by_name(made, POLICY)["support-worker"]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= worker.items()
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == [9464]
    assert policy["egress"] == by_name(made, POLICY)["support-server"]["spec"]["egress"]


def test_workers_are_scaled_and_kept_by_themselves(made: Recording) -> None:
    scaler = by_name(made, SCALER)["support-worker"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == "support-worker"
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 4)
    worker = by_name(made, DEPLOYMENT)["support-worker"]["spec"]["template"]["metadata"]["labels"]
    budgets = by_name(made, BUDGET)
    assert budgets["support-worker"]["spec"]["selector"]["matchLabels"].items() <= worker.items()
    assert not budgets["support"]["spec"]["selector"]["matchLabels"].items() <= worker.items()


def test_without_workers_nothing_is_different(made: Recording, dev: Recording) -> None:
    further = {urn for urn in made.resources if urn not in dev.resources}
    assert set(dev.resources) <= set(made.resources)
    assert all("-worker" in urn for urn in further)
    assert "PROCESS_ROLE" not in by_name(dev, "kubernetes:core/v1:ConfigMap")["support"]["data"]


def test_production_with_workers_keeps_every_rule() -> None:
    settings = with_workers("prod", resources={})
    settings["cluster"]["nodeGroups"][0]["maxSize"] += 3
    assert check(MadePlan(tuple(record_with("prod", settings).resources.values()))) == []


def test_nodes_quota_and_costs_reckon_with_both(made: Recording) -> None:
    pods = {workload.name: workload for workload in workloads(Stack(made.resources.values()))}
    assert (pods["support-worker"].pods, pods["support-worker"].cpu_millis) == (4, 1500)
    plan: Any = made
    cores = {r.deployment.inputs["metadata"]["name"]: r.cores for r in requested(plan, "max")}
    assert cores["support-worker"] == 6
    settings = Settings.model_validate(with_workers()).agents
    without = quota(
        Settings.model_validate(settings_of("dev")).agents, certificate_solvers=True, pooled=False
    )
    more = quantity(quota(settings, certificate_solvers=True, pooled=False)["requests.cpu"]) - quantity(
        without["requests.cpu"]
    )
    assert more == quantity("1.5") * (4 + 1 + 4)


def test_the_connections_of_both_have_to_fit_the_database() -> None:
    found = problems(with_workers(pool={"maxSize": 100}))
    assert "support 5" in found["database.instanceClass"]


def test_a_pod_of_workers_that_fits_no_node_is_told() -> None:
    large = {"cpu": "30", "memory": "100Gi"}
    found = problems(with_workers(resources={"requests": large, "limits": large}))
    assert "is more than a node has left" in found["agents[0].workers.resources.requests"]


def test_production_has_two_workers_at_least() -> None:
    found = problems(with_workers("prod", replicas={"min": 1}))
    assert found["agents[0].workers.replicas.min"] == "production needs 2 or more: one pod is an outage"


def test_workers_need_runs_that_wait_in_postgresql() -> None:
    settings = with_workers()
    settings["agents"][0]["checkpointer"] = "valkey"
    assert "set checkpointer: postgres" in problems(settings)["agents[0].workers"]


def test_an_agent_is_not_called_what_the_workers_of_another_are() -> None:
    settings = with_workers("prod")
    settings["agents"][1]["name"] = f"{settings['agents'][0]['name']}-worker"
    assert "is what the workers of" in problems(settings)["agents[1].name"]


def test_what_a_pod_does_is_not_for_the_file_to_set() -> None:
    settings = changed("dev", "agents.0.env", {"PROCESS_ROLE": "execute"})
    assert any("PROCESS_ROLE" in field for field in problems(settings))
