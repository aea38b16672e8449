"""The plan, and its file."""

import json
from pathlib import Path

import jsonschema
import pytest

from preview.recording.plan import AGENT_TYPE, Plan, PlanError, Secret, masked
from preview.recording.program import ProgramError, make_plan
from sandbox.common.errors import InputError
from tests.preview.projects import ROOT, plan_of, project, project_plan

_SCHEMA = json.loads((ROOT / "preview" / "recording" / "plan.schema.json").read_text())


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_file_follows_its_schema_and_reads_back_as_the_same_plan(stack: str) -> None:
    text = plan_of(stack).to_json()
    jsonschema.validate(json.loads(text), _SCHEMA)
    again = Plan.from_json(text)
    assert again == plan_of(stack)
    assert again.to_json() == text


def test_the_schema_knows_every_field_and_no_other() -> None:
    resource = _SCHEMA["properties"]["resources"]["items"]
    assert resource["additionalProperties"] is False
    assert set(resource["required"]) == set(resource["properties"])
    assert _SCHEMA["properties"]["schema_version"]["const"] == plan_of("dev").schema_version


def test_the_same_project_gives_the_same_bytes_each_time() -> None:
    assert make_plan("dev", ROOT).to_json() == make_plan("dev", ROOT).to_json()


def test_a_plan_knows_no_secret_and_says_where_they_are() -> None:
    plan = plan_of("dev")
    version = plan.named("database-admin-version")
    assert isinstance(version.inputs["secretString"], Secret)
    assert version.inputs["secretString"].value is None
    assert '"secretString": {"$secret": "' in plan.to_json()
    assert repr(version.inputs["secretString"]) == "[secret]"


def test_two_secrets_are_equal_when_their_values_are_and_tell_nothing_else() -> None:
    one, same, other = (masked(Secret(value)) for value in ("a", "a", "b"))
    assert one == same != other
    assert "a" not in repr(one)


def test_values_without_secrets_are_not_copied() -> None:
    value = {"a": [1, {"b": "c"}]}
    assert masked(value) is value


def test_a_resource_is_found_by_component_and_agent() -> None:
    plan = plan_of("dev")
    deployment = plan.named("support-workload-deployment")
    assert plan.agent(deployment) == plan.top_component(deployment) == "support"
    assert plan.component(deployment) == "support-workload"
    assert plan.agent(plan.named("database-instance")) == ""
    assert [agent.name for agent in plan.of_type(AGENT_TYPE)] == plan.agents == ["support"]
    assert deployment in plan.dependents(plan.named("support-migration-job").urn)
    assert deployment.source.startswith("components/workload/workload.py:")


@pytest.mark.parametrize("text", ["", "[]", "{}", "not JSON", '"text"'])
def test_what_is_no_plan_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(PlanError, match=r"^base.json is not a plan"):
        Plan.from_json(text, "base.json")


def test_a_plan_of_another_schema_version_is_refused() -> None:
    document = json.loads(project_plan("dev").to_json()) | {"schema_version": 99}
    with pytest.raises(PlanError, match="schema version 99, this is version 1"):
        Plan.from_json(json.dumps(document))


def test_a_damaged_plan_is_refused() -> None:
    document = json.loads(project_plan("dev").to_json())
    del document["resources"][0]["urn"]
    with pytest.raises(PlanError, match="is damaged"):
        Plan.from_json(json.dumps(document))


def test_a_stack_that_has_no_file_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(InputError, match="STACK=dev or STACK=prod"):
        make_plan("staging", ROOT)


def test_a_broken_setting_is_reported_as_the_program_tells_it(tmp_path: Path) -> None:
    folder = project(tmp_path, settings=lambda s: s["database"].update(instanceClass="large"))
    with pytest.raises(InputError, match="write an RDS instance class"):
        make_plan("dev", folder)


def test_a_missing_region_is_reported_by_its_key(tmp_path: Path) -> None:
    file = project(tmp_path) / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("aws:region", "aws:profile"))
    with pytest.raises(InputError, match="aws:region is not set"):
        make_plan("dev", tmp_path)


def test_a_defect_of_the_program_is_reported_with_its_line(tmp_path: Path) -> None:
    (project(tmp_path) / "__main__.py").write_text("\n\nraise KeyError('oops')\n")
    with pytest.raises(ProgramError, match=r"the program failed at __main__.py:3: KeyError\('oops'\)"):
        make_plan("dev", tmp_path)


def test_a_resource_that_nothing_emulates_is_refused_with_where_to_add_it(tmp_path: Path) -> None:
    (project(tmp_path) / "__main__.py").write_text("import pulumi_aws as aws\naws.s3.Bucket('bucket')\n")
    with pytest.raises(ProgramError, match=r"aws:s3/bucket:Bucket is not emulated: add it to KINDS"):
        make_plan("dev", tmp_path)
