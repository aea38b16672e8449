"""Charts as they are written: no value of a secret, a schema that their own values pass, whole or not at all."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from manifests.chart.__main__ import main
from manifests.chart.chart import agents_of, files
from manifests.chart.parameters import Chart
from manifests.chart.template import block, expression, template, when
from manifests.objects import ClusterObjects, cluster_objects
from tests.preview.projects import ROOT, project


@pytest.fixture(scope="module")
def prod() -> ClusterObjects:
    return cluster_objects("prod", ROOT)


def test_each_agent_of_a_stack_has_a_chart_with_what_charts_have(prod: ClusterObjects) -> None:
    assert agents_of(prod) == ["research", "support"]
    written = files(prod, "research")
    templates = {path.removeprefix("templates/") for path in written if path.startswith("templates/")}
    assert {"Chart.yaml", "values.yaml", "values.schema.json"} <= set(written)
    assert {
        "deployment.yaml",
        "service.yaml",
        "ingress.yaml",
        "configmap.yaml",
        "secret.yaml",
        "hpa.yaml",
    } <= templates
    assert {"serviceaccount.yaml", "networkpolicy-server.yaml", "pdb.yaml", "NOTES.txt"} <= templates
    assert "tests/answers.yaml" in templates


def test_a_charts_own_values_are_those_of_its_stack_and_pass_its_schema(prod: ClusterObjects) -> None:
    written = files(prod, "research")
    values = yaml.safe_load(written["values.yaml"])
    jsonschema.validate(values, json.loads(written["values.schema.json"]))
    assert values["autoscaling"]["maxReplicas"] == 6
    assert values["config"]["MODEL"] == "anthropic:claude-sonnet-4-5"
    assert values["lifetimes"] == {"runTimeout": 600, "preStop": 15, "gracePeriod": 640}
    assert (
        values["secrets"]["entries"]["ANTHROPIC_API_KEY"]
        == "langgraph-agents/prod/research/ANTHROPIC_API_KEY"
    )


def test_a_schema_refuses_what_is_not_known_and_what_has_another_type(prod: ClusterObjects) -> None:
    written = files(prod, "support")
    schema = json.loads(written["values.schema.json"])
    for wrong in ({"replicas": 3}, {"autoscaling": {"maxReplicas": "six"}}, {"ingress": {"hostname": "x"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_templates_name_neither_the_agent_nor_its_stack(prod: ClusterObjects) -> None:
    for path, text in files(prod, "research").items():
        if path.startswith("templates/"):
            for word in ("research", "instance: prod", "managed-by: pulumi", "123456789012"):
                assert word not in text, path


def test_charts_are_written_the_same_each_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, contents = project(tmp_path), []
    for _ in range(2):
        assert main(["--project", str(folder), "--stack", "dev"]) == 0
        written = folder / "build" / "chart" / "dev"
        contents.append({file: file.read_bytes() for file in written.rglob("*") if file.is_file()})
    assert contents[0] == contents[1]
    assert capsys.readouterr().out.splitlines()[-1].startswith("Try: helm install support ")


def test_no_chart_is_written_where_one_of_them_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / "support"
    theirs.mkdir()
    (theirs / "Chart.yaml").write_text("name: theirs\n")
    assert main(["--stack", "prod", "--out", str(tmp_path), "--json"]) == 2
    assert f"{theirs} is there" in json.loads(capsys.readouterr().out)["error"]
    assert [path.name for path in tmp_path.iterdir()] == ["support"]
    assert (theirs / "Chart.yaml").read_text() == "name: theirs\n"


def test_two_places_of_one_value_have_one_default() -> None:
    chart = Chart("a", "b")
    chart.value("port", 1)
    with pytest.raises(ValueError, match="port is 1 and 2"):
        chart.value("port", 2)


def test_a_template_keeps_braces_that_are_not_its_own() -> None:
    assert template({"text": "{{hi}}"}) == "text: '{{ `{{` }}hi}}'\n"


def test_holes_stand_where_yaml_has_their_place() -> None:
    content = {"a": [{"b": block(".Values.x"), "c": f"{expression('.n')}-y"}, when(".Values.z", {"d": 1})]}
    assert template(content) == (
        "a:\n- b:\n    {{- toYaml .Values.x | nindent 4 }}\n  c: {{ .n }}-y\n{{- if .Values.z }}\n- d: 1\n{{- end }}\n"
    )
