"""Secrets Manager entries under a key of their own."""

import re
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.secrets.encryption import encryption_key

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")


@dataclass(frozen=True, kw_only=True)
class SecretsKeyArgs:
    """What `SecretsKey` needs.

    Attributes:
        alias: the key's alias, without ``alias/``.
        protect: keep the key from being destroyed.
    """

    alias: str
    protect: bool


class SecretsKey(pulumi.ComponentResource):
    """The key that encrypts a stack's secrets. A workload needs leave for both the secret and this key.

    Attributes:
        arn: the key's ARN.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: SecretsKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:SecretsKey", name, None, opts)
        key = encryption_key(
            f"{name}-key",
            alias=args.alias,
            description="Encrypts the platform's Secrets Manager entries",
            protect=args.protect,
            parent=self,
        )
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})


@dataclass(frozen=True, kw_only=True)
class SecretArgs:
    """What `Secret` needs.

    Attributes:
        secret_name: the full name, such as ``langgraph-agents/prod/support/database``.
        description: what the secret is for; people see it in the console.
        value: the value, or None for an entry that people fill in by hand, which is never overwritten.
        kms_key_arn: the key that encrypts it.
        recovery_window_days: how long a deleted secret can be restored: 7 to 30, or 0 for not at all.
        protect: keep the entry from being deleted.
    """

    secret_name: str
    description: str
    value: pulumi.Input[str] | None
    kms_key_arn: pulumi.Input[str]
    recovery_window_days: int
    protect: bool

    def __post_init__(self) -> None:
        if not _SECRET_NAME.fullmatch(self.secret_name):
            raise ValueError(
                f"secret_name is {self.secret_name!r}: use 1 to 512 letters, digits and /_+=.@- characters"
            )
        if self.recovery_window_days != 0 and not 7 <= self.recovery_window_days <= 30:
            raise ValueError(
                f"recovery_window_days is {self.recovery_window_days}: use 7 to 30, or 0 to delete at once"
            )


@dataclass(frozen=True)
class SecretEntry:
    """What `Secret` offers, of an entry that somebody else owns and changes."""

    arn: pulumi.Output[str]
    version_id: pulumi.Output[str]
    """"", since nobody here knows when it changes."""
    kms_key_arn: str | None = None
    """Of a key of its own, which readers need leave for."""


class Secret(pulumi.ComponentResource):
    """One entry in Secrets Manager.

    Attributes:
        arn: what policies and mounts refer to.
        name: the entry's name.
        version_id: changes with the value; "" for an entry that is filled in by hand.
    """

    arn: pulumi.Output[str]
    name: pulumi.Output[str]
    version_id: pulumi.Output[str]

    def __init__(self, name: str, args: SecretArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Secret", name, None, opts)
        entry = aws.secretsmanager.Secret(
            f"{name}-entry",
            name=args.secret_name,
            description=args.description,
            kms_key_id=args.kms_key_arn,
            recovery_window_in_days=args.recovery_window_days,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.arn = entry.arn
        self.name = entry.name
        if args.value is None:
            self.version_id = pulumi.Output.from_input("")
        else:
            version = aws.secretsmanager.SecretVersion(
                f"{name}-version",
                secret_id=entry.id,
                secret_string=pulumi.Output.secret(args.value),
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.version_id = version.version_id
        self.register_outputs({"arn": self.arn, "name": self.name, "version_id": self.version_id})
