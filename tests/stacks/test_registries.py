"""Images that agents name by tag, and the logins to their registries."""

import copy
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from preview.recording.recorder import Recording
from sandbox.emulated.lookups import LOOKUPS
from stacks.loading import SettingsError, load
from tests.components.reading import is_secret
from tests.conftest import ROOT, record_with
from tests.stacks.stack_files import settings_of

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
WORKLOADS = (DEPLOYMENT, "kubernetes:batch/v1:Job", "kubernetes:batch/v1:CronJob")
TOKEN = "docker:index/getRegistryImage:getRegistryImage"
ECR = "aws:ecr/getImage:getImage"
LOGIN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:ghcr-Ab12Cd"
TAGGED = "ghcr.io/acme/research:1.4"
DIGEST = f"sha256:{'b' * 64}"


def with_image(image: str, **changed: Any) -> dict[str, Any]:
    settings = copy.deepcopy(settings_of("dev"))
    settings["agents"][0]["image"] = image
    return {**settings, **changed}


def refused(settings: Mapping[str, Any], **known: Any) -> str:
    with pytest.raises(SettingsError) as error:
        load(settings, stack="dev", region="eu-central-1", **known)
    return str(error.value)


def pods(recording: Recording) -> dict[str, dict[str, Any]]:
    """Pod specs of the agent's workloads, by type."""
    specs = {}
    for type_ in WORKLOADS:
        (found,) = recording.of_type(type_)
        at: Any = found.inputs["spec"]
        while "template" not in at:
            at = at["jobTemplate"]["spec"]
        specs[type_] = at["template"]["spec"]
    return specs


def images(recording: Recording) -> set[str]:
    return {container["image"] for spec in pods(recording).values() for container in spec["containers"]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Mapping[str, Any]]:
    """What registries were asked for; every tag names DIGEST."""
    calls: dict[str, Mapping[str, Any]] = {}

    def answer(token: str, key: str) -> Any:
        def lookup(args: Mapping[str, Any]) -> dict[str, Any]:
            calls[token] = dict(args)
            return {"id": DIGEST, key: DIGEST}

        return lookup

    monkeypatch.setitem(LOOKUPS, TOKEN, answer(TOKEN, "sha256Digest"))
    monkeypatch.setitem(LOOKUPS, ECR, answer(ECR, "imageDigest"))
    return calls


def test_an_image_by_tag_runs_by_the_digest_that_its_registry_answers(asked: dict[str, Any]) -> None:
    recording = record_with("dev", with_image(TAGGED))
    assert asked[TOKEN] == {"name": TAGGED}
    assert images(recording) == {f"{TAGGED}@{DIGEST}"}
    assert recording.outputs["images"] == {"support": f"{TAGGED}@{DIGEST}"}
    (provider,) = recording.of_type("pulumi:providers:docker")
    assert provider.inputs["disableDockerDaemonCheck"] == "true"


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("acme/research:1.4", "registry-1.docker.io/acme/research:1.4"),
        ("python:3.13", "registry-1.docker.io/library/python:3.13"),
        ("docker.io/acme/research:1.4", "registry-1.docker.io/acme/research:1.4"),
        ("registry.example.com:5000/research:1.4", "registry.example.com:5000/research:1.4"),
    ],
)
def test_docker_hub_is_asked_by_its_own_names(asked: dict[str, Any], image: str, name: str) -> None:
    record_with("dev", with_image(image))
    assert asked[TOKEN] == {"name": name}


def test_ecr_of_another_account_and_region_is_asked_by_aws_itself(asked: dict[str, Any]) -> None:
    image = "210987654321.dkr.ecr.us-west-2.amazonaws.com/team/research:1.4"
    recording = record_with("dev", with_image(image))
    assert TOKEN not in asked
    assert asked[ECR] == {
        "registryId": "210987654321",
        "region": "us-west-2",
        "repositoryName": "team/research",
        "imageTag": "1.4",
    }
    assert images(recording) == {f"{image}@{DIGEST}"}


def test_an_image_by_digest_is_asked_of_nobody(asked: dict[str, Any]) -> None:
    image = f"{TAGGED}@sha256:{'a' * 64}"
    recording = record_with("dev", with_image(image))
    assert asked == {}
    assert images(recording) == {image}
    assert recording.of_type("pulumi:providers:docker") == []


