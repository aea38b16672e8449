"""The real Helm makes of the charts what the program makes of the stack files, object by object."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from manifests.chart.__main__ import main
from preview.recording import manifests
from preview.recording.program import make_plan
from tests.preview.projects import ROOT, Settings, project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

Object = dict[str, Any]

# All that may differ: what a release is called, and digests of which Helm makes its own.
_LABELS = ("app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart")
_ANNOTATIONS = ("checksum/config", "checksum/secrets")
_JOB = re.compile(r"(-migration-job)-\w{8}")
# Emulated, as are its last six characters: the chart has the entry's name.
_ARN = re.compile(r"arn:aws:secretsmanager:eu-central-1:123456789012:secret:([\w/-]+)-\w{6}")
OTHER_IMAGE = f"registry.example.com/team/other:v2@sha256:{'1' * 64}"
_OF_ADDONS = {"Middleware", "SecretProviderClass", "ScaledObject", "ExternalSecret"}


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A project of the development stack with a ready image, and the chart of its agent."""
    folder = project(tmp_path_factory.mktemp("dev"))
    return folder, _charts(folder, "dev") / "support"


@pytest.mark.parametrize(("stack", "agent"), [("dev", "support"), ("prod", "support"), ("prod", "research")])
def test_a_chart_is_what_the_program_makes_of_the_agent(
    stack: str, agent: str, helm: Path, tmp_path: Path
) -> None:
    assert main(["--stack", stack, "--out", str(tmp_path)]) == 0
    _same(_rendered(helm, tmp_path / agent), _recorded(ROOT, stack, agent))


def _pooled(settings: Settings) -> None:
    settings["database"]["pooler"] = "pgbouncer"


def _queue(settings: Settings) -> None:
    settings["agents"][0]["workers"] = {"replicas": {"min": 0, "max": 4}, "autoscaling": {"queue": 5}}


def _workers(settings: Settings) -> None:
    settings["agents"][0]["workers"] = {"replicas": {"min": 1, "max": 4}}


def _balanced(settings: Settings) -> None:
    settings["ingress"]["controller"] = "alb"


def _agent_server(settings: Settings) -> None:
    secrets = [{"name": "LANGGRAPH_CLOUD_LICENSE_KEY", "source": "manual"}]
    settings["agents"][0] |= {"runtime": "langgraph-server", "image": OTHER_IMAGE, "secrets": secrets}
    settings["agents"][0]["env"] = {"LANGGRAPH_AUTH_TYPE": "noop"}
    del settings["agents"][0]["model"]


@pytest.mark.parametrize("change", [_pooled, _queue, _workers, _balanced, _agent_server])
def test_so_is_that_of_a_stack_of_another_shape(
    change: Callable[[Settings], None], helm: Path, tmp_path: Path
) -> None:
    folder = project(tmp_path, settings=change)
    # PgBouncer's image is built from a folder there.
    (folder / "components").symlink_to(ROOT / "components")
    _same(_rendered(helm, _charts(folder, "dev") / "support"), _recorded(folder, "dev", "support"))


