"""Stacks that take their platform from another stack's outputs: `langgraph-agents:platform`."""

import copy
import json
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from preview.recording.recorder import Recording, record
from sandbox.emulated.lookups import LOOKUPS
from stacks import projects
from tests.conftest import ROOT
from tests.stacks.stack_files import settings_of
from tests.stacks.test_platform_of_its_own import platform_of

READ = "pulumi:pulumi:readStackOutputs"
PLATFORM = "acme/langgraph-agents/platform"


def agents_alone(**changed: Any) -> dict[str, Any]:
    settings = copy.deepcopy(settings_of("dev"))
    for part in ("network", "cluster", "database", "cache"):
        settings.pop(part)
    return {**settings, "namespace": "team", **changed}


def run(
    settings: Mapping[str, Any], platform: str | None = PLATFORM, region: str = "eu-central-1"
) -> Recording:
    config = {"aws:region": region, "langgraph-agents:settings": json.dumps(settings)}
    if platform:
        config["langgraph-agents:platform"] = platform

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    return record(program, project="langgraph-agents", stack="team", config=config)


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Recording:
    """A platform, whose outputs the engine then has."""
    platform = run(platform_of(), None)

    def outputs(args: Mapping[str, Any]) -> dict[str, Any]:
        assert args["name"] == PLATFORM
        return {"outputs": dict(platform.outputs), "secretOutputNames": []}

    monkeypatch.setitem(LOOKUPS, READ, outputs)
    return platform


def test_agents_are_deployed_onto_the_platform_that_the_stack_names(deployed: Recording) -> None:
    team = run(agents_alone())
    existing = deployed.outputs["existing"]
    assert team.outputs["cluster_name"] == existing["cluster"]["existing"]["name"]
    (joined,) = team.of_type("aws:elasticache/userGroupAssociation:UserGroupAssociation")
    assert joined.inputs["userGroupId"] == existing["cache"]["existing"]["userGroupId"]
    assert team.of_type("aws:rds/instance:Instance") == []


def test_what_the_file_says_of_a_part_goes_before_the_platform(deployed: Recording) -> None:
    team = run(agents_alone(cache={"nodeType": "cache.t4g.small"}))
    (group,) = team.of_type("aws:elasticache/replicationGroup:ReplicationGroup")
    assert group.inputs["nodeType"] == "cache.t4g.small"


def test_a_preview_without_an_engine_reckons_with_a_platform_in_the_same_region() -> None:
    team = run(agents_alone(), region="us-east-1")
    policy = team.named("support-migrate-identity-policy").inputs["policy"]
    assert "arn:aws:secretsmanager:us-east-1:123456789012:secret:langgraph-agents-platform/" in policy


@pytest.mark.parametrize(
    ("outputs", "words"),
    [({}, "has no output `existing`"), ({"existing": None}, "has no output `existing`")],
)
def test_a_stack_that_is_no_platform_is_refused(
    monkeypatch: pytest.MonkeyPatch, outputs: dict[str, Any], words: str
) -> None:
    monkeypatch.setitem(LOOKUPS, READ, lambda args: {"outputs": outputs})
    with pytest.raises(Exception, match=f"platform is {PLATFORM}, which {words}"):
        run(agents_alone())


def test_a_stack_that_is_not_there_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(token: str, args: Mapping[str, Any]) -> None:
        # As the engine has it.
        raise Exception(f'invoke of {token} failed: unknown stack "{args["name"]}"')

    monkeypatch.setattr("pulumi.runtime.invoke", unknown)
    with pytest.raises(Exception, match=rf"platform is {PLATFORM}, which cannot be read: .*unknown stack"):
        run(agents_alone())


def test_half_a_name_is_refused_with_the_form() -> None:
    with pytest.raises(Exception, match="ORGANIZATION/PROJECT/STACK"):
        run(agents_alone(), "platform")


def test_commands_without_an_engine_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = {"aws:region": "eu-central-1", "langgraph-agents:platform": PLATFORM}
    Path("Pulumi.team.yaml").write_text(json.dumps({"config": config}))
    assert projects.main(["dockerfile", "--stack", "team", "--agent", "support"]) == 2
    assert "pulumi stack output existing" in capsys.readouterr().err
