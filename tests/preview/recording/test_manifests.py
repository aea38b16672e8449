"""The manifests: what the API server would be given, in an order in which it takes it."""

from dataclasses import replace
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from preview.recording import manifests
from preview.recording.plan import Plan, PlannedResource, Secret
from tests.preview.projects import plan_of, project_plan

# Kinds that add-ons bring have no schema in Kubernetes itself.
_OF_ADDONS = {"ClusterIssuer", "Middleware", "SecretProviderClass", "ServiceMonitor", "PrometheusRule"}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_object_is_a_file_that_kubernetes_accepts(stack: str, tmp_path: Path) -> None:
    plan = plan_of(stack)
    count = manifests.write(plan, tmp_path)
    files = sorted(tmp_path.iterdir())
    expected = [r for r in plan.resources.values() if r.package == "kubernetes" and r.kind != "Release"]
    assert len(files) == count == len(expected)
    for file in files:
        manifest = yaml.safe_load(file.read_text())
        assert manifest["metadata"]["name"]
        if manifest["kind"] not in _OF_ADDONS:
            kubernetes_validate.validate(manifest, "1.36", strict=True)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_nothing_comes_before_what_it_waits_for(stack: str) -> None:
    plan = plan_of(stack)
    order = [manifest["metadata"]["name"] + manifest["kind"] for _, manifest in manifests.objects(plan)]
    for resource in plan.resources.values():
        if not _is_listed(resource):
            continue
        for urn in resource.dependencies:
            other = plan.resources[urn]
            if _is_listed(other):
                assert order.index(_key(other)) < order.index(_key(resource))


def test_names_sort_as_they_are_applied_and_leftovers_go(tmp_path: Path) -> None:
    (tmp_path / "99-old.yaml").write_text("")
    manifests.write(project_plan("dev"), tmp_path)
    names = [name for name, _ in manifests.objects(project_plan("dev"))]
    assert sorted(names) == names == sorted(file.name for file in tmp_path.iterdir())


def test_a_secret_of_kubernetes_shows_its_keys_and_not_its_values(tmp_path: Path) -> None:
    plan = project_plan("dev")
    like = plan.named("support-workload-config")
    inputs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"password": Secret()}}
    secret = replace(like, type="kubernetes:core/v1:Secret", inputs=inputs, outputs=inputs, dependencies=())
    manifests.write(_only(plan, secret), tmp_path)
    [file] = tmp_path.iterdir()
    assert yaml.safe_load(file.read_text())["stringData"] == {"password": "[secret]"}


def _only(plan: Plan, resource: PlannedResource) -> Plan:
    return replace(plan, resources={resource.urn: resource})


def _is_listed(resource: PlannedResource) -> bool:
    return resource.package == "kubernetes" and resource.custom and resource.kind != "Release"


def _key(resource: PlannedResource) -> str:
    return str(resource.outputs["metadata"]["name"]) + resource.kind
