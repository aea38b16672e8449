"""What the sandbox puts into its cluster before a stack comes."""

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml

from sandbox.binaries import definitions
from sandbox.binaries.golang import Go
from sandbox.cluster import addons, nodes
from sandbox.cluster.api import Object
from sandbox.cluster.nodes import NodeGroup, Topology
from sandbox.common.errors import SandboxError
from stacks.instance_types import node_size
from tests.sandbox.fakes import FakeApi

OWN = Path(definitions.__file__).parent


def test_each_zone_has_two_nodes_of_the_stacks_architecture() -> None:
    labels = [node["metadata"]["labels"] for node in nodes.manifests(Topology("eu-west-1", 3, "arm64"))]
    zones = Counter(each["topology.kubernetes.io/zone"] for each in labels)
    assert zones == {"eu-west-1a": 2, "eu-west-1b": 2, "eu-west-1c": 2}
    assert {each["kubernetes.io/arch"] for each in labels} == {"arm64"}
    assert len({each["kubernetes.io/hostname"] for each in labels}) == 6


def test_nodes_have_the_size_of_the_stacks_own_types_and_stand_in_all_zones() -> None:
    size = node_size("m7i.large")
    assert size is not None
    groups = (NodeGroup("general", size, 3), NodeGroup("many", size, 500))
    made = nodes.manifests(Topology("eu-west-1", 2, "amd64", groups))
    assert made[0]["status"]["allocatable"] == {
        "cpu": "1930m",
        "memory": "6012Mi",
        "ephemeral-storage": "44Gi",
        "pods": "110",
    }
    labels = [node["metadata"]["labels"] for node in made]
    assert {each["node.kubernetes.io/instance-type"] for each in labels} == {"m7i.large"}
    assert Counter(each["langgraph-agents/node-group"] for each in labels) == {"general": 3, "many": 57}
    assert [each["topology.kubernetes.io/zone"] for each in labels[:4]] == ["eu-west-1a", "eu-west-1b"] * 2
    assert len({node["metadata"]["name"] for node in made}) == 60


class Answering(FakeApi):
    """A cluster whose kwok answers for its nodes."""

    def apply(self, manifest: Object, *, dry_run: bool = False, force: bool = False) -> Object:
        live = super().apply(manifest, dry_run=dry_run, force=force)
        live["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
        return live


def test_nodes_that_nobody_answers_for_are_reported_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "_READY_SECONDS", 0.2)
    with pytest.raises(SandboxError, match=r"sandbox-eu-west-1a-0, sandbox-eu-west-1a-1 are not Ready"):
        nodes.ensure(FakeApi(), Topology("eu-west-1", 1, "amd64"))  # type: ignore[arg-type]


def test_the_nodes_of_a_zone_that_a_stack_has_left_go() -> None:
    api = Answering()
    nodes.ensure(api, Topology("eu-west-1", 3, "amd64"))  # type: ignore[arg-type]
    nodes.ensure(api, Topology("eu-west-1", 2, "amd64"))  # type: ignore[arg-type]
    assert sorted(name for _, _, name in api.objects) == [
        "sandbox-eu-west-1a-0",
        "sandbox-eu-west-1a-1",
        "sandbox-eu-west-1b-0",
        "sandbox-eu-west-1b-1",
    ]


def test_a_definition_that_is_never_served_is_reported_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addons, "_ESTABLISHED_SECONDS", 0.2)
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "w.x"},
    }
    (tmp_path / "w.json").write_text(json.dumps(definition))
    with pytest.raises(SandboxError, match=r"does not serve w\.x"):
        addons.ensure(FakeApi(), tmp_path)  # type: ignore[arg-type]


class Restarted(FakeApi):
    """A server that was killed while it set a definition up: it goes on when the definition changes."""

    def apply(self, manifest: Object, *, dry_run: bool = False, force: bool = False) -> Object:
        key = (manifest["kind"], None, manifest["metadata"]["name"])
        before = self.objects[key]["metadata"].get("annotations") if key in self.objects else None
        live = super().apply(manifest, dry_run=dry_run, force=force)
        served = before != manifest["metadata"].get("annotations")
        live["status"] = {"conditions": [{"type": "Established", "status": str(served)}]}
        return live


def test_a_definition_that_a_killed_server_left_half_set_up_is_set_up_after_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addons, "_NUDGE_SECONDS", 0.05)
    monkeypatch.setattr(addons, "_ESTABLISHED_SECONDS", 5.0)
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "w.x", "annotations": {"made-by": "its project"}},
    }
    (tmp_path / "w.json").write_text(json.dumps(definition))
    api = Restarted()
    api.apply(definition)
    addons.ensure(api, tmp_path)  # type: ignore[arg-type]
    live = api.objects["CustomResourceDefinition", None, "w.x"]
    assert live["metadata"]["annotations"]["made-by"] == "its project"


@pytest.fixture
def go(tmp_path: Path) -> Go:
    """A `go` whose every module holds one file of each published kind."""
    module = tmp_path / "module"
    for _, _, pattern, _ in definitions.PUBLISHED:
        file = module / pattern.replace("*", "x")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("kind: Something\n")
    script = tmp_path / "go"
    script.write_text(f'#!/bin/sh\necho \'{{"Dir": "{module}", "Version": "v1.0.0"}}\'\n')
    script.chmod(0o755)
    return Go(script, "fake")


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    for folder, *_ in definitions.PUBLISHED:
        (tmp_path / "go-modules" / folder).mkdir(parents=True, exist_ok=True)
    return tmp_path / "go-modules"


def test_published_and_own_definitions_are_collected(go: Go, modules: Path, tmp_path: Path) -> None:
    definitions.collect(go, modules, tmp_path)
    assert json.loads((tmp_path / "crds" / "traefik.io_x.json").read_text()) == {"kind": "Something"}
    assert (tmp_path / "crds" / "secrets-store.csi.x-k8s.io_secretproviderclasses.json").exists()
    assert {"pod-x.yaml", "node-x.yaml", "certificates.yaml"} <= {
        file.name for file in (tmp_path / "stages").iterdir()
    }


def test_a_module_whose_files_have_moved_is_reported_by_name(go: Go, modules: Path, tmp_path: Path) -> None:
    (tmp_path / "module" / "deploy/crds/cert-manager.io_x.yaml").unlink()
    with pytest.raises(
        SandboxError,
        match=r"cert-manager v1.0.0 has no deploy/crds/cert-manager.io_\*.yaml: its layout changed",
    ):
        definitions.collect(go, modules, tmp_path)


def test_a_changed_definition_of_our_own_is_another_folder_in_the_cache() -> None:
    assert (OWN / "stages" / "certificates.yaml").read_text() in definitions.own_content()


def test_every_stage_of_our_own_answers_for_one_kind() -> None:
    files = sorted((OWN / "stages").glob("*.yaml"))
    stages = [stage for file in files for stage in yaml.safe_load_all(file.read_text())]
    kinds = [stage["spec"]["resourceRef"]["kind"] for stage in stages]
    assert sorted(kinds) == ["Certificate", "ClusterIssuer", "Ingress", "Service"]
    assert {stage["kind"] for stage in stages} == {"Stage"}