# What is set by a value, and by which setting of the stack file.
_SWITCHES: Mapping[str, tuple[Object, Object]] = {
    "replicas": ({"autoscaling": {"minReplicas": 2, "maxReplicas": 7}}, {"replicas": {"min": 2, "max": 7}}),
    "targets": (
        {"autoscaling": {"targetCPUUtilizationPercentage": 55, "targetMemoryUtilizationPercentage": 66}},
        {"autoscaling": {"cpu": 55, "memory": 66}},
    ),
    "resources": (
        {
            "resources": {
                "requests": {"cpu": "250m", "memory": "512Mi"},
                "limits": {"cpu": "750m", "memory": "1Gi"},
            }
        },
        {
            "resources": {
                "requests": {"cpu": "250m", "memory": "512Mi"},
                "limits": {"cpu": "750m", "memory": "1Gi"},
            }
        },
    ),
    "lifetimes": (
        {"lifetimes": {"runTimeout": 120, "preStop": 5, "gracePeriod": 200}},
        {"lifetimes": {"runTimeout": 120, "preStop": 5, "gracePeriod": 200}},
    ),
    "rate-limit": ({"rateLimit": {"average": 7, "burst": 9}}, {"rateLimit": {"average": 7, "burst": 9}}),
    "retention": (
        {"prune": {"schedule": "5 4 * * 0", "olderThanDays": 7}},
        {"retention": {"schedule": "5 4 * * 0", "idleDays": 7}},
    ),
    "host": ({"ingress": {"host": "other.dev.agents.example.com"}}, {"host": "other.dev.agents.example.com"}),
    "configuration": (
        {
            "config": {
                "LOG_LEVEL": "debug",
                "MAX_ITERATIONS": "7",
                "GREETING": "{{hi}}",
            }
        },
        {
            "logLevel": "debug",
            "maxIterations": 7,
            "env": {"GREETING": "{{hi}}"},
        },
    ),
    "image": (
        {
            "image": {
                "repository": "registry.example.com/team/other",
                "tag": "v2",
                "digest": f"sha256:{'1' * 64}",
            }
        },
        {"image": f"registry.example.com/team/other:v2@sha256:{'1' * 64}"},
    ),
    "tolerations": (
        {
            "tolerations": [{"key": "agents", "operator": "Exists", "effect": "NoSchedule"}],
            "nodeSelector": {"pool": "a"},
        },
        {
            "pod": {
                "tolerations": [{"key": "agents", "operator": "Exists", "effect": "NoSchedule"}],
                "nodeSelector": {"pool": "a"},
            }
        },
    ),
}


@pytest.mark.parametrize("switch", _SWITCHES)
def test_a_value_does_what_the_setting_does(
    switch: str, dev: tuple[Path, Path], helm: Path, tmp_path: Path
) -> None:
    values, settings = _SWITCHES[switch]
    folder = project(tmp_path, settings=lambda all_: all_["agents"][0].update(settings))
    recorded = _recorded(folder, "dev", "support")
    assert recorded != _recorded(dev[0], "dev", "support")
    _same(_rendered(helm, dev[1], values), recorded)


_OFF: Mapping[str, tuple[Object, set[str]]] = {
    "ingress": ({"ingress": {"enabled": False}}, {"Ingress", "Middleware"}),
    "limit": ({"rateLimit": {"enabled": False}}, {"Middleware"}),
    "policies": ({"networkPolicy": {"enabled": False}}, {"NetworkPolicy"}),
    "budget": ({"podDisruptionBudget": {"enabled": False}}, {"PodDisruptionBudget"}),
    "accounts": ({"serviceAccount": {"create": False}}, {"ServiceAccount"}),
    "prune": ({"prune": {"enabled": False}}, {"CronJob"}),
    "autoscaling": ({"autoscaling": {"enabled": False}}, {"HorizontalPodAutoscaler"}),
    "migration": ({"migration": {"enabled": False}}, {"Job"}),
    "secret": (
        {"secrets": {"source": "existingSecret", "existingSecret": "mine"}},
        {"SecretProviderClass"},
    ),
}


@pytest.mark.parametrize("switch", _OFF)
def test_what_is_turned_off_is_not_there_and_the_rest_is(
    switch: str, dev: tuple[Path, Path], helm: Path
) -> None:
    values, gone = _OFF[switch]
    whole, less = _rendered(helm, dev[1]), _rendered(helm, dev[1], values)
    assert {each["kind"] for each in whole} - {each["kind"] for each in less} == gone
    _valid(less)


def test_without_autoscaling_there_are_as_many_pods_as_the_values_say(
    dev: tuple[Path, Path], helm: Path
) -> None:
    found = _rendered(helm, dev[1], {"autoscaling": {"enabled": False}, "replicaCount": 4})
    assert _one(found, "Deployment")["spec"]["replicas"] == 4
    assert "replicas" not in _one(_rendered(helm, dev[1]), "Deployment")["spec"]


