"""Which identity may read which secret: Pod Identity, IAM policies and keys, followed together."""

import fnmatch
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from preview.exposure.model import Edge, Relation
from preview.recording.plan import Plan, PlannedResource

_READ = "secretsmanager:GetSecretValue"
_DECRYPT = "kms:Decrypt"
# Policies of AWS's that may read every secret and use every key (aws:policy documents of 2026-11).
_ALL_SECRETS = ("AdministratorAccess", "SecretsManagerReadWrite", "PowerUserAccess")


@dataclass(frozen=True)
class Statement:
    """A statement of a policy."""

    statement: Mapping[str, Any]
    policy: str
    """Whose it is, in words."""

    @property
    def actions(self) -> list[str]:
        return list(map(str, _list(self.statement.get("Action"))))

    @property
    def resources(self) -> list[str]:
        return list(map(str, _list(self.statement.get("Resource"))))

    def allows(self, action: str, resource: str, context: Mapping[str, str]) -> bool:
        return (
            self.statement.get("Effect") == "Allow"
            and self._covers(action, resource)
            and self._holds(context)
        )

    def denies(self, action: str, resource: str) -> bool:
        return (
            self.statement.get("Effect") == "Deny"
            and self._covers(action, resource)
            and not self.statement.get("Condition")
        )

    def _covers(self, action: str, resource: str) -> bool:
        return any(_matches(action.lower(), a.lower()) for a in self.actions) and any(
            _matches(resource, r) for r in self.resources
        )

    def _holds(self, context: Mapping[str, str]) -> bool:
        """Whether the conditions hold, as far as they speak of what is known; what is not known may hold."""
        for operator, conditions in (self.statement.get("Condition") or {}).items():
            if not operator.startswith("String"):
                continue
            for key, wanted in conditions.items():
                value = context.get(key.lower())
                if value is not None and not any(_matches(value, str(w)) for w in _list(wanted)):
                    return False
        return True


def _matches(value: str, pattern: str) -> bool:
    # Of a thousand agents' ARNs each is a pattern, and Python remembers a few hundred.
    if not any(special in pattern for special in "*?["):
        return value == pattern
    return fnmatch.fnmatchcase(value, pattern)


def reads(plan: Plan) -> Iterator[Edge]:
    """An edge from every identity to every secret that it may read."""
    secrets = {
        str(secret.outputs.get("arn")): secret for secret in plan.of_type("aws:secretsmanager/secret:Secret")
    }
    accounts, held, statements_of = service_accounts(plan), holders(plan), statements(plan)
    for role in plan.of_type("aws:iam/role:Role"):
        said = statements_of.get(str(role.outputs.get("name")), [])
        for secret in _mentioned(said, secrets):
            why = _why(said, secret)
            if not why:
                continue
            for namespace, account in held.get(str(role.outputs.get("arn")), [("", "")]):
                identity = accounts.get((namespace, account), role.urn)
                given = f"Pod Identity gives {namespace}/{account} the role {role.name}" if account else ""
                yield Edge(
                    source=identity,
                    target=secret.urn,
                    relation=Relation.READS,
                    by=str(secret.inputs.get("name") or secret.name),
                    why=tuple(filter(None, (given, *why))),
                )


def _mentioned(
    statements: Iterable[Statement], secrets: Mapping[str, PlannedResource]
) -> list[PlannedResource]:
    """The secrets that statements name, or match by a pattern."""
    found: dict[str, PlannedResource] = {}
    for statement in statements:
        for resource in statement.resources:
            if resource in secrets:
                found[resource] = secrets[resource]
            elif "*" in resource or "?" in resource:
                found |= {arn: s for arn, s in secrets.items() if _matches(arn, resource)}
    return list(found.values())


def _why(statements: Sequence[Statement], secret: PlannedResource) -> list[str]:
    """The policies by which the secret can be read; empty where it cannot, for want of the secret or of its key."""
    arn = str(secret.outputs.get("arn"))
    via = f"secretsmanager.{arn.split(':')[3]}.amazonaws.com" if arn.count(":") > 3 else ""
    context = {"kms:viaservice": via, "kms:encryptioncontext:secretarn": arn}
    needed = [(_READ, arn)]
    if key := secret.inputs.get("kmsKeyId"):
        needed.append((_DECRYPT, str(key)))
    why = []
    for action, resource in needed:
        if any(statement.denies(action, resource) for statement in statements):
            return []
        allowing = next((s for s in statements if s.allows(action, resource, context)), None)
        if allowing is None:
            return []
        why.append(f"{allowing.policy} allows {action}")
    return why


def statements(plan: Plan) -> dict[str, list[Statement]]:
    """What policies say, by the name of the role that they are attached to."""
    found: dict[str, list[Statement]] = {}
    for policy in plan.of_type("aws:iam/rolePolicy:RolePolicy"):
        role = found.setdefault(str(policy.inputs.get("role")), [])
        role += _document(policy.inputs.get("policy"), f"policy {policy.name}")
    own = {p.outputs.get("arn"): p for p in plan.of_type("aws:iam/policy:Policy")}
    for attachment in plan.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment"):
        role = found.setdefault(str(attachment.inputs.get("role")), [])
        arn = str(attachment.inputs.get("policyArn"))
        if arn in own:
            role += _document(own[arn].inputs.get("policy"), f"policy {own[arn].name}")
        elif arn.rsplit("/", 1)[-1] in _ALL_SECRETS:
            everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
            role.append(Statement(everything, f"AWS's {arn.rsplit('/', 1)[-1]}"))
    return found


def _document(text: Any, policy: str) -> Iterator[Statement]:
    if not isinstance(text, str):
        return
    for statement in _list(json.loads(text).get("Statement")):
        yield Statement(statement, policy)


def holders(plan: Plan) -> dict[str, list[tuple[str, str]]]:
    """Service accounts by the ARN of the role that Pod Identity gives them."""
    found: dict[str, list[tuple[str, str]]] = {}
    for association in plan.of_type("aws:eks/podIdentityAssociation:PodIdentityAssociation"):
        i = association.inputs
        found.setdefault(str(i.get("roleArn")), []).append((str(i["namespace"]), str(i["serviceAccount"])))
    return found


def service_accounts(plan: Plan) -> dict[tuple[str, str], str]:
    """URNs of the plan's ServiceAccounts, by namespace and name."""
    return {
        (
            str(_metadata(account).get("namespace", "default")),
            str(_metadata(account).get("name")),
        ): account.urn
        for account in plan.of_type("kubernetes:core/v1:ServiceAccount")
    }


def _metadata(resource: PlannedResource) -> Mapping[str, Any]:
    metadata: Mapping[str, Any] = resource.outputs.get("metadata") or {}
    return metadata


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
