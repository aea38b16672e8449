"""Second of an agent: which of its pods may read which of its secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components import iam
from components.cluster.identity import WorkloadIdentity, WorkloadIdentityArgs
from components.naming import IAM_ROLE_NAME, safe_name
from components.secrets.secret_mount import SecretMount, SecretMountArgs
from components.secrets.secrets import Secret, SecretEntry
from stacks.agent_secrets import SecretFiles
from stacks.platform import Platform


@dataclass(frozen=True)
class SecretAccess:
    """The right of one service account to its files."""

    service_account: str
    secret_provider_class: pulumi.Output[str]
    """Mounts the files."""
    version: pulumi.Output[str]
    """As of ``SecretFiles``."""
    granted: pulumi.Resource
    """The leaf that pods wait for: before it they may read nothing."""


def key_statements(entry: Secret | SecretEntry, region: str) -> list[iam.Statement]:
    """Leave to use an entry's own key, for this entry alone; none where it has none."""
    if not isinstance(entry, SecretEntry) or entry.kms_key_arn is None:
        return []
    return [
        {
            "Sid": "DecryptExisting",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": entry.kms_key_arn,
            "Condition": {
                "StringEquals": {
                    "kms:ViaService": f"secretsmanager.{region}.amazonaws.com",
                    "kms:EncryptionContext:SecretARN": entry.arn,
                }
            },
        }
    ]


def grant(
    service_account: str,
    files: SecretFiles,
    platform: Platform,
    namespace: str,
    labels: Mapping[str, str],
    opts: pulumi.ResourceOptions,
    *,
    statements: Sequence[iam.Statement] = (),
) -> SecretAccess:
    """Let pods of ``service_account`` read ``files``, and in AWS nothing else but what ``statements`` allow.

    Args:
        namespace: by name, so that the identity need not wait for the namespace itself.
        labels: of the object that mounts the files.
    """
    identity = WorkloadIdentity(
        f"{service_account}-identity",
        WorkloadIdentityArgs(
            role_name=safe_name(platform.name, service_account, limit=IAM_ROLE_NAME),
            cluster_name=platform.cluster.name,
            cluster_arn=platform.cluster.arn,
            namespace=namespace,
            service_account=service_account,
            region=platform.region,
            secret_arns=[files.arns[name] for name in sorted(files.arns)],
            kms_key_arn=platform.secrets_key_arn,
            statements=statements,
        ),
        opts,
    )
    mount = SecretMount(
        f"{service_account}-secrets",
        SecretMountArgs(
            namespace=platform.namespace.namespace,
            class_name=service_account,
            region=platform.region,
            labels=labels,
            files=files.arns,
            crds_ready=platform.secrets_store,
        ),
        opts,
    )
    return SecretAccess(service_account, mount.class_name, files.version, identity.association)
