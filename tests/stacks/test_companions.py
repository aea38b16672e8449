"""Containers before and beside an agent's own: `pod.initContainers` and `pod.sidecars`."""

import copy
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.checking import check
from policies.model import Stack
from policies.pods_of_stack import workloads
from preview.cost.requests import requested
from preview.recording.plan import Plan
from preview.recording.recorder import Recording
from stacks.loading import SettingsError, load
from stacks.pod_requests import effective
from tests.conftest import record_with
from tests.policies.plans import Made, MadePlan
from tests.stacks.stack_files import settings_of

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
JOBS = ("kubernetes:batch/v1:Job", "kubernetes:batch/v1:CronJob")
PROXY = f"example.com/proxy@sha256:{'a' * 64}"
LOADER = f"example.com/loader@sha256:{'b' * 64}"


def resources(cpu: str, memory: str) -> dict[str, Any]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}}


SIDECAR: Mapping[str, Any] = {
    "name": "proxy",
    "image": PROXY,
    "args": ["--port=9000"],
    "env": {"LOG_LEVEL": "info"},
    "resources": resources("100m", "128Mi"),
    "livenessProbe": {"httpGet": {"path": "/healthz", "port": 9000}},
    "readinessProbe": {"tcpSocket": {"port": 9000}, "periodSeconds": 5},
}
INIT: Mapping[str, Any] = {
    "name": "loader",
    "image": LOADER,
    "command": ["load", "/models"],
    "resources": resources("1", "2Gi"),
    "volumeMounts": [
        {"name": "models", "mountPath": "/models"},
        {"name": "prompts", "mountPath": "/prompts"},
    ],
}
POD: Mapping[str, Any] = {
    "volumes": [
        {"name": "models", "mountPath": "/models", "emptyDir": {"sizeLimit": "5Gi"}},
        {"name": "prompts", "mountPath": "/prompts", "configMap": {"name": "prompts"}},
    ],
    "initContainers": [INIT],
    "sidecars": [SIDECAR],
}


