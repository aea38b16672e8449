"""The Kustomize folder: what is shared, what is a stack's own, and that nothing else is lost or written over."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests.__main__ import main
from manifests.kustomize import files
from manifests.objects import ClusterObjects, cluster_objects, name_of
from preview.recording.plan import Secret
from tests.preview.projects import ROOT, Settings, project, stack_file


def _run(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def _loaded(text: str) -> Any:
    return yaml.safe_load(text)


@pytest.fixture(scope="module")
def both() -> dict[str, ClusterObjects]:
    return {stack: cluster_objects(stack, ROOT) for stack in ("dev", "prod")}


def test_the_base_names_no_stack_account_or_entry_of_secrets_manager(both: dict[str, ClusterObjects]) -> None:
    base = {path: text for path, text in files(both).items() if path.startswith("base/")}
    assert "base/deployment-support.yaml" in base
    for path, text in base.items():
        for word in ("123456789012", "secretsmanager", "app.kubernetes.io/instance: "):
            assert word not in text, path


def test_what_all_stacks_have_is_in_the_base_and_what_one_has_in_its_overlay(
    both: dict[str, ClusterObjects],
) -> None:
    written = files(both)
    assert "base/service-support.yaml" in written
    assert "overlays/prod/service-research.yaml" in written
    assert "overlays/prod/patches/horizontalpodautoscaler-support.yaml" in written
    assert not any("research" in path for path in written if not path.startswith("overlays/prod/"))


def test_entries_of_secrets_manager_have_the_names_that_they_are_made_with(
    both: dict[str, ClusterObjects],
) -> None:
    text = files(both)["overlays/prod/secretproviderclass-support.yaml"]
    objects = json.loads(_loaded(text)["spec"]["parameters"]["objects"])
    assert {each["objectAlias"]: each["objectName"] for each in objects}["OPENAI_API_KEY"] == (
        "langgraph-agents/prod/support/OPENAI_API_KEY"
    )


def test_an_arn_that_a_stack_file_names_stays(tmp_path: Path) -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:999999999999:secret:theirs-AbCdEf"

    def with_theirs(settings: Settings) -> None:
        settings["agents"][0]["secrets"] = [
            {"name": "API_KEYS", "source": "generated"},
            {"name": "OPENAI_API_KEY", "source": "existing", "arn": arn},
        ]

    found = cluster_objects("dev", project(tmp_path, settings=with_theirs))
    assert arn in files({"dev": found})["overlays/dev/secretproviderclass-support.yaml"]


def test_a_secret_is_told_of_and_not_written(
    both: dict[str, ClusterObjects], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = """
    from contextlib import contextmanager
    import pulumi, pulumi_kubernetes as k8s

    @contextmanager
    def changed():
        yield
        k8s.core.v1.Secret(
            "token", metadata={"name": "token", "namespace": "x"}, string_data={"t": pulumi.Output.secret("hush")}
        )
    """
    code, out, _ = _run("--project", project(tmp_path, program=program), "--stack", "dev", capsys=capsys)
    assert code == 0
    assert "Secret x/token" in out
    folder = tmp_path / "build" / "manifests" / "dev"
    texts = [file.read_text() for file in folder.rglob("*") if file.is_file()]
    assert not any("hush" in text or repr(Secret()) in text or "kind: Secret\n" in text for text in texts)


def test_a_repeat_writes_the_same_and_leftovers_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = project(tmp_path), tmp_path / "there"
    contents = []
    for _ in range(2):
        assert _run("--project", folder, "--out", out, capsys=capsys)[0] == 0
        contents.append({file: file.read_bytes() for file in out.rglob("*") if file.is_file()})
        (out / "base" / "old.yaml").write_text("")
    assert contents[0] == contents[1]
    assert {path.name for path in tmp_path.iterdir() if "there" in path.name} == {"there"}


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = project(tmp_path), tmp_path / "theirs"
    out.mkdir()
    (out / "letter.txt").write_text("mine")
    code, _, said = _run("--project", folder, "--out", out, capsys=capsys)
    assert code == 2
    assert f"{out} is there, and was not written by this command" in said
    assert (out / "letter.txt").read_text() == "mine"


def test_what_is_wrong_with_all_stacks_is_said_at_once_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path)
    for stack, host in (("dev", "not a host"), ("prod", "nor this")):
        content = stack_file(stack)
        content["config"]["langgraph-agents:settings"]["agents"][0]["host"] = host
        (folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(content))
    code, out, _ = _run("--project", folder, "--json", capsys=capsys)
    assert code == 2
    error = json.loads(out)["error"]
    assert "not a host" in error
    assert "nor this" in error
    assert not (tmp_path / "build").exists()


def test_a_stack_that_is_not_there_is_named_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, said = _run("--project", project(tmp_path), "--stack", "dve", capsys=capsys)
    assert code == 2
    assert "dve" in said
    assert "dev" in said


def test_programs_are_told_what_the_cluster_needs_besides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = _run("--project", project(tmp_path), "--stack", "dev", "--json", capsys=capsys)
    assert code == 0
    [(stack, told)] = json.loads(out)["overlays"].items()
    assert stack == "dev"
    assert told["apis"] == ["cert-manager.io/v1", "secrets-store.csi.x-k8s.io/v1", "traefik.io/v1alpha1"]
    assert any(each.startswith("traefik/traefik (chart traefik ") for each in told["helm_releases"])
    assert told["try"].startswith("kubectl apply --server-side -k ")


def test_objects_of_one_kind_and_name_in_two_namespaces_have_a_file_each(
    both: dict[str, ClusterObjects],
) -> None:
    dev = both["dev"]
    [quota] = [each for each in dev.objects if each["kind"] == "ResourceQuota"]
    other = {**quota, "metadata": {**quota["metadata"], "namespace": "traefik"}}
    written = files({"dev": ClusterObjects(dev.plan, (*dev.objects, other), ())})
    assert {
        name_of(_loaded(written[f"base/resourcequota-quota.{space}.yaml"]))
        for space in ("traefik", "langgraph-agents")
    } == {"traefik/quota", "langgraph-agents/quota"}