def test_pods_read_the_secret_that_is_named(dev: tuple[Path, Path], helm: Path) -> None:
    secrets = {"source": "existingSecret", "existingSecret": "mine", "existingMigrationSecret": "admins"}
    found = _rendered(helm, dev[1], {"secrets": secrets})
    assert _secrets_of(_one(found, "Deployment")["spec"]["template"]) == ["mine"]
    assert _secrets_of(_one(found, "Job")["spec"]["template"]) == ["admins"]
    # Nothing else of the pods differs.
    ours, theirs = _one(found, "Deployment"), _one(_rendered(helm, dev[1]), "Deployment")
    for each in (ours, theirs):
        spec = each["spec"]["template"]["spec"]
        spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] != "secrets"]
    assert ours == theirs


def test_an_external_secret_reads_the_entries_of_the_program(dev: tuple[Path, Path], helm: Path) -> None:
    secrets = {"source": "externalSecret", "secretStoreRef": {"name": "vault", "kind": "SecretStore"}}
    found = _rendered(helm, dev[1], {"secrets": secrets})
    external = {each["metadata"]["name"]: each["spec"] for each in found if each["kind"] == "ExternalSecret"}
    assert set(external) == {"support", "support-migrate"}
    assert {each["secretKey"]: each["remoteRef"]["key"] for each in external["support"]["data"]} == {
        "API_KEYS": "langgraph-agents/dev/support/API_KEYS",
        "DATABASE_URI": "langgraph-agents/dev/support/database",
        "REDIS_URI": "langgraph-agents/dev/support/cache",
    }
    assert external["support"]["secretStoreRef"] == {"name": "vault", "kind": "SecretStore"}
    assert _secrets_of(_one(found, "Deployment")["spec"]["template"]) == ["support"]
    assert _secrets_of(_one(found, "Job")["spec"]["template"]) == ["support-migrate"]


def test_stores_of_its_own_are_what_kubernetes_takes_and_what_pods_are_told(
    dev: tuple[Path, Path], helm: Path
) -> None:
    values = {
        "secrets": {"source": "existingSecret", "existingSecret": "mine"},
        "postgresql": {"enabled": True},
        "valkey": {"enabled": True},
    }
    found = _rendered(helm, dev[1], values)
    _valid(found)
    assert {each["metadata"]["name"] for each in found if each["kind"] == "StatefulSet"} == {
        "support-postgresql",
        "support-valkey",
    }
    told = _one(found, "Secret")["stringData"]
    assert told["POSTGRES_PASSWORD"] in told["DATABASE_URI"]
    assert told["VALKEY_PASSWORD"] in told["REDIS_URI"]
    assert "support-postgresql.langgraph-agents.svc:5432/" in told["DATABASE_URI"]
    assert _secrets_of(_one(found, "Deployment")["spec"]["template"]) == ["mine", "support-stores"]
    allowed = {each["metadata"]["name"] for each in found if each["kind"] == "NetworkPolicy"}
    assert {"support-to-postgresql", "support-postgresql"} <= allowed


