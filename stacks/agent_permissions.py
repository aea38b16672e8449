"""What an agent's pods may do in AWS beside reading their secrets: call their model, and what the stack file allows."""

import re
from collections.abc import Mapping

import pulumi

from components import iam
from stacks.agent_settings import Agent

_BEDROCK = re.compile(r"bedrock(?:_converse)?:(?P<id>.+)")

# Prefixes of cross-region inference profiles:
# https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
_PROFILE = re.compile(r"(?:us|eu|apac|jp|au|ca|sa|global|us-gov)\.(?P<model>.+)")
_INVOKE = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]


def statements(agent: Agent, region: str, account_id: pulumi.Input[str]) -> list[iam.Statement]:
    """The statements of the role of an agent's serving pods.

    Args:
        account_id: the account, in which inference profiles are.
    """
    given: list[iam.Statement] = [
        {"Effect": "Allow", "Action": list(each.actions), "Resource": list(each.resources)}
        for each in agent.permissions
    ]
    return [*_model(agent, region, account_id), *given]


def variables(agent: Agent, region: str) -> Mapping[str, str]:
    """What AWS's SDK has to know for it; Pod Identity brings credentials and no region."""
    return {"AWS_REGION": region} if _BEDROCK.fullmatch(agent.model) or agent.permissions else {}


def _model(agent: Agent, region: str, account_id: pulumi.Input[str]) -> list[iam.Statement]:
    """Exactly the model. A profile calls its model in other regions too, and only by the profile is that allowed:
    https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-prereq.html
    """
    named = _BEDROCK.fullmatch(agent.model)
    if named is None:
        return []
    if named["id"].startswith("arn:"):
        return [{"Sid": "InvokeModel", "Effect": "Allow", "Action": _INVOKE, "Resource": named["id"]}]
    profile = _PROFILE.fullmatch(named["id"])
    if profile is None:
        model = f"arn:aws:bedrock:{region}::foundation-model/{named['id']}"
        return [{"Sid": "InvokeModel", "Effect": "Allow", "Action": _INVOKE, "Resource": model}]
    arn = pulumi.Output.format(
        "arn:aws:bedrock:{0}:{1}:inference-profile/{2}", region, account_id, named["id"]
    )
    return [
        {"Sid": "InvokeProfile", "Effect": "Allow", "Action": _INVOKE, "Resource": arn},
        {
            "Sid": "InvokeModelByProfile",
            "Effect": "Allow",
            "Action": _INVOKE,
            "Resource": f"arn:aws:bedrock:*::foundation-model/{profile['model']}",
            "Condition": {"StringEquals": {"bedrock:InferenceProfileArn": arn}},
        },
    ]
