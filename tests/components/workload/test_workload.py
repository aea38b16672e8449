"""The server of an agent, as the API server would get it."""

from collections.abc import Callable
from typing import Any

import pytest

from components.naming import labels, selector_labels
from components.workload.container import ContainerResources
from components.workload.workload import Workload, WorkloadArgs
from preview.recording.recorder import Recording

Record = Callable[[Callable[[], Any]], Recording]
IMAGE = "registry.example.com/agent@sha256:" + "a" * 64


def args(**changes: Any) -> WorkloadArgs:
    return WorkloadArgs(
        **{
            "namespace": "agents",
            "agent": "support",
            "service_account": "support",
            "image": IMAGE,
            "labels": labels(name="support", component="server", instance="test"),
            "selector": selector_labels(name="support", component="server"),
            "variables": {"LOG_LEVEL": "info"},
            "secret_provider_class": "support",
            "secrets_version": "v1",
            "certificates_config_map": "certificates",
            "resources": ContainerResources(
                cpu_request="500m", memory_request="1Gi", cpu_limit="1000m", memory_limit="2Gi"
            ),
            "port": 8000,
            "metrics_port": 9464,
            "pre_stop_seconds": 10,
            "grace_period_seconds": 330,
            **changes,
        }
    )


def deployment(recording: Recording) -> dict[str, Any]:
    (found,) = recording.of_type("kubernetes:apps/v1:Deployment")
    spec: dict[str, Any] = found.inputs["spec"]
    return spec


def container(recording: Recording) -> dict[str, Any]:
    (found,) = deployment(recording)["template"]["spec"]["containers"]
    result: dict[str, Any] = found
    return result


@pytest.fixture
def made(record_resources: Record) -> Recording:
    return record_resources(lambda: Workload("support", args()))


def test_a_rollout_adds_one_pod_and_never_takes_one_away_first(made: Recording) -> None:
    assert deployment(made)["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }


def test_the_deployment_leaves_its_replicas_to_the_autoscaler(made: Recording) -> None:
    assert "replicas" not in deployment(made)


def test_probes_have_the_documented_figures_and_nothing_waits_behind_the_startup_probe(
    made: Recording,
) -> None:
    def figures(name: str) -> tuple[Any, ...]:
        probe = container(made)[name]
        keys = ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold")
        return (probe["httpGet"]["path"], *(probe[key] for key in keys))

    assert figures("livenessProbe") == ("/health", 30, 10, 5, 3)
    assert figures("readinessProbe") == ("/ready", 0, 5, 3, 3)
    assert figures("startupProbe")[0] == "/health"


def test_pods_run_as_the_restricted_standard_demands(made: Recording) -> None:
    pod = deployment(made)["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(made)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False


def test_requests_and_limits_are_those_of_the_args(made: Recording) -> None:
    assert container(made)["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"cpu": "1000m", "memory": "2Gi"},
    }


def test_pods_spread_over_zones_and_then_over_nodes(made: Recording) -> None:
    spread = deployment(made)["template"]["spec"]["topologySpreadConstraints"]
    assert [(c["topologyKey"], c["whenUnsatisfiable"]) for c in spread] == [
        ("topology.kubernetes.io/zone", "DoNotSchedule"),
        ("kubernetes.io/hostname", "ScheduleAnyway"),
    ]


def test_a_stopping_pod_goes_on_serving_for_the_pre_stop_time(made: Recording) -> None:
    assert container(made)["lifecycle"] == {"preStop": {"sleep": {"seconds": 10}}}
    assert deployment(made)["template"]["spec"]["terminationGracePeriodSeconds"] == 330


def test_no_pre_stop_time_means_no_hook(record_resources: Record) -> None:
    made = record_resources(lambda: Workload("support", args(pre_stop_seconds=0)))
    assert "lifecycle" not in container(made)


def test_secrets_come_as_files_and_plain_settings_by_config_map(made: Recording) -> None:
    assert "env" not in container(made)
    assert container(made)["envFrom"] == [{"configMapRef": {"name": "support"}}]
    volumes = {volume["name"]: volume for volume in deployment(made)["template"]["spec"]["volumes"]}
    assert volumes["secrets"]["csi"]["volumeAttributes"] == {"secretProviderClass": "support"}
    mounts = {mount["name"]: mount["mountPath"] for mount in container(made)["volumeMounts"]}
    assert mounts["secrets"] == "/var/run/secrets/langgraph-agents"


@pytest.mark.parametrize(
    "change", [{"variables": {"LOG_LEVEL": "debug"}}, {"secrets_version": "v2"}, {"image": IMAGE[:-1] + "b"}]
)
def test_a_changed_setting_secret_or_image_rolls_the_pods(
    record_resources: Record, made: Recording, change: dict[str, Any]
) -> None:
    changed = record_resources(lambda: Workload("support", args(**change)))
    assert deployment(changed)["template"] != deployment(made)["template"]


def test_an_unchanged_workload_rolls_nothing(record_resources: Record, made: Recording) -> None:
    again = record_resources(lambda: Workload("support", args()))
    assert deployment(again) == deployment(made)


def test_the_service_and_the_budget_select_the_pods_that_the_deployment_makes(made: Recording) -> None:
    pod_labels = deployment(made)["template"]["metadata"]["labels"]
    (service,) = made.of_type("kubernetes:core/v1:Service")
    (budget,) = made.of_type("kubernetes:policy/v1:PodDisruptionBudget")
    for selector in (
        deployment(made)["selector"]["matchLabels"],
        service.inputs["spec"]["selector"],
        budget.inputs["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= pod_labels.items()
    assert service.inputs["spec"]["ports"][0]["port"] == 80
    assert budget.inputs["spec"]["maxUnavailable"] == 1


def test_a_selector_that_is_no_part_of_the_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a part of labels"):
        args(selector={"app": "other"})


def test_a_grace_period_that_the_pre_stop_uses_up_is_refused() -> None:
    with pytest.raises(ValueError, match="grace_period_seconds 10 must be above"):
        args(grace_period_seconds=10)