def test_helm_finds_nothing_to_say_about_a_chart(dev: tuple[Path, Path], helm: Path) -> None:
    done = subprocess.run([helm, "lint", "--strict", dev[1]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout
    assert "[ERROR]" not in done.stdout


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicas": 3}, "replicas"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"config": {"MAX_ITERATIONS": 7}}, "MAX_ITERATIONS"),
        ({"secrets": {"source": "vault"}}, "source"),
        ({"secrets": {"source": "existingSecret"}}, "secrets.existingSecret is empty: name the Secret"),
        ({"autoscaling": {"minReplicas": 9}}, "autoscaling.minReplicas is 9: lower it"),
        ({"lifetimes": {"gracePeriod": 100}}, "lifetimes.gracePeriod is 100: raise it above"),
        ({"postgresql": {"enabled": True}}, "secrets.source is secretsManager, and postgresql.enabled"),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    values: Object, said: str, dev: tuple[Path, Path], helm: Path
) -> None:
    done = _template(helm, dev[1], values)
    assert done.returncode != 0
    assert said in done.stderr


def test_all_values_that_do_not_go_together_are_said_at_once(dev: tuple[Path, Path], helm: Path) -> None:
    values = {"autoscaling": {"minReplicas": 9}, "lifetimes": {"gracePeriod": 100}}
    said = _template(helm, dev[1], values).stderr
    assert "autoscaling.minReplicas" in said
    assert "lifetimes.gracePeriod" in said


def test_two_releases_in_a_namespace_share_no_object(dev: tuple[Path, Path], helm: Path) -> None:
    second = {"database": {"certificates": {"create": False}}}
    names = [
        {
            (each["kind"], each["metadata"]["name"])
            for each in _rendered(helm, dev[1], values, release=release)
        }
        for release, values in (("one", {}), ("two", second))
    ]
    assert not names[0] & names[1]
    [service] = [each for each in _rendered(helm, dev[1], second, release="two") if each["kind"] == "Service"]
    assert service["spec"]["selector"]["app.kubernetes.io/name"] == "two"


def _charts(folder: Path, stack: str) -> Path:
    assert main(["--project", str(folder), "--stack", stack]) == 0
    return folder / "build" / "chart" / stack


def _template(
    helm: Path, chart: Path, values: Object, release: str = ""
) -> "subprocess.CompletedProcess[str]":
    command = [
        helm,
        "template",
        release or chart.name,
        chart,
        "--namespace",
        "langgraph-agents",
        "--skip-tests",
    ]
    return subprocess.run(
        [*map(str, command), "--values", "-"], input=yaml.safe_dump(values), capture_output=True, text=True
    )


def _rendered(helm: Path, chart: Path, values: Object | None = None, release: str = "") -> list[Object]:
    done = _template(helm, chart, values or {}, release)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def _recorded(folder: Path, stack: str, agent: str) -> list[Object]:
    """The program's objects of an agent, and the certificates that its pods mount."""
    objects = [manifest for _, manifest in manifests.objects(make_plan(stack, folder))]
    found: list[Object] = json.loads(_ARN.sub(r"\1", json.dumps(objects)))
    names = {agent: "app.kubernetes.io/name", "database-certificates": ""}
    return [
        each
        for each in found
        if each["metadata"]["labels"].get(names[agent]) == agent
        or (each["kind"], each["metadata"]["name"]) == ("ConfigMap", "database-certificates")
    ]


def _same(rendered: Sequence[Object], recorded: Sequence[Object]) -> None:
    _valid(rendered)
    ours = {_key(each): each for each in map(_comparable, recorded)}
    theirs = {_key(each): each for each in map(_comparable, rendered)}
    assert len(ours) == len(recorded)
    assert len(theirs) == len(rendered)
    assert set(theirs) == set(ours)
    for key, each in theirs.items():
        assert each == ours[key], key


def _comparable(manifest: Object) -> Object:
    """Without what may differ."""
    found = deepcopy(manifest)
    for metadata in _metadata(found):
        for label in _LABELS:
            metadata.get("labels", {}).pop(label, None)
        for annotation in _ANNOTATIONS:
            metadata.get("annotations", {}).pop(annotation, None)
        if not metadata.get("annotations", True):
            del metadata["annotations"]
    found["metadata"]["name"] = _JOB.sub(r"\1", found["metadata"]["name"])
    if found["kind"] == "SecretProviderClass":
        objects = json.loads(found["spec"]["parameters"]["objects"])
        found["spec"]["parameters"]["objects"] = sorted(objects, key=lambda each: str(each["objectAlias"]))
    return found


def _metadata(manifest: Any) -> list[Object]:
    own = [manifest["metadata"]] if isinstance(manifest.get("metadata"), dict) else []
    spec = manifest.get("spec") or {}
    inner = [spec[key] for key in ("template", "jobTemplate") if isinstance(spec.get(key), dict)]
    return [*own, *(found for each in inner for found in _metadata(each))]


def _valid(objects: Sequence[Object]) -> None:
    for each in objects:
        if each["kind"] not in _OF_ADDONS:
            kubernetes_validate.validate(each, "1.36", strict=True)


def _one(objects: Sequence[Object], kind: str) -> Object:
    [found] = [each for each in objects if each["kind"] == kind]
    return found


def _secrets_of(template: Object) -> list[str]:
    [volume] = [each for each in template["spec"]["volumes"] if each["name"] == "secrets"]
    return [each["secret"]["name"] for each in volume["projected"]["sources"]]


def _key(manifest: Object) -> tuple[str, ...]:
    metadata = manifest["metadata"]
    return manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"]
