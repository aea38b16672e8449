"""What moves node groups between their least and their most nodes."""

from collections.abc import Callable
from typing import Any

import pytest

from components.cluster.cluster_autoscaler import ClusterAutoscaler, ClusterAutoscalerArgs
from preview.recording.recorder import Recording
from tests.components.reading import statements, waits_for

Record = Callable[..., Recording]


@pytest.fixture
def made(record_resources: Record) -> Recording:
    return install(record_resources)


def install(record_resources: Record, **changes: Any) -> Recording:
    args = ClusterAutoscalerArgs(
        **{
            "cluster_name": "agents",
            "cluster_arn": "arn:aws:eks:eu-central-1:123456789012:cluster/agents",
            "cluster_label": "agents",
            "version": "1.36",
            "region": "eu-central-1",
            "replicas": 2,
            "longest_grace_seconds": 330,
            **changes,
        }
    )
    return record_resources(lambda: ClusterAutoscaler("cluster-autoscaler", args))


def values(made: Recording) -> dict[str, Any]:
    found: dict[str, Any] = made.named("cluster-autoscaler-release").inputs["values"]
    return found


def test_it_simulates_the_scheduler_of_the_clusters_own_version(made: Recording) -> None:
    assert values(made)["image"]["tag"] == "v1.36.0"


@pytest.mark.parametrize(("grace", "waits"), [(330, 600), (4200, 4200)])
def test_a_node_that_goes_waits_for_the_longest_run_of_its_pods(
    record_resources: Record, grace: int, waits: int
) -> None:
    arguments = values(install(record_resources, longest_grace_seconds=grace))["extraArgs"]
    assert arguments["max-graceful-termination-sec"] == waits


def test_nodes_with_agents_and_with_controllers_can_go(made: Recording) -> None:
    arguments = values(made)["extraArgs"]
    assert arguments["skip-nodes-with-local-storage"] is False
    assert arguments["skip-nodes-with-system-pods"] is False


def test_it_changes_the_groups_of_its_own_cluster_alone(made: Recording) -> None:
    changing = [
        statement
        for statement in statements(made.named("cluster-autoscaler-identity-policy"))
        if "autoscaling:SetDesiredCapacity" in statement["Action"]
    ]
    (statement,) = changing
    assert statement["Condition"] == {
        "StringEquals": {"aws:ResourceTag/k8s.io/cluster-autoscaler/agents": "owned"}
    }
    assert values(made)["autoDiscovery"] == {"clusterName": "agents"}


def test_its_pods_start_after_their_identity(made: Recording) -> None:
    assert "cluster-autoscaler-identity-association" in waits_for(
        made, made.named("cluster-autoscaler-release")
    )
