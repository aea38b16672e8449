"""What IAM allows, and to whom."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from policies.model import Resource, Severity, at, items, resource_rule

# The property that holds a policy document, by type. Those of identities say what somebody may do ...
_IDENTITY_POLICIES: Mapping[str, tuple[str, ...]] = {
    "aws:iam/rolePolicy:RolePolicy": ("policy",),
    "aws:iam/policy:Policy": ("policy",),
    "aws:iam/userPolicy:UserPolicy": ("policy",),
    "aws:iam/groupPolicy:GroupPolicy": ("policy",),
}
# ... and those of resources who may do it.
_RESOURCE_POLICIES: Mapping[str, tuple[str, ...]] = {
    "aws:iam/role:Role": ("assumeRolePolicy",),
    "aws:kms/key:Key": ("policy",),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": ("policy",),
    "aws:secretsmanager/secret:Secret": ("policy",),
    "aws:secretsmanager/secretPolicy:SecretPolicy": ("policy",),
    "aws:s3/bucketPolicy:BucketPolicy": ("policy",),
    "aws:sns/topic:Topic": ("policy",),
    "aws:sns/topicPolicy:TopicPolicy": ("policy",),
    "aws:sqs/queue:Queue": ("policy",),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ("policy",),
}
_ATTACHMENTS = ("aws:iam/rolePolicyAttachment:RolePolicyAttachment",)
_ALMIGHTY = frozenset({"AdministratorAccess", "PowerUserAccess", "IAMFullAccess"})


@resource_rule(
    (*_IDENTITY_POLICIES, *_ATTACHMENTS),
    id="iam-no-wildcards",
    severity=Severity.CRITICAL,
    reason="Any action on any resource: one workload that is taken over takes the account with it",
    remedy="name the actions, or name the resources they act on",
    link="https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege",
)
def iam_no_wildcards(resource: Resource) -> Iterator[str]:
    policy_arn = resource.inputs.get("policyArn")
    if isinstance(policy_arn, str) and policy_arn.rsplit("/", 1)[-1] in _ALMIGHTY:
        yield f"attaches {policy_arn.rsplit('/', 1)[-1]}"
    for statement in _allowed(resource, _IDENTITY_POLICIES):
        everywhere = any(arn == "*" for arn in _listed(statement, "Resource")) or "NotResource" in statement
        if not everywhere:
            continue
        wild = [action for action in _listed(statement, "Action") if "*" in action or "?" in action]
        if "NotAction" in statement:
            yield "allows all but a few actions on every resource (NotAction)"
        elif wild:
            yield f"allows {', '.join(wild)} on every resource"


@resource_rule(
    tuple(_RESOURCE_POLICIES),
    id="no-open-principals",
    severity=Severity.CRITICAL,
    reason="A policy that lets everybody in lets in every other AWS account, too",
    remedy="name the principals, or bind the statement to them with a Condition",
    link="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
)
def no_open_principals(resource: Resource) -> Iterator[str]:
    for statement in _allowed(resource, _RESOURCE_POLICIES):
        principal = statement.get("Principal")
        if (principal == "*" or "*" in _listed(principal, "AWS")) and not statement.get("Condition"):
            yield f"lets everybody do {', '.join(_listed(statement, 'Action'))}"


def _allowed(resource: Resource, where: Mapping[str, tuple[str, ...]]) -> Iterator[Mapping[str, Any]]:
    for name in where.get(resource.type, ()):
        text = at(resource.inputs, name)
        if not isinstance(text, str):
            continue
        statements = json.loads(text)["Statement"]
        for statement in [statements] if isinstance(statements, dict) else statements:
            if statement["Effect"] == "Allow":
                yield statement


def _listed(value: Any, key: str) -> list[str]:
    found = at(value, key)
    return [found] if isinstance(found, str) else items(found)
