"""Editors are told by the schema what the program would say of a value by itself."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from stacks.loading import SettingsError, load
from stacks.schema import SCHEMA, text
from tests.stacks.stack_files import ROOT, changed, settings_of
from tests.stacks.test_settings_properties import stack_files

LOADED = json.loads(SCHEMA.read_text())
SETTINGS = LOADED["properties"]["config"]["properties"]["langgraph-agents:settings"]


class AsEditorsRead(yaml.SafeLoader):
    """YAML 1.2 has no days: 2027-01-31 is a text."""


AsEditorsRead.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def problems(settings_: Any, *, whole: bool = True) -> list[str]:
    """Where the schema refuses these settings; parts of them need not hold what is required of a whole."""
    at_top = SETTINGS if whole else {**SETTINGS, "required": []}
    validator = Draft202012Validator({**at_top, "$defs": LOADED["$defs"]})
    return [".".join(map(str, error.absolute_path)) for error in validator.iter_errors(settings_)]


def test_the_schema_is_that_of_the_models() -> None:
    assert SCHEMA.read_text() == text(), "run `make reference`"
    Draft202012Validator.check_schema(LOADED)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_repositorys_stack_files_name_the_schema_and_hold_to_it(stack: str) -> None:
    written = (ROOT / f"Pulumi.{stack}.yaml").read_text()
    (named,) = re.findall(r"^# yaml-language-server: \$schema=(.+)$", written, re.MULTILINE)
    assert (ROOT / named).resolve() == SCHEMA
    Draft202012Validator(LOADED).validate(yaml.load(written, AsEditorsRead))  # noqa: S506  # a SafeLoader


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in re.findall(r"```yaml\n(.*?)```", file.read_text(), re.DOTALL):
            loaded = yaml.load(block, AsEditorsRead)  # noqa: S506  # a SafeLoader
            if isinstance(loaded, dict) and set(loaded) <= set(SETTINGS["properties"]):
                yield file.name, loaded


def test_the_examples_of_the_documents_hold_to_the_schema() -> None:
    shown = list(examples())
    assert len(shown) >= 5
    assert [(name, found) for name, example in shown if (found := problems(example, whole=False))] == []


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(stack_files)
def test_what_the_program_accepts_the_schema_accepts(stack_file: dict[str, Any]) -> None:
    try:
        load(copy.deepcopy(stack_file), stack="dev")
    except SettingsError:
        return
    assert problems(stack_file) == []


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("agents.0.sourc", "../x", "agents.0"),
        ("agents.0.name", "Support", "agents.0.name"),
        ("agents.0.replicas.min", "three", "agents.0.replicas.min"),
        ("agents.0.maxIterations", 0, "agents.0.maxIterations"),
        ("database.instanceClass", "t4g.medium", "database.instanceClass"),
        ("cluster.compute", "fargate", "cluster.compute"),
        ("cluster.version", 1.36, "cluster.version"),
        ("network.flowLogs", "yes", "network.flowLogs"),
    ],
)
def test_a_value_that_the_program_refuses_by_itself_is_refused_at_its_place(
    path: str, value: Any, where: str
) -> None:
    assert problems(changed("prod", path, value)) == [where]
    with pytest.raises(SettingsError):
        load(changed("prod", path, value), stack="prod")


def test_cpu_may_be_a_number_as_in_kubernetes() -> None:
    def requested(cpu: Any) -> dict[str, Any]:
        return changed("prod", "agents.0.resources", {"requests": {"cpu": cpu, "memory": "1Gi"}})

    assert problems(requested(2)) == []
    assert problems(requested([2])) == ["agents.0.resources.requests.cpu"]


def test_a_file_without_settings_is_refused() -> None:
    assert not Draft202012Validator(LOADED).is_valid({"config": {"aws:region": "eu-central-1"}})
    assert not Draft202012Validator(LOADED).is_valid({"config": {"langgraph-agents:settings": {}}})
    assert Draft202012Validator(LOADED).is_valid(
        {"config": {"langgraph-agents:settings": settings_of("dev")}}
    )


def test_patterns_are_such_as_editors_know() -> None:
    patterns = re.findall(r'"pattern": (".*")', SCHEMA.read_text())
    assert len(patterns) > 20
    # Python's own: named groups, looking behind, its anchors.
    assert [one for one in patterns if re.search(r"\(\?P|\(\?<|\\\\[AZz]", json.loads(one))] == []
