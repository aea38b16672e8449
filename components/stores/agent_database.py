"""An agent's own database and login, on the platform's PostgreSQL instance."""

import re
from dataclasses import dataclass

import pulumi
import pulumi_random as random

from components.secrets.secrets import Secret, SecretArgs
from components.stores.database_uri import database_uri

# What PostgreSQL takes as an identifier without quotes, of at most 63 bytes.
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True, kw_only=True)
class AgentDatabaseArgs:
    """What `AgentDatabase` needs.

    Attributes:
        database: the database's name.
        username: its owner, the agent's login.
        address: the instance's host name.
        port: its port.
        secret_name: the Secrets Manager entry to hold the URI.
        secrets_kms_key_arn: the key of that entry.
        recovery_window_days: how long the deleted entry can be restored.
        protect: keep the entry from being deleted.
    """

    database: str
    username: str
    address: pulumi.Input[str]
    port: pulumi.Input[int]
    secret_name: str
    secrets_kms_key_arn: pulumi.Input[str]
    recovery_window_days: int
    protect: bool

    def __post_init__(self) -> None:
        for field, value in (("database", self.database), ("username", self.username)):
            if not _IDENTIFIER.fullmatch(value):
                raise ValueError(
                    f"{field} is {value!r}: use 1 to 63 lower-case letters, digits and underscores, "
                    "not beginning with a digit"
                )


class AgentDatabase(pulumi.ComponentResource):
    """The password and the connection URI of an agent's database.

    The database and the login themselves are made by the agent's migration Job, which has the administrator's
    URI: AWS has no API for them, and whoever deploys need not reach the database.

    Attributes:
        secret: holds the URI.
    """

    secret: Secret

    def __init__(
        self, name: str, args: AgentDatabaseArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:AgentDatabase", name, None, opts)
        password = random.RandomPassword(
            f"{name}-password", length=32, special=False, opts=pulumi.ResourceOptions(parent=self)
        )
        self.secret = Secret(
            f"{name}-uri",
            SecretArgs(
                secret_name=args.secret_name,
                description=f"Connection URI of the database {args.database}, for its owner",
                value=database_uri(
                    username=args.username,
                    password=password.result,
                    address=args.address,
                    port=args.port,
                    database=args.database,
                ),
                kms_key_arn=args.secrets_kms_key_arn,
                recovery_window_days=args.recovery_window_days,
                protect=args.protect,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"secret_arn": self.secret.arn})
