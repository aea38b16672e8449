"""A replication group that somebody else made: agents get logins of their own on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.secrets.secrets import Secret, SecretArgs
from components.stores.cache_users import CacheClientArgs, CacheEngine, user

_PORT = 6379


@dataclass(frozen=True, kw_only=True)
class ExistingCacheArgs:
    """What `ExistingCache` needs.

    Attributes:
        replication_group_id: the group's name.
        user_group_id: its user group, which each client joins.
        security_group_id: one of its security groups, which lets the clients in by a rule; None where it does already.
        engine: of the group, and so of its users.
        clients: who uses it.
        client_security_group_id: who may connect.
        secrets_kms_key_arn: the key of the clients' secrets.
        recovery_window_days: how long those can be restored after deletion.
        protect: keep those from being deleted.
    """

    replication_group_id: str
    user_group_id: str
    security_group_id: str | None
    engine: CacheEngine
    clients: Sequence[CacheClientArgs]
    client_security_group_id: pulumi.Input[str]
    secrets_kms_key_arn: pulumi.Input[str]
    recovery_window_days: int
    protect: bool


class ExistingCache(pulumi.ComponentResource):
    """What agents need of `Cache`, of a replication group that is there already.

    Logins are made, and a rule of its security group if that is named.

    Attributes:
        primary_endpoint: the host name of the node that takes writes.
        secrets: by client name, the entry that holds its ``rediss://`` URI.
    """

    primary_endpoint: pulumi.Output[str]
    secrets: Mapping[str, Secret]

    def __init__(
        self, name: str, args: ExistingCacheArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:ExistingCache", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        group = aws.elasticache.get_replication_group_output(
            replication_group_id=args.replication_group_id, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        self.primary_endpoint = group.apply(_primary)
        if args.security_group_id:
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-from-clients",
                security_group_id=args.security_group_id,
                description="Cache from the agents' pods",
                referenced_security_group_id=args.client_security_group_id,
                ip_protocol="tcp",
                from_port=_PORT,
                to_port=_PORT,
                opts=self._child,
            )
        self.secrets = {client.name: self._login(client) for client in args.clients}
        self.register_outputs({"primary_endpoint": self.primary_endpoint})

    def _login(self, client: CacheClientArgs) -> Secret:
        name, args = self._name, self._args
        password = random.RandomPassword(
            f"{name}-{client.name}-password", length=32, special=False, opts=self._child
        ).result
        login = user(
            name,
            client,
            replication_group_id=args.replication_group_id,
            engine=args.engine,
            password=password,
            parent=self,
        )
        joined = aws.elasticache.UserGroupAssociation(
            f"{name}-{client.name}-joins",
            user_group_id=args.user_group_id,
            user_id=login.user_id,
            opts=self._child,
        )
        return Secret(
            f"{name}-{client.name}",
            SecretArgs(
                secret_name=client.secret_name,
                description=f"Connection URI of the cache, for the agent {client.name}",
                # Who reads it may log in.
                value=pulumi.Output.all(joined.user_id, password, self.primary_endpoint).apply(
                    lambda known: f"rediss://{client.name}:{known[1]}@{known[2]}:{_PORT}/0"
                ),
                kms_key_arn=args.secrets_kms_key_arn,
                recovery_window_days=args.recovery_window_days,
                protect=args.protect,
            ),
            opts=self._child,
        )


def _primary(group: aws.elasticache.GetReplicationGroupResult) -> str:
    if group.cluster_mode == "enabled" or not group.primary_endpoint_address:
        raise pulumi.RunError(
            f"replication_group_id is {group.replication_group_id}, which is in cluster mode: agents need one with a"
            " primary endpoint"
        )
    if group.port != _PORT:
        raise pulumi.RunError(
            f"replication_group_id is {group.replication_group_id}, which listens on {group.port}: the agents' network"
            f" policies open {_PORT} alone"
        )
    return str(group.primary_endpoint_address)
