"""An agent's own database and login, on the platform's PostgreSQL instance."""

import re
from dataclasses import dataclass

import pulumi
import pulumi_random as random

from components.secrets.secrets import Secret, SecretArgs
from components.stores.database_uri import CA_FILE, POOLER_CA_FILE, database_uri

# What PostgreSQL takes as an identifier without quotes, of at most 63 bytes.
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True, kw_only=True)
class PooledEntryArgs:
    """The entry with the URI that leads to PgBouncer.

    Attributes:
        secret_name: its name.
        address: PgBouncer's host name, which its certificate has.
        port: its port.
    """

    secret_name: str
    address: str
    port: int


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
        pooled: the entry of who connects by PgBouncer; None where there is none.
    """

    database: str
    username: str
    address: pulumi.Input[str]
    port: pulumi.Input[int]
    secret_name: str
    secrets_kms_key_arn: pulumi.Input[str]
    recovery_window_days: int
    protect: bool
    pooled: PooledEntryArgs | None = None

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
        pooled: holds the URI that leads to PgBouncer; the same entry where there is none.
        password: the login's.
    """

    secret: Secret
    pooled: Secret
    password: pulumi.Output[str]

    def __init__(
        self, name: str, args: AgentDatabaseArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:AgentDatabase", name, None, opts)
        password = random.RandomPassword(
            f"{name}-password", length=32, special=False, opts=pulumi.ResourceOptions(parent=self)
        )
        self.password = password.result
        self.secret = self._entry(f"{name}-uri", args, args.secret_name, args.address, args.port, CA_FILE)
        self.pooled = self.secret
        if (pooled := args.pooled) is not None:
            self.pooled = self._entry(
                f"{name}-pooled-uri", args, pooled.secret_name, pooled.address, pooled.port, POOLER_CA_FILE
            )
        self.register_outputs({"secret_arn": self.secret.arn})

    def _entry(
        self,
        name: str,
        args: AgentDatabaseArgs,
        secret_name: str,
        address: pulumi.Input[str],
        port: pulumi.Input[int],
        ca_file: str,
    ) -> Secret:
        through = "" if ca_file == CA_FILE else " through PgBouncer"
        return Secret(
            name,
            SecretArgs(
                secret_name=secret_name,
                description=f"Connection URI of the database {args.database}{through}, for its owner",
                value=database_uri(
                    username=args.username,
                    password=self.password,
                    address=address,
                    port=port,
                    database=args.database,
                    ca_file=ca_file,
                ),
                kms_key_arn=args.secrets_kms_key_arn,
                recovery_window_days=args.recovery_window_days,
                protect=args.protect,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
