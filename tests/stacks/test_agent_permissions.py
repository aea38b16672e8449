"""What an agent's pods may do in AWS besides reading their secrets."""

import copy
import json
from typing import Any

import pytest

from preview.recording.recorder import Recording
from stacks.loading import SettingsError, load
from tests.conftest import record_with
from tests.stacks.stack_files import settings_of

READ = "ReadSecrets", "DecryptSecrets"


def with_agent(**changed: Any) -> dict[str, Any]:
    settings = copy.deepcopy(settings_of("dev"))
    settings["agents"][0].update(changed)
    return settings


def allowed(recording: Recording, role: str = "support-identity-policy") -> list[dict[str, Any]]:
    """The statements of a role but those on its secrets."""
    (policy,) = [found for found in recording.of_type("aws:iam/rolePolicy:RolePolicy") if found.name == role]
    statements: list[dict[str, Any]] = json.loads(policy.inputs["policy"])["Statement"]
    return [each for each in statements if each.get("Sid") not in READ]


def variables(recording: Recording) -> dict[str, str]:
    (found,) = [
        each.inputs["data"]
        for each in recording.of_type("kubernetes:core/v1:ConfigMap")
        if each.name.startswith("support-workload")
    ]
    return dict(found)


def test_an_agent_may_do_nothing_else_unless_it_is_said() -> None:
    recording = record_with("dev", with_agent())
    assert allowed(recording) == []
    assert "AWS_REGION" not in variables(recording)


def test_a_model_of_bedrock_may_be_called_and_no_other() -> None:
    recording = record_with("dev", with_agent(model="bedrock_converse:amazon.nova-pro-v1:0"))
    (statement,) = allowed(recording)
    assert statement["Action"] == ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
    assert statement["Resource"] == "arn:aws:bedrock:eu-central-1::foundation-model/amazon.nova-pro-v1:0"
    assert variables(recording)["AWS_REGION"] == "eu-central-1"


def test_an_inference_profile_may_call_its_model_in_every_region_of_the_profile() -> None:
    model = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    recording = record_with("dev", with_agent(model=f"bedrock_converse:eu.{model}"))
    profile, by_profile = allowed(recording)
    assert profile["Resource"].startswith("arn:aws:bedrock:eu-central-1:")
    assert profile["Resource"].endswith(f":inference-profile/eu.{model}")
    assert by_profile["Resource"] == f"arn:aws:bedrock:*::foundation-model/{model}"
    assert by_profile["Condition"] == {"StringEquals": {"bedrock:InferenceProfileArn": profile["Resource"]}}


def test_a_profile_of_the_teams_own_is_named_by_its_arn() -> None:
    arn = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc"
    (statement,) = allowed(record_with("dev", with_agent(model=f"bedrock:{arn}")))
    assert statement["Resource"] == arn


def test_a_team_may_allow_more_to_the_pods_that_serve_and_to_no_others() -> None:
    permission = {"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::reports/*"]}
    recording = record_with("dev", with_agent(permissions=[permission]))
    assert allowed(recording) == [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::reports/*"]}
    ]
    assert allowed(recording, "support-migrate-identity-policy") == []


@pytest.mark.parametrize(
    ("permission", "words"),
    [
        ({"actions": ["s3:*"], "resources": ["*"]}, "name the actions, or the resources"),
        ({"actions": ["everything"], "resources": ["arn:aws:s3:::a"]}, "an action of IAM"),
        ({"actions": ["s3:GetObject"], "resources": ["reports"]}, "write an ARN"),
        ({"actions": [], "resources": ["arn:aws:s3:::a"]}, "agents[0].permissions[0].actions"),
    ],
)
def test_a_permission_that_allows_too_much_or_nothing_is_refused(
    permission: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(with_agent(permissions=[permission]), stack="dev")
    assert words in str(refused.value)
