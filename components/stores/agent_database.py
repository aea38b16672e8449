"""An agent's own database and login, on the platform's PostgreSQL instance."""

import re
from dataclasses import dataclass

import pulumi
import pulumi_random as random

from components.secrets.secrets import Secret, SecretArgs
from components.stores.database_uri import CA_FILE, database_uri

# What PostgreSQL takes as an identifier without quotes, of at most 63 bytes.
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True, kw_only=True)
class PoolerArgs:
    """What stands between clients and the instance.

    Attributes:
        name: in words, such as ``PgBouncer``.
        address: its host name, which its certificate has.
        port: its port.
        ca_file: where clients find who signed that certificate.
    """

    name: str
    address: pulumi.Input[str]
    port: int
    ca_file: str


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
        username: the login.
        password: the login's.
    """

    secret: Secret
    username: str
    password: pulumi.Output[str]

    def __init__(
        self, name: str, args: AgentDatabaseArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:AgentDatabase", name, None, opts)
        self._name, self._args = name, args
        password = random.RandomPassword(
            f"{name}-password", length=32, special=False, opts=pulumi.ResourceOptions(parent=self)
        )
        self.username, self.password = args.username, password.result
        self.secret = self._entry("uri", args.secret_name, args.address, args.port, CA_FILE)
        self.register_outputs({"secret_arn": self.secret.arn})

    def entry_through(self, pooler: PoolerArgs, secret_name: str) -> Secret:
        """A second entry, with the URI that leads to a pooler.

        By itself, because a pooler may want the logins of all agents before it has an address.
        """
        return self._entry(
            "pooled-uri",
            secret_name,
            pooler.address,
            pooler.port,
            pooler.ca_file,
            through=f" through {pooler.name}",
        )

    def _entry(
        self,
        part: str,
        secret_name: str,
        address: pulumi.Input[str],
        port: pulumi.Input[int],
        ca_file: str,
        *,
        through: str = "",
    ) -> Secret:
        args = self._args
        return Secret(
            f"{self._name}-{part}",
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
