"""An agent under another name: what carries data stays, what serves is made anew."""

import copy
from typing import Any

import pytest

from preview.recording.plan import PlannedResource
from preview.recording.recorder import Recording
from tests.conftest import record_with
from tests.stacks.stack_files import settings_of
from tests.stacks.test_loading import problems

# Prod with an Application Load Balancer as well: its certificate and rate limit are of AWS.
_EDGES = ("traefik", "alb")


def with_names(edge: str = "traefik", **names: str) -> dict[str, Any]:
    settings = copy.deepcopy(settings_of("prod"))
    settings["ingress"]["controller"] = edge
    settings["agents"][0].update(names)
    return settings


def custom(recording: Recording) -> dict[str, PlannedResource]:
    return {urn: resource for urn, resource in recording.resources.items() if resource.custom}


def on_aws(recording: Recording) -> dict[str, Any]:
    """What is made outside of the cluster, without the texts for people."""
    return {
        urn: {key: value for key, value in resource.inputs.items() if key != "description"}
        for urn, resource in custom(recording).items()
        if resource.package != "kubernetes"
    }


@pytest.mark.parametrize("edge", _EDGES)
def test_a_renamed_agent_keeps_every_resource_of_aws_as_it_is(edge: str) -> None:
    before = record_with("prod", with_names(edge))
    after = record_with("prod", with_names(edge, name="helpdesk", renamedFrom="support"))
    assert on_aws(after) == on_aws(before)
    assert custom(after).keys() == custom(before).keys()


def test_what_serves_has_the_new_name_and_what_is_held_on_to_the_first() -> None:
    recording = record_with("prod", with_names(name="helpdesk", renamedFrom="support"))
    named = {
        (resource.kind, resource.inputs["metadata"]["name"])
        for resource in custom(recording).values()
        if resource.package == "kubernetes" and resource.inputs.get("metadata", {}).get("name")
    }
    for kind in ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "ConfigMap"):
        assert (kind, "helpdesk") in named
        assert (kind, "support") not in named
    for kind in ("Ingress", "ServiceAccount", "SecretProviderClass"):
        assert (kind, "support") in named
    assert ("CronJob", "helpdesk-prune") in named
    (config,) = (
        resource for resource in custom(recording).values() if resource.name == "support-workload-config"
    )
    assert config.inputs["data"]["CACHE_KEY_PREFIX"] == "support:"


def test_callers_are_sent_to_the_new_pods_by_the_ingress_that_they_know() -> None:
    recording = record_with("prod", with_names(name="helpdesk", renamedFrom="support"))
    (ingress,) = (r for r in custom(recording).values() if r.name == "support-ingress-ingress")
    (rule,) = ingress.inputs["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == "helpdesk"
    assert ingress.inputs["spec"]["tls"][0]["secretName"] == "support-tls"
    # The engine waits until the Service has a pod before it changes what refers to it.
    assert any(urn.endswith("::support-workload-service") for urn in ingress.dependencies)


def test_a_second_new_name_keeps_the_first() -> None:
    once = record_with("prod", with_names(name="helpdesk", renamedFrom="support"))
    twice = record_with("prod", with_names(name="desk", renamedFrom="support"))
    back = record_with("prod", with_names())
    assert on_aws(twice) == on_aws(once) == on_aws(back)
    assert custom(twice).keys() == custom(back).keys()


def test_the_agent_itself_is_known_by_its_former_name() -> None:
    recording = record_with("prod", with_names(name="helpdesk", renamedFrom="support"))
    (agent,) = (r for r in recording.resources.values() if r.name == "helpdesk" and not r.custom)
    assert [alias.rpartition("::")[2] for alias in agent.aliases] == ["support"]
    assert recording.outputs["agents"]["helpdesk"] == "https://support.agents.example.com"


@pytest.mark.parametrize(
    ("renamed_from", "remedy"),
    [
        ("research", "remove the agent research if helpdesk takes its place, or remove renamedFrom"),
        ("helpdesk", "is the name that it has: remove renamedFrom"),
        ("postgres", "is taken by PostgreSQL"),
        ("pg-old", "PostgreSQL and RDS keep to themselves"),
        ("Support", "use lower-case letters"),
    ],
)
def test_a_former_name_that_is_not_free_is_refused(renamed_from: str, remedy: str) -> None:
    assert remedy in problems(with_names(name="helpdesk", renamedFrom=renamed_from))["agents[0].renamedFrom"]


def test_two_agents_do_not_take_the_same_data() -> None:
    settings = with_names(name="helpdesk", renamedFrom="support")
    settings["agents"][1]["renamedFrom"] = "support"
    found = problems(settings)
    assert "helpdesk is renamed from already" in found["agents[1].renamedFrom"]
    # They would share the keys of the cache as well.
    assert "agents[1].keyPrefix" in found


def test_two_agents_do_not_swap_their_names() -> None:
    settings = with_names(name="research", renamedFrom="support")
    settings["agents"][1].update(name="support", renamedFrom="research")
    assert {"agents[0].renamedFrom", "agents[1].renamedFrom"} <= problems(settings).keys()
