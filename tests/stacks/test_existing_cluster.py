"""A stack in an EKS cluster that somebody else made: `cluster.existing`."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.emulated.lookups import LOOKUPS
from stacks.loading import SettingsError, load
from tests.conftest import record_with
from tests.stacks.test_existing_stores import RULE, on_theirs

TOKEN = "aws:eks/getCluster:getCluster"


def in_theirs(cluster: Mapping[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    return on_theirs(
        cluster={"version": "1.36", "existing": {"name": "shared"}, **(cluster or {})}, **changed
    )


def refused(settings: Mapping[str, Any]) -> str:
    with pytest.raises(SettingsError) as error:
        load(settings, stack="dev", region="eu-central-1")
    return str(error.value)


def test_in_a_cluster_that_is_there_only_what_agents_need_of_their_own_is_made() -> None:
    recording = record_with("dev", in_theirs())
    made = {resource.type for resource in recording.resources.values() if resource.custom}
    assert {type_ for type_ in made if type_.startswith(("aws:eks/", "aws:ec2/", "kubernetes:helm"))} == {
        "aws:eks/podIdentityAssociation:PodIdentityAssociation"
    }
    (provider,) = recording.of_type("pulumi:providers:kubernetes")
    config = json.loads(provider.inputs["kubeconfig"])
    assert config["users"][0]["user"]["exec"]["args"][3] == "shared"
    assert recording.outputs["cluster_name"] == "shared"


def test_agents_wait_for_nothing_that_is_there_already() -> None:
    recording = record_with("dev", in_theirs())
    for name in ("support-secrets-class", "support-ingress-ingress", "support-workload-deployment"):
        waits = {recording.resources[urn].type for urn in recording.named(name).dependencies}
        assert not waits & {"aws:eks/addon:Addon", "kubernetes:helm.sh/v3:Release"}, name


def test_agents_have_their_certificates_of_the_issuer_that_is_there() -> None:
    recording = record_with("dev", in_theirs())
    ingress = recording.named("support-ingress-ingress").inputs["metadata"]["annotations"]
    assert ingress["cert-manager.io/cluster-issuer"] == "letsencrypt-staging"
    assert not [found for found in recording.resources.values() if found.type.endswith(":ClusterIssuer")]


@pytest.mark.parametrize(
    ("existing", "group"),
    [
        ({"name": "shared"}, "sg-0c0ffee0c0ffee000"),
        ({"name": "shared", "securityGroupId": "sg-0000000c"}, "sg-0000000c"),
    ],
)
def test_stores_let_in_the_group_of_its_nodes(existing: dict[str, str], group: str) -> None:
    recording = record_with("dev", in_theirs({"existing": existing}))
    rules = [rule.inputs for rule in recording.of_type(RULE)]
    assert {rule["referencedSecurityGroupId"] for rule in rules} == {group}


def test_a_load_balancer_s_certificate_is_made_in_a_cluster_that_is_there_too() -> None:
    settings = in_theirs()
    settings["ingress"] = {**settings["ingress"], "controller": "alb"}
    recording = record_with("dev", settings)
    assert len(recording.of_type("aws:acm/certificate:Certificate")) == 1


@pytest.mark.parametrize("compute", ["node-groups", "karpenter", "auto-mode"])
def test_its_nodes_are_its_own_business(compute: str) -> None:
    recording = record_with("dev", in_theirs({"compute": compute}))
    assert len(recording.of_type("kubernetes:apps/v1:Deployment")) == 1


def test_a_cluster_that_is_not_active_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = LOOKUPS[TOKEN]
    monkeypatch.setitem(LOOKUPS, TOKEN, lambda args: {**ask(args), "status": "UPDATING"})
    with pytest.raises(Exception, match="shared, which is UPDATING"):
        record_with("dev", in_theirs())


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        (in_theirs(network={"cidr": "10.20.0.0/16"}), "cluster.existing", "name that as network.existing"),
        (in_theirs({"logRetentionDays": 30}), "cluster", "logRetentionDays are of one that is made"),
        (in_theirs({"existing": {"name": "a/b"}}), "cluster.existing.name", "name of an EKS cluster"),
    ],
)
def test_what_cannot_be_right_is_refused(settings: dict[str, Any], field: str, words: str) -> None:
    text = refused(settings)
    assert field in text
    assert words in text