def with_pod(pod: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    settings = copy.deepcopy(settings_of("dev"))
    settings["agents"][0].update(copy.deepcopy({"pod": dict(pod), **changed}))
    return settings


def refused(pod: Mapping[str, Any]) -> str:
    with pytest.raises(SettingsError) as error:
        load(with_pod(pod), stack="dev")
    return str(error.value)


def spec_of(recording: Recording, type_: str) -> dict[str, Any]:
    (found,) = recording.of_type(type_)
    at: Any = found.inputs["spec"]
    while "template" not in at:
        at = at["jobTemplate"]["spec"]
    return dict(at["template"]["spec"])


def test_sidecars_start_before_init_containers_and_stay() -> None:
    recording = record_with("dev", with_pod(POD))
    proxy, loader = spec_of(recording, DEPLOYMENT)["initContainers"]
    assert (proxy["name"], proxy["restartPolicy"]) == ("proxy", "Always")
    assert loader["name"] == "loader"
    assert "restartPolicy" not in loader
    assert proxy["args"] == ["--port=9000"]
    assert proxy["env"] == [{"name": "LOG_LEVEL", "value": "info"}]
    assert proxy["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": 9000}
    assert proxy["readinessProbe"]["tcpSocket"] == {"port": 9000}
    assert loader["command"] == ["load", "/models"]
    assert {mount["name"]: mount["readOnly"] for mount in loader["volumeMounts"]} == {
        "models": False,
        "prompts": True,
    }
    (deployment,) = recording.of_type(DEPLOYMENT)
    kubernetes_validate.validate(dict(deployment.inputs), "1.36", strict=True)


def test_they_have_no_more_power_than_the_agent_and_none_of_its_secrets() -> None:
    spec = spec_of(record_with("dev", with_pod(POD)), DEPLOYMENT)
    (agent,) = spec["containers"]
    for container in spec["initContainers"]:
        assert container["securityContext"] == agent["securityContext"]
        assert "envFrom" not in container
        assert not {mount["name"] for mount in container.get("volumeMounts", ())} & {
            "secrets",
            "certificates",
        }


@pytest.mark.parametrize("type_", JOBS)
def test_jobs_run_without_them(type_: str) -> None:
    assert "initContainers" not in spec_of(record_with("dev", with_pod(POD)), type_)


def test_an_agent_without_any_has_the_pods_that_it_had() -> None:
    assert "initContainers" not in spec_of(record_with("dev", settings_of("dev")), DEPLOYMENT)


def test_their_images_are_resolved_and_pulled_as_the_agent_s() -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:ghcr-Ab12Cd"
    settings = with_pod({"sidecars": [{**SIDECAR, "image": "ghcr.io/acme/proxy:2"}]})
    settings["registries"] = [{"server": "ghcr.io", "secretArn": arn}]
    spec = spec_of(record_with("dev", settings), DEPLOYMENT)
    assert spec["initContainers"][0]["image"].startswith("ghcr.io/acme/proxy:2@sha256:")
    assert len(spec["imagePullSecrets"]) == 1


def test_the_quota_has_room_for_them() -> None:
    def hard(settings: dict[str, Any]) -> dict[str, str]:
        return dict(record_with("dev", settings).named("namespace-quota").inputs["spec"]["hard"])

    without, beside = hard(settings_of("dev")), hard(with_pod({"sidecars": [SIDECAR]}))
    # Seven pods of the agent's at its most: three, as many that leave, and one of the surge.
    assert millis(beside["requests.cpu"]) - millis(without["requests.cpu"]) == 7 * 100
    assert millis(beside["limits.cpu"]) - millis(without["limits.cpu"]) == 7 * 100
    first = hard(with_pod(POD))
    # The loader runs alone with the proxy, at 1.1 cores; the agent and the proxy request 0.6.
    assert millis(first["requests.cpu"]) - millis(without["requests.cpu"]) == 7 * 600


def millis(text: str) -> int:
    return int(text.removesuffix("m"))


def test_places_and_costs_are_reckoned_with_them() -> None:
    recording = record_with("dev", with_pod(POD))
    (cost,) = requested(Plan("p", "dev", "eu-central-1", False, recording.resources, {}), "min")
    assert cost.cores == pytest.approx(1.1)
    stack = Stack(tuple(recording.resources.values()), date(2026, 11, 27))
    (served,) = [found for found in workloads(stack) if found.name == "support"]
    assert (served.cpu_millis, served.memory_mib) == (1100, 2048 + 128)


def test_an_agent_that_is_too_large_with_them_has_no_node() -> None:
    huge = {**SIDECAR, "resources": resources("8", "1Gi")}
    text = refused({"sidecars": [huge]})
    assert "agents[0].resources.requests: 8500m CPU" in text


def test_the_policies_judge_sidecars_as_they_judge_servers() -> None:
    recording = record_with("dev", with_pod(POD))
    (deployment,) = recording.of_type(DEPLOYMENT)
    broken = copy.deepcopy(dict(deployment.inputs))
    (proxy, loader) = broken["spec"]["template"]["spec"]["initContainers"]
    del proxy["livenessProbe"]
    proxy["image"] = "example.com/proxy:1"
    loader["securityContext"]["allowPrivilegeEscalation"] = True
    plan = MadePlan((Made(deployment.type, broken),), production=True)
    found = [(finding.rule, finding.message) for finding in check(plan)]
    messages = dict(found)
    assert "container proxy has no livenessProbe" in messages["health-checks"]
    assert "container proxy runs example.com/proxy:1" in messages["image-by-digest"]
    assert "container loader may gain privileges" in messages["no-privilege"]


@given(
    st.lists(st.integers(0, 50), max_size=4),
    st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=4),
)
def test_a_pod_is_as_large_as_what_runs_at_once(
    containers: list[int], before: list[tuple[int, bool]]
) -> None:
    found = effective(map(Decimal, containers), [(Decimal(amount), stays) for amount, stays in before])
    running: list[int] = []
    most = 0
    for amount, stays in before:
        most = max(most, sum(running) + amount)
        running += [amount] if stays else []
    assert found == max(most, sum(running) + sum(containers))


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        ({"sidecars": [{**SIDECAR, "name": "agent"}]}, "agent are there twice"),
        ({"sidecars": [SIDECAR], "initContainers": [{**INIT, "name": "proxy"}]}, "proxy are there twice"),
        ({"initContainers": [INIT]}, "mounts models, prompts, and volumes has none"),
        ({"sidecars": [{**SIDECAR, "image": "example.com/proxy"}]}, "neither tag nor digest"),
        ({"sidecars": [{**SIDECAR, "env": {"API_KEY": "x"}}]}, "sounds like a secret"),
        ({"sidecars": [{**SIDECAR, "livenessProbe": {}}]}, "write one of httpGet, tcpSocket, exec"),
        ({"sidecars": [{key: SIDECAR[key] for key in SIDECAR if key != "livenessProbe"}]}, "livenessProbe"),
        ({"initContainers": [{key: INIT[key] for key in INIT if key != "resources"}]}, "resources"),
    ],
)
def test_what_cannot_be_right_is_refused(pod: dict[str, Any], words: str) -> None:
    text = refused(pod)
    assert "agents[0].pod" in text
    assert words in text
