"""Pulumi's own preview beside this one: where the two say different things, and files that are no preview."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from preview.__main__ import main
from preview.change.diff import PlanDiff, compare
from preview.change.engine import EngineComparison, read
from preview.recording.plan import Plan, PlannedResource
from tests.preview.projects import project, project_plan

DATABASE = "aws:rds/instance:Instance"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"


def _first(plan: Plan, type_: str) -> PlannedResource:
    return plan.of_type(type_)[0]


def _with(plan: Plan, type_: str, **inputs: object) -> Plan:
    """The plan with some inputs of the first resource of a type changed."""
    old = _first(plan, type_)
    new = replace(old, inputs={**old.inputs, **inputs})
    return replace(plan, resources={**plan.resources, old.urn: new})


def _without(plan: Plan, urn: str) -> Plan:
    return replace(plan, resources={key: value for key, value in plan.resources.items() if key != urn})


def _step(op: str, resource: PlannedResource, **more: object) -> dict[str, object]:
    """As the engine writes it; what it says besides of states is left out."""
    state = {"urn": resource.urn, "type": resource.type, "custom": resource.custom}
    states = {"create": ("newState",), "delete": ("oldState",)}.get(op, ("oldState", "newState"))
    return {"op": op, "urn": resource.urn, "detailedDiff": None, **dict.fromkeys(states, state), **more}


def _compared(folder: Path, diff: PlanDiff, *steps: Mapping[str, object], **more: object) -> EngineComparison:
    file = folder / "pulumi.json"
    file.write_text(json.dumps({"steps": steps, "duration": 1, "changeSummary": {}, **more}))
    return read(file, diff.after.project, diff.after.stack).compared(diff)


def _said(compared: EngineComparison) -> list[str]:
    return [str(disagreement) for disagreement in compared.disagreements]


@pytest.fixture
def dev() -> Plan:
    return project_plan("dev")


def test_what_both_say_is_no_disagreement(tmp_path: Path, dev: Plan) -> None:
    cache = _first(dev, CACHE)
    diff = compare(_without(dev, cache.urn), _with(dev, DATABASE, instanceClass="db.t4g.large"))
    compared = _compared(
        tmp_path,
        diff,
        _step("update", _first(dev, DATABASE), diffReasons=["instanceClass"]),
        _step("create", cache),
    )
    assert _said(compared) == []
    assert str(compared) == "says the same of all resources that change by it (2)"


def test_a_replacement_that_the_report_calls_an_update_is_told_with_both_reasons(
    tmp_path: Path, dev: Plan
) -> None:
    diff = compare(dev, _with(dev, DATABASE, instanceClass="db.t4g.large"))
    reasons = {"replaceReasons": ["storageEncrypted"], "diffReasons": ["instanceClass", "storageEncrypted"]}
    steps = [
        _step(op, _first(dev, DATABASE), **reasons)
        for op in ("create-replacement", "replace", "delete-replaced")
    ]
    assert _said(_compared(tmp_path, diff, *steps)) == [
        "database-instance: Pulumi says replaced (storageEncrypted), this report updated (instanceClass)"
    ]


def test_what_only_one_of_the_two_changes_is_told(tmp_path: Path, dev: Plan) -> None:
    diff = compare(dev, _with(dev, DATABASE, instanceClass="db.t4g.large"))
    compared = _compared(
        tmp_path, diff, _step("delete", _first(dev, CACHE)), _step("same", _first(dev, DATABASE))
    )
    assert sorted(_said(compared)) == [
        "cache-group: Pulumi says deleted, this report unchanged",
        "database-instance: Pulumi says unchanged, this report updated (instanceClass)",
    ]
    assert str(compared) == "says otherwise of 2 resources"


def test_another_property_is_told_and_paths_are_compared_at_the_top(tmp_path: Path, dev: Plan) -> None:
    diff = compare(dev, _with(dev, DATABASE, instanceClass="db.t4g.large"))
    same = {"instanceClass": {"kind": "update", "inputDiff": True}}
    other = {**same, "vpcSecurityGroupIds[0]": {"kind": "update", "inputDiff": True}}
    database = _first(dev, DATABASE)
    assert _said(_compared(tmp_path, diff, _step("update", database, detailedDiff=same))) == []
    assert _said(_compared(tmp_path, diff, _step("update", database, detailedDiff=other))) == [
        "database-instance: Pulumi says updated (instanceClass, vpcSecurityGroupIds),"
        " this report updated (instanceClass)"
    ]


def test_default_tags_on_every_resource_are_what_the_report_says_of_the_provider(
    tmp_path: Path, dev: Plan
) -> None:
    provider = "pulumi:providers:aws"
    diff = compare(dev, _with(dev, provider, defaultTags={"tags": {"team": "ai"}}))
    steps = [
        _step("update", _first(dev, provider), diffReasons=["defaultTags"]),
        _step("update", _first(dev, DATABASE), detailedDiff={"tagsAll.team": {"kind": "add"}}),
    ]
    assert _said(_compared(tmp_path, diff, *steps)) == []
    assert len(_said(_compared(tmp_path, compare(dev, dev), *steps))) == 2


def test_components_and_the_engines_own_resources_count_for_nothing(tmp_path: Path, dev: Plan) -> None:
    component = next(resource for resource in dev.resources.values() if not resource.custom)
    urn = f"urn:pulumi:{dev.stack}::{dev.project}::"
    stack = {
        "op": "create",
        "urn": f"{urn}pulumi:pulumi:Stack::x",
        "newState": {"type": "pulumi:pulumi:Stack"},
    }
    default = {
        "op": "create",
        "urn": f"{urn}pulumi:providers:random::default_4_21_4",
        "newState": {"type": "pulumi:providers:random", "custom": True},
    }
    compared = _compared(tmp_path, compare(dev, dev), _step("create", component), stack, default)
    assert (compared.resources, _said(compared)) == (0, [])


def _digest(*steps: Mapping[str, object], **more: object) -> str:
    return json.dumps({"steps": steps, **more})


_URN = "urn:pulumi:{}::langgraph-agents::aws:sqs/queue:Queue::queue"
_BROKEN: Mapping[str, tuple[str, str]] = {
    "no JSON": ("Previewing update (dev):", "is not what `pulumi preview --json` prints: Invalid JSON"),
    "events, one a line": ('{"sequence": 0}\n{"sequence": 1}\n', "Invalid JSON"),
    "a plan": ('{"schema_version": 1}', "steps: Field required"),
    "a list": ("[]", "is not what `pulumi preview --json` prints"),
    "a step without its operation": (_digest({"urn": _URN.format("dev")}), "steps.0.op: Field required"),
    "an operation that is new": (
        _digest({"op": "teleport", "urn": _URN.format("dev")}),
        "steps.0.op: 'teleport' is no operation",
    ),
    "another stack": (
        _digest({"op": "same", "urn": _URN.format("prod")}),
        "is not of the stack dev of the project langgraph-agents",
    ),
    "a preview that failed": (
        _digest(diagnostics=[{"severity": "error", "message": "settings has\n 1 problem"}]),
        "is of a preview that failed: settings has 1 problem",
    ),
}


@pytest.mark.parametrize("case", _BROKEN)
def test_a_file_that_is_no_preview_of_the_stack_is_refused_before_anything_runs(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, message = _BROKEN[case]
    file = tmp_path / "pulumi.json"
    file.write_text(content)
    folder = tmp_path / "project"
    folder.mkdir()
    project(folder)
    code = main(["--project", str(folder), "--base", "main", "--pulumi-preview", str(file)])
    said = capsys.readouterr().err
    assert code == 2
    assert message in said
    assert str(file) in said


def test_a_file_that_is_missing_or_has_nothing_to_compare_with_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path)
    for arguments, message in (
        (["--base", "main", "--pulumi-preview", "no-such.json"], "cannot be read: No such file"),
        (["--pulumi-preview", "no-such.json"], "name by --base what is deployed"),
    ):
        assert main(["--project", str(folder), *arguments]) == 2
        assert message in capsys.readouterr().err


def test_the_command_shows_what_pulumi_says_otherwise_and_exits_with_3(
    tmp_path: Path, dev: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    base, file, inner = tmp_path / "base.json", tmp_path / "pulumi.json", tmp_path / "project"
    base.write_text(dev.to_json())
    file.write_text(_digest(_step("delete", _first(dev, DATABASE))))
    inner.mkdir()
    given = ["--project", str(project(inner)), "--base", str(base), "--pulumi-preview", str(file)]
    otherwise = "database-instance: Pulumi says deleted, this report unchanged"

    assert main(given) == 3
    assert otherwise in capsys.readouterr().out
    written = inner / "build" / "preview" / "dev"
    assert "Pulumi's own preview says otherwise of 1 resource" in (written / "report.md").read_text()
    assert otherwise in (written / "report.html").read_text()
    assert main([*given, "--json"]) == 3
    told: dict[str, Any] = json.loads(capsys.readouterr().out)["comparison"]["pulumi"]
    assert told["disagreements"][0]["pulumi"] == {"status": "deleted", "properties": []}
    assert told["disagreements"][0]["preview"]["status"] is None

    file.write_text(_digest())
    assert main(given) == 0
