"""The copy of a stack file that the sandbox runs on."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.cluster.nodes import Topology
from sandbox.common.errors import InputError
from sandbox.engine import stackfile
from stacks import reading

PROJECT = "langgraph-agents"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: python\n")
    (tmp_path / "work").mkdir()
    return tmp_path


def write(project: Path, config: dict[str, Any], **more: Any) -> stackfile.StackFile:
    (project / "Pulumi.dev.yaml").write_text(json.dumps({"config": config, **more}))
    return stackfile.load(project, "dev")


def copied(project: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((project / "work" / "Pulumi.dev.yaml").read_text())
    return loaded


ENCRYPTED = {
    "aws:region": "eu-central-1",
    f"{PROJECT}:apiKeys": {"support": {"OPENAI_API_KEY": {"secure": "AAAB"}, "note": "plain"}},
    f"{PROJECT}:list": ["a", {"secure": "AAAC"}],
    f"{PROJECT}:whole": {"secure": "AAAD"},
}


def test_each_encrypted_value_gets_a_stand_in_at_its_path(project: Path) -> None:
    stand_ins = stackfile.copy(write(project, ENCRYPTED), project / "work")
    assert set(stand_ins) == {
        f'{PROJECT}:apiKeys["support"]["OPENAI_API_KEY"]',
        f"{PROJECT}:list[1]",
        f"{PROJECT}:whole",
    }
    assert len(set(stand_ins.values())) == 3


def test_the_copy_has_no_encrypted_value_and_keeps_all_others(project: Path) -> None:
    stackfile.copy(write(project, ENCRYPTED), project / "work")
    assert copied(project)["config"] == {
        "aws:region": "eu-central-1",
        f"{PROJECT}:apiKeys": {"support": {"note": "plain"}},
        f"{PROJECT}:list": ["a", ""],
    }


@pytest.mark.parametrize(
    "text", ["12e4", "1e3", "no", "true", "1:30", "2027-01-31", "1.30", "null", "~", "0x1f"]
)
def test_a_text_in_quotes_is_a_text_in_the_copy_whatever_it_looks_like(project: Path, text: str) -> None:
    stackfile.copy(write(project, {"aws:region": "r", "p:text": text}), project / "work")
    line = next(
        line for line in (project / "work" / "Pulumi.dev.yaml").read_text().splitlines() if "p:text" in line
    )
    assert line.strip() == f"p:text: '{text}'"
    assert reading.read(project / "work" / "Pulumi.dev.yaml").config["p:text"] == text


def test_the_file_itself_is_never_written(project: Path) -> None:
    source = write(project, ENCRYPTED, encryptionsalt="v1:own")
    before = (source.path.read_bytes(), source.path.stat().st_mtime_ns)
    stackfile.copy(source, project / "work")
    assert (source.path.read_bytes(), source.path.stat().st_mtime_ns) == before


def test_the_stacks_own_encryption_is_left_behind_and_the_copys_salt_kept(project: Path) -> None:
    source = write(
        project, ENCRYPTED, encryptionsalt="v1:own", secretsprovider="awskms://key", encryptedkey="k"
    )
    stackfile.copy(source, project / "work")
    assert set(copied(project)) == {"config"}
    target = project / "work" / "Pulumi.dev.yaml"
    target.write_text(yaml.safe_dump({"encryptionsalt": "v1:sandbox"}))
    stackfile.copy(source, project / "work")
    assert copied(project)["encryptionsalt"] == "v1:sandbox"


def test_a_changed_encrypted_value_has_another_stand_in_and_an_equal_one_the_same(project: Path) -> None:
    def stand_in(encrypted: str) -> str:
        source = write(project, {f"{PROJECT}:key": {"secure": encrypted}})
        return stackfile.copy(source, project / "work")[f"{PROJECT}:key"]

    assert stand_in("AAAB") == stand_in("AAAB") != stand_in("AAAC")


def test_a_complete_copy_is_left_alone_until_the_file_changes(project: Path) -> None:
    source = write(project, ENCRYPTED)
    assert stackfile.copy(source, project / "work")
    assert stackfile.copy(source, project / "work"), "not complete yet"
    stackfile.complete(source, project / "work")
    assert stackfile.copy(source, project / "work") == {}
    assert stackfile.copy(write(project, {**ENCRYPTED, "aws:region": "eu-west-1"}), project / "work")


def test_a_missing_stack_is_reported_with_those_that_there_are(project: Path) -> None:
    write(project, {})
    with pytest.raises(InputError, match=r"there is no .*Pulumi\.qa\.yaml: give STACK=dev"):
        stackfile.load(project, "qa")


def test_a_file_that_is_not_yaml_is_reported_with_its_place(project: Path) -> None:
    (project / "Pulumi.dev.yaml").write_text("config:\n  a: [1\n  b: 2\n")
    with pytest.raises(InputError, match=r"Pulumi\.dev\.yaml is not YAML: (.|\n)*line 3"):
        stackfile.load(project, "dev")


@pytest.mark.parametrize("text", ["- a\n", "just words\n"])
def test_a_file_that_is_no_mapping_is_refused(project: Path, text: str) -> None:
    (project / "Pulumi.dev.yaml").write_text(text)
    with pytest.raises(InputError, match="has to be an object"):
        stackfile.load(project, "dev")


def test_a_key_that_stands_twice_is_refused_before_anything_runs(project: Path) -> None:
    (project / "Pulumi.dev.yaml").write_text("config:\n  a: 1\n  a: 2\n")
    with pytest.raises(InputError, match=r"a of config stands in line 2 and again in line 3: keep one"):
        stackfile.load(project, "dev")


def test_a_stack_may_have_any_name_beside_those_that_are_there(project: Path) -> None:
    write(project, {"aws:region": "eu-west-1"})
    (project / "Pulumi.case.yaml").write_text("config: {aws:region: eu-central-1}\n")
    assert stackfile.load(project, "case").topology(PROJECT).region == "eu-central-1"
    with pytest.raises(InputError, match="STACK=case or STACK=dev"):
        stackfile.load(project, "qa")


def test_what_policies_ask_is_read_as_the_settings_are(project: Path) -> None:
    assert (
        write(project, {f"{PROJECT}:settings": {"production": True}}).for_policies(PROJECT).production is True
    )
    with pytest.raises(InputError, match=r"production: no\n +write true or false"):
        write(project, {f"{PROJECT}:settings": {"production": "no"}}).for_policies(PROJECT)


def test_the_nodes_stand_in_the_stacks_zones(project: Path) -> None:
    settings = {"network": {"zones": 3}, "cluster": {"architecture": "arm64"}}
    source = write(project, {"aws:region": "eu-west-1", f"{PROJECT}:settings": settings})
    assert source.topology(PROJECT) == Topology("eu-west-1", 3, "arm64")


def test_there_are_nodes_like_the_stacks_own(project: Path) -> None:
    groups: list[object] = [
        {"name": "general", "instanceTypes": ["m7i.xlarge", "m7i.large"], "minSize": 1, "maxSize": 4},
        {"name": "odd", "instanceTypes": ["i4i.large"], "minSize": 1, "maxSize": 4},
        "not a group",
    ]
    cluster: dict[str, object] = {"architecture": "x86_64", "nodeGroups": groups}
    settings = {"cluster": cluster}
    topology = write(project, {"aws:region": "eu-west-1", f"{PROJECT}:settings": settings}).topology(PROJECT)
    (group,) = topology.groups
    assert (group.name, group.size.instance_type, group.nodes) == ("general", "m7i.large", 4)
    assert topology.architecture == "amd64"
    cluster["compute"] = "karpenter"
    # The groups hold controllers alone, and what agents get is started for them.
    karpenter = write(project, {"aws:region": "eu-west-1", f"{PROJECT}:settings": settings})
    assert karpenter.topology(PROJECT).groups == ()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "aws:region is None: name the region"),
        ({"aws:region": "r", f"{PROJECT}:settings": {"network": {"zones": "two"}}}, "network.zones is 'two'"),
        ({"aws:region": "r", f"{PROJECT}:settings": {"network": {"zones": 0}}}, "network.zones is 0"),
        ({"aws:region": "r", f"{PROJECT}:settings": {"network": {"zones": True}}}, "network.zones is True"),
    ],
)
def test_a_setting_that_the_nodes_depend_on_is_refused_by_name(
    project: Path, config: Any, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        write(project, config).topology(PROJECT)


def test_another_kubernetes_version_than_the_built_one_is_refused_with_the_remedy(project: Path) -> None:
    source = write(project, {f"{PROJECT}:settings": {"cluster": {"version": "1.35"}}})
    with pytest.raises(
        InputError, match=r"cluster.version is 1.35, and the sandbox runs Kubernetes 1.36: .*go.mod"
    ):
        source.check_kubernetes(PROJECT, "1.36")
    source.check_kubernetes(PROJECT, "1.35")


def test_a_version_without_quotes_is_compared_as_it_is_written(project: Path) -> None:
    text = f"config:\n  {PROJECT}:settings: {{cluster: {{version: 1.30}}}}\n"
    (project / "Pulumi.dev.yaml").write_text(text)
    source = stackfile.load(project, "dev")
    source.check_kubernetes(PROJECT, "1.30")
    with pytest.raises(InputError, match=r"cluster.version is 1.30, and"):
        source.check_kubernetes(PROJECT, "1.36")


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Pulumi\.yaml is missing"):
        stackfile.project_name(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("runtime: python\n")
    with pytest.raises(InputError, match="name is None"):
        stackfile.project_name(tmp_path)


def test_the_projects_of_the_agents_that_are_built_here_are_known(project: Path) -> None:
    agents = [
        {"name": "support", "model": "fake"},
        {"name": "orders", "source": "examples/orders"},
        {"name": "ready", "image": "registry.example.com/ready@sha256:1"},
    ]
    stack = write(project, {f"{PROJECT}:settings": {"agents": agents}})
    assert stack.sources(PROJECT) == {"support": None, "orders": project / "examples" / "orders"}
    assert write(project, {}).sources(PROJECT) == {}
