"""A PostgreSQL instance that somebody else made: agents get databases and logins of their own on it."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.secrets.secrets import SecretEntry
from components.stores.clients import let_in

_PORT = 5432


@dataclass(frozen=True, kw_only=True)
class ExistingDatabaseArgs:
    """What `ExistingDatabase` needs.

    Attributes:
        identifier: the instance's name.
        admin_secret_arn: the entry with the URI of a role that may create databases and roles.
        security_group_id: one of the instance's groups, which lets the clients in by a rule; None where one does.
        admin_secret_kms_key_arn: the key of that entry, if it has one of its own.
        client_security_group_id: who may connect.
    """

    identifier: str
    admin_secret_arn: str
    admin_secret_kms_key_arn: str | None
    security_group_id: str | None
    client_security_group_id: pulumi.Input[str]


class ExistingDatabase(pulumi.ComponentResource):
    """What agents need of `Checkpointer`, of an instance that is there already.

    A rule of its security group is all that is made, if that is.

    Attributes:
        address: its host name.
        port: its port.
        admin_secret: holds the administrator's connection URI.
    """

    address: pulumi.Output[str]
    port: pulumi.Output[int]
    admin_secret: SecretEntry

    def __init__(
        self, name: str, args: ExistingDatabaseArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:ExistingDatabase", name, None, opts)
        instance = aws.rds.get_instance_output(
            db_instance_identifier=args.identifier, opts=pulumi.InvokeOutputOptions(parent=self)
        ).apply(_postgresql)
        self.address = instance.apply(lambda found: found.address)
        self.port = instance.apply(lambda found: found.port)
        self.admin_secret = SecretEntry(
            pulumi.Output.from_input(args.admin_secret_arn),
            pulumi.Output.from_input(""),
            args.admin_secret_kms_key_arn,
        )
        if args.security_group_id:
            let_in(
                name,
                security_group_id=args.security_group_id,
                client_security_group_id=args.client_security_group_id,
                port=self.port,
                description="PostgreSQL from the agents' pods",
                parent=self,
            )
        self.register_outputs({"address": self.address, "port": self.port})


def _postgresql(instance: aws.rds.GetInstanceResult) -> aws.rds.GetInstanceResult:
    if instance.engine != "postgres":
        raise pulumi.RunError(
            f"identifier is {instance.db_instance_identifier}, an instance of {instance.engine}: name one of PostgreSQL"
        )
    if instance.port != _PORT:
        raise pulumi.RunError(
            f"identifier is {instance.db_instance_identifier}, which listens on {instance.port}: the agents' network"
            f" policies open {_PORT} alone"
        )
    return instance
