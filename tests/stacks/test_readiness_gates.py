"""Readiness gates of load balancers: which namespaces have them, and what has to be there before their pods."""

import copy
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from preview.recording.plan import PlannedResource
from preview.recording.recorder import Recording
from stacks import stack
from stacks.stack import compose
from tests.components.reading import closure
from tests.conftest import record_with
from tests.stacks.stack_files import changed, settings_of
from tests.stacks.test_existing_cluster import in_theirs

THEIRS = "elbv2.k8s.aws/pod-readiness-gate-inject"
AUTO_MODES = "eks.amazonaws.com/pod-readiness-gate-inject"
NAMESPACE = "kubernetes:core/v1:Namespace"
PODS = (
    "kubernetes:apps/v1:Deployment",
    "kubernetes:apps/v1:StatefulSet",
    "kubernetes:batch/v1:Job",
    "kubernetes:batch/v1:CronJob",
    "kubernetes:helm.sh/v3:Release",
)


def _stack(compute: str, controller: str = "traefik") -> Recording:
    settings: dict[str, Any] = copy.deepcopy(settings_of("dev"))
    settings["cluster"]["compute"] = compute
    if compute == "auto-mode":
        settings["cluster"].pop("nodeGroups")
    settings["ingress"]["controller"] = controller
    # All that can make pods in the agents' namespace.
    settings["database"]["pooler"] = "pgbouncer"
    settings["agents"][0]["workers"] = {"replicas": {"min": 1}}
    return record_with("dev", settings)


def _gates(recording: Recording) -> Mapping[str, dict[str, str]]:
    """By namespace its readiness gates."""
    return {
        namespace.inputs["metadata"]["name"]: {
            label: value
            for label, value in namespace.inputs["metadata"]["labels"].items()
            if label.endswith("/pod-readiness-gate-inject")
        }
        for namespace in recording.of_type(NAMESPACE)
    }


def _before(recording: Recording, resource: PlannedResource) -> set[str]:
    """The names of all that has to be there before a resource, near or far."""
    return {recording.resources[urn].name for urn in closure(recording, resource)}


@pytest.mark.parametrize(
    ("compute", "gate"), [("node-groups", THEIRS), ("karpenter", THEIRS), ("auto-mode", AUTO_MODES)]
)
def test_traefiks_pods_wait_for_their_network_load_balancer_by_the_label_of_its_controller(
    compute: str, gate: str
) -> None:
    recording = _stack(compute)
    gates = _gates(recording)
    assert gates["traefik"] == {gate: "enabled"}
    # What Traefik leads to is no target of a load balancer.
    assert gates["langgraph-agents"] == {}
    (release,) = [r for r in recording.of_type(PODS[-1]) if r.inputs["chart"] == "traefik"]
    before = _before(recording, release)
    assert "traefik-namespace" in before
    assert ("load-balancer-controller-release" in before) is (compute != "auto-mode")


@pytest.mark.parametrize("compute", ["node-groups", "karpenter"])
def test_every_pod_behind_an_application_load_balancer_is_made_after_its_controller(compute: str) -> None:
    recording = _stack(compute, "alb")
    assert _gates(recording)["langgraph-agents"] == {THEIRS: "enabled"}
    made = [
        resource
        for type_ in PODS[:-1]
        for resource in recording.of_type(type_)
        if resource.inputs["metadata"]["namespace"] == "langgraph-agents"
    ]
    assert {resource.inputs["metadata"].get("name") for resource in made} >= {
        "support",
        "support-worker",
        "pgbouncer",
    }
    assert {resource.type for resource in made} == {PODS[0], PODS[2], PODS[3]}
    for resource in made:
        assert {"load-balancer-controller-release", "namespace-namespace"} <= _before(recording, resource), (
            resource.name
        )


def test_no_controller_waits_for_a_namespace_whose_pods_it_holds_back() -> None:
    recording = _stack("node-groups", "alb")
    (controller,) = [r for r in recording.of_type(PODS[-1]) if "load-balancer" in r.name]
    gated = [name for name, gates in _gates(recording).items() if gates]
    assert controller.inputs["namespace"] not in gated
    assert "namespace-namespace" not in _before(recording, controller)


def test_a_namespace_in_a_cluster_of_somebody_else_has_no_gate() -> None:
    recording = record_with("dev", in_theirs(ingress={**settings_of("dev")["ingress"], "controller": "alb"}))
    assert [gates for gates in _gates(recording).values() if gates] == []


def _given_up_after(settings: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """By Deployment, when Pulumi gives a rollout up."""
    found: dict[str, str] = {}

    def note(args: pulumi.ResourceTransformationArgs) -> None:
        if args.type_ == PODS[0]:
            found[args.name] = str(args.opts.custom_timeouts.update)  # type: ignore[union-attr]

    def noted(*args: Any, **kwargs: Any) -> Any:
        pulumi.runtime.register_stack_transformation(note)
        return compose(*args, **kwargs)

    monkeypatch.setattr(stack, "compose", noted)
    record_with("prod", settings)
    return found


@pytest.mark.parametrize(("controller", "seconds"), [("traefik", 600), ("alb", 600 + 10 * 120)])
def test_a_rollout_may_take_as_long_as_the_load_balancer_needs_for_each_pod(
    controller: str, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulumi waits ten minutes for a Deployment by itself, however many pods it has."""
    settings = changed("prod", "ingress.controller", controller)
    assert settings["defaults"]["replicas"]["max"] == 10
    assert _given_up_after(settings, monkeypatch)["support-workload-deployment"] == f"{seconds}s"


@pytest.mark.parametrize("pods", [1, 3])
def test_helm_waits_for_each_pod_of_traefik_before_it_rolls_back(pods: int) -> None:
    """A Network Load Balancer takes "a few minutes" for each; Helm would roll back after five for all of them."""
    recording = record_with("dev", changed("dev", "ingress.replicas", pods))
    (release,) = [r for r in recording.of_type(PODS[-1]) if r.inputs["chart"] == "traefik"]
    assert release.inputs["atomic"] is True
    assert release.inputs["timeout"] == 300 * (pods + 1)
