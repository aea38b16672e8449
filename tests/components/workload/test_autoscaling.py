"""The HorizontalPodAutoscaler."""

from collections.abc import Callable
from typing import Any

import pytest

from components.workload.autoscaling import Autoscaling, AutoscalingArgs
from preview.recording.recorder import Recording

Record = Callable[[Callable[[], Any]], Recording]


def args(**changes: Any) -> AutoscalingArgs:
    return AutoscalingArgs(
        **{
            "namespace": "agents",
            "deployment": "support",
            "labels": {},
            "min_replicas": 3,
            "max_replicas": 10,
            **changes,
        }
    )


def spec(record_resources: Record, **changes: Any) -> dict[str, Any]:
    (found,) = record_resources(lambda: Autoscaling("support", args(**changes))).of_type(
        "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
    )
    result: dict[str, Any] = found.inputs["spec"]
    return result


def test_it_scales_on_cpu_and_memory_as_documented(record_resources: Record) -> None:
    targets = {
        metric["resource"]["name"]: metric["resource"]["target"]["averageUtilization"]
        for metric in spec(record_resources)["metrics"]
    }
    assert targets == {"cpu": 70, "memory": 80}


def test_it_adds_two_pods_and_takes_away_one_a_step(record_resources: Record) -> None:
    behavior = spec(record_resources)["behavior"]
    assert [(p["type"], p["value"]) for p in behavior["scaleUp"]["policies"]] == [("Pods", 2)]
    assert [(p["type"], p["value"]) for p in behavior["scaleDown"]["policies"]] == [("Pods", 1)]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 300


def test_bounds_and_target_are_those_of_the_args(record_resources: Record) -> None:
    found = spec(record_resources, min_replicas=2, max_replicas=5)
    assert (found["minReplicas"], found["maxReplicas"]) == (2, 5)
    assert found["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "support"}


@pytest.mark.parametrize(("low", "high"), [(0, 1), (4, 3)])
def test_impossible_bounds_are_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match=f"min_replicas {low} must be between 1 and max_replicas {high}"):
        args(min_replicas=low, max_replicas=high)
