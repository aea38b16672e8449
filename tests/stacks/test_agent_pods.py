"""What a stack file may ask of an agent's pods: where they run, what is mounted into them, whom they reach."""

import copy
from collections.abc import Mapping
from typing import Any

import kubernetes_validate
import pytest

from preview.recording.recorder import Recording
from stacks.loading import SettingsError, load
from tests.conftest import record_with
from tests.stacks.stack_files import settings_of

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
JOBS = ("kubernetes:batch/v1:Job", "kubernetes:batch/v1:CronJob")

POD: Mapping[str, Any] = {
    "nodeSelector": {"team": "research"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "annotations": {"linkerd.io/inject": "enabled"},
    "priorityClass": "agents",
    "ephemeralStorage": "2Gi",
    "volumes": [
        {"name": "models", "mountPath": "/models", "emptyDir": {"sizeLimit": "5Gi"}},
        {"name": "documents", "mountPath": "/documents", "persistentVolumeClaim": {"claimName": "documents"}},
        {"name": "prompts", "mountPath": "/prompts", "configMap": {"name": "prompts"}},
        {"name": "partner", "mountPath": "/partner", "secret": {"secretName": "partner-certificate"}},
    ],
}


def with_agent(**changed: Any) -> dict[str, Any]:
    settings = copy.deepcopy(settings_of("dev"))
    settings["agents"][0].update(copy.deepcopy(changed))
    return settings


def pod_of(recording: Recording, type_: str) -> dict[str, Any]:
    (found,) = recording.of_type(type_)
    at: Any = found.inputs["spec"]
    while "template" not in at:
        at = at["jobTemplate"]["spec"]
    return dict(at["template"])


def test_pods_that_serve_get_what_the_stack_file_asks_for() -> None:
    recording = record_with("dev", with_agent(pod=POD))
    template = pod_of(recording, DEPLOYMENT)
    spec, (container,) = template["spec"], template["spec"]["containers"]
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64", "team": "research"}
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert template["metadata"]["annotations"]["linkerd.io/inject"] == "enabled"
    assert spec["priorityClassName"] == "agents"
    assert container["resources"]["requests"]["ephemeral-storage"] == "2Gi"
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["tmp"]["emptyDir"] == {"sizeLimit": "2Gi"}
    assert volumes["models"]["emptyDir"] == {"sizeLimit": "5Gi"}
    assert volumes["documents"]["persistentVolumeClaim"] == {"claimName": "documents"}
    assert volumes["prompts"]["configMap"] == {"name": "prompts"}
    assert volumes["partner"]["secret"] == {"secretName": "partner-certificate"}
    mounts = {
        mount["name"]: (mount["mountPath"], mount.get("readOnly")) for mount in container["volumeMounts"]
    }
    assert mounts["models"] == ("/models", False)
    assert mounts["prompts"] == ("/prompts", True)
    assert mounts["partner"] == ("/partner", True)
    (deployment,) = recording.of_type(DEPLOYMENT)
    kubernetes_validate.validate(dict(deployment.inputs), "1.36", strict=True)


@pytest.mark.parametrize("type_", JOBS)
def test_jobs_run_on_the_same_nodes_and_get_nothing_else_of_it(type_: str) -> None:
    spec = pod_of(record_with("dev", with_agent(pod=POD)), type_)["spec"]
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64", "team": "research"}
    assert [toleration["key"] for toleration in spec["tolerations"]] == ["gpu"]
    assert "priorityClassName" not in spec
    assert {volume["name"] for volume in spec["volumes"]} == {"secrets", "certificates", "tmp"}


@pytest.mark.parametrize(("architecture", "arch"), [("x86_64", "amd64"), ("arm64", "arm64")])
def test_pods_of_an_image_that_is_built_say_which_processor_it_is_for(architecture: str, arch: str) -> None:
    settings = with_agent()
    settings["cluster"]["architecture"] = architecture
    types = {"x86_64": "m7i.large", "arm64": "m7g.large"}
    settings["cluster"]["nodeGroups"][0]["instanceTypes"] = [types[architecture]]
    recording = record_with("dev", settings)
    for type_ in (DEPLOYMENT, *JOBS):
        assert pod_of(recording, type_)["spec"]["nodeSelector"] == {"kubernetes.io/arch": arch}


def test_pods_of_an_image_that_is_named_go_where_the_stack_file_says() -> None:
    image = f"registry.example.com/agent@sha256:{'0' * 64}"
    assert "nodeSelector" not in pod_of(record_with("dev", with_agent(image=image)), DEPLOYMENT)["spec"]
    arm = {"kubernetes.io/arch": "arm64"}
    there = with_agent(image=image, pod={"nodeSelector": arm})
    with pytest.raises(SettingsError, match="the nodes are amd64"):
        load(there, stack="dev")


def test_the_defaults_hold_for_an_agent_that_asks_for_something_else() -> None:
    settings = with_agent(pod={"priorityClass": "agents"})
    settings["defaults"] = {"pod": {"nodeSelector": {"team": "research"}, "priorityClass": "others"}}
    (agent,) = load(settings, stack="dev").agents
    assert agent.pod.node_selector == {"team": "research"}
    assert agent.pod.priority_class == "agents"


def test_a_further_network_is_open_on_its_ports_to_pods_that_serve_and_to_no_others() -> None:
    egress = [{"cidr": "10.60.4.0/24", "ports": [5432, 1521]}]
    recording = record_with("dev", with_agent(egress=egress))
    without = record_with("dev", with_agent())

    def rules(of: Recording, policy: str) -> list[Any]:
        return list(of.named(policy).inputs["spec"]["egress"])

    added = [
        rule
        for rule in rules(recording, "support-network-server")
        if rule not in rules(without, "support-network-server")
    ]
    assert added == [
        {
            "to": [{"ipBlock": {"cidr": "10.60.4.0/24"}}],
            "ports": [{"port": 5432, "protocol": "TCP"}, {"port": 1521, "protocol": "TCP"}],
        }
    ]
    assert rules(recording, "support-network-maintenance") == rules(without, "support-network-maintenance")


EMPTY = {"name": "a", "mountPath": "/a", "emptyDir": {"sizeLimit": "1Gi"}}
BAD: list[tuple[dict[str, Any], str, str]] = [
    (
        {"pod": {"nodeSelector": {"kubernetes.io/arch": "arm64"}}},
        "agents[0].pod.nodeSelector.kubernetes.io/arch",
        "its image is built for amd64. Remove it",
    ),
    (
        {"egress": [{"host": "db.example.com", "ports": [5432]}]},
        "agents[0].egress[0]",
        "addresses and no names",
    ),
    ({"egress": [{"cidr": "db.example.com", "ports": [5432]}]}, "egress[0].cidr", "addresses and no names"),
    ({"egress": [{"cidr": "0.0.0.0/0", "ports": [80]}]}, "egress[0].cidr", "name the networks"),
    ({"egress": [{"cidr": "169.254.169.254/32", "ports": [80]}]}, "egress[0].cidr", "credentials"),
    ({"egress": [{"cidr": "10.60.4.0/24", "ports": []}]}, "egress[0].ports", "at least one item"),
    ({"pod": {"volumes": [{"name": "a", "mountPath": "/a"}]}}, "pod.volumes[0]", "one of emptyDir"),
    (
        {"pod": {"volumes": [{**EMPTY, "configMap": {"name": "b"}}]}},
        "pod.volumes[0]",
        "only one of emptyDir, configMap",
    ),
    (
        {"pod": {"volumes": [{**EMPTY, "hostPath": {"path": "/"}}]}},
        "volumes[0].hostPath",
        "not a setting here",
    ),
    ({"pod": {"volumes": [EMPTY, {**EMPTY, "name": "b"}]}}, "pod.volumes", "mountPath /a is there twice"),
    ({"pod": {"volumes": [{**EMPTY, "name": "tmp"}]}}, "pod.volumes[0]", "choose another name"),
    ({"pod": {"volumes": [{**EMPTY, "mountPath": "/tmp/x"}]}}, "mountPath", "pod.ephemeralStorage"),  # noqa: S108
    ({"pod": {"volumes": [{**EMPTY, "mountPath": "/var/run/secrets"}]}}, "mountPath", "agent's secrets"),
    ({"pod": {"volumes": [{**EMPTY, "mountPath": "/a/../etc"}]}}, "mountPath", "absolute path"),
    ({"pod": {"tolerations": [{"key": "gpu"}]}}, "pod.tolerations[0]", "needs value"),
    ({"pod": {"nodeSelector": {"a b": "c"}}}, "pod.nodeSelector", "a key of Kubernetes"),
    ({"pod": {"annotations": {"checksum/config": "1"}}}, "pod.annotations", "sets checksum/config itself"),
    ({"pod": {"priorityClass": "system-node-critical"}}, "pod.priorityClass", "a PriorityClass for agents"),
]


@pytest.mark.parametrize(
    ("changed", "field", "words"), BAD, ids=[f"{field} {words}" for _, field, words in BAD]
)
def test_what_kubernetes_or_safety_refuses_is_told_with_its_remedy(
    changed: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(with_agent(**changed), stack="dev")
    text = str(refused.value)
    assert field in text
    assert words in text
    assert "1 problem" in text