def test_a_moved_tag_is_a_change_of_the_pods_and_of_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    before = record_with("dev", with_image(TAGGED))
    monkeypatch.setitem(LOOKUPS, TOKEN, lambda args: {"id": DIGEST, "sha256Digest": DIGEST})
    after = record_with("dev", with_image(TAGGED))
    differing = {
        after.resources[urn].type
        for urn, resource in before.resources.items()
        if resource.inputs != after.resources[urn].inputs
    }
    assert differing == set(WORKLOADS)


def test_a_registry_with_a_login_is_asked_and_pulled_from_with_it() -> None:
    settings = with_image(TAGGED, registries=[{"server": "ghcr.io", "secretArn": LOGIN}])
    recording = record_with("dev", settings)
    (pull,) = [
        found
        for found in recording.of_type("kubernetes:core/v1:Secret")
        if found.inputs["type"] == "kubernetes.io/dockerconfigjson"
    ]
    data = pull.inputs["stringData"]
    assert is_secret(data)
    logins = json.loads(data.value[".dockerconfigjson"])["auths"]
    assert logins.keys() == {"ghcr.io"}
    assert logins["ghcr.io"]["username"] == "emulated"
    name = pull.outputs["metadata"]["name"]
    assert {spec["imagePullSecrets"][0]["name"] for spec in pods(recording).values()} == {name}
    (provider,) = recording.of_type("pulumi:providers:docker")
    assert is_secret(provider.inputs["registryAuth"])
    assert "emulated" not in str(provider.inputs)
    assert logins["ghcr.io"]["password"] not in str(provider.inputs)


def test_a_login_pulls_what_is_named_by_digest_too() -> None:
    settings = with_image(f"{TAGGED}@{DIGEST}", registries=[{"server": "ghcr.io", "secretArn": LOGIN}])
    recording = record_with("dev", settings)
    assert all(spec["imagePullSecrets"] for spec in pods(recording).values())


def test_a_changed_login_is_another_secret_beside_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    token = "aws:secretsmanager/getSecretVersion:getSecretVersion"
    settings = with_image(TAGGED, registries=[{"server": "ghcr.io", "secretArn": LOGIN}])
    recording = record_with("dev", settings)
    (pull,) = recording.of_type("kubernetes:core/v1:Secret")
    assert "name" not in pull.inputs["metadata"]
    assert not pull.delete_before_replace
    monkeypatch.setitem(LOOKUPS, token, lambda args: {"secretString": "hunter2"})
    with pytest.raises(Exception, match="holds no login to a registry") as error:
        record_with("dev", settings)
    assert "hunter2" not in str(error.value)


def test_stacks_without_tags_do_not_import_the_docker_package() -> None:
    program = (
        "import sys; sys.path.insert(0, '.'); from tests.conftest import recorded; recorded('dev');"
        " sys.exit('pulumi_docker' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("ghcr.io/acme/research", "has neither tag nor digest"),
        ("ghcr.io/Acme/research:1", "is no name of an image"),
        ("https://ghcr.io/acme/research:1", "is no name of an image"),
        (f"ghcr.io/acme/research@sha256:{'a' * 63}", "is no name of an image"),
    ],
)
def test_what_names_no_image_is_refused(image: str, words: str) -> None:
    text = refused(with_image(image))
    assert "agents[0].image" in text
    assert words in text


@pytest.mark.parametrize(
    ("registries", "words"),
    [
        ([{"server": "ghcr.oi", "secretArn": LOGIN}], "their registries are ghcr.io"),
        ([{"server": "ghcr.io", "secretArn": LOGIN}] * 2, "is listed twice"),
        (
            [{"server": "210987654321.dkr.ecr.us-west-2.amazonaws.com", "secretArn": LOGIN}],
            "knows the nodes by their role",
        ),
        ([{"server": "https://ghcr.io", "secretArn": LOGIN}], "such as ghcr.io"),
        ([{"server": "ghcr.io", "secretArn": LOGIN.replace("eu-central-1", "us-east-1")}], "is of us-east-1"),
    ],
)
def test_logins_that_cannot_be_right_are_refused(registries: list[dict[str, str]], words: str) -> None:
    text = refused(with_image(TAGGED, registries=registries))
    assert "registries[" in text
    assert words in text
