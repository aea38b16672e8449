"""A replication group that somebody else made: agents get logins of their own on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.secrets.secrets import Secret
from components.stores.cache_logins import PORT, login_secret, password
from components.stores.cache_users import CacheClientArgs, CacheEngine, user
from components.stores.clients import let_in


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
        group = aws.elasticache.get_replication_group_output(
            replication_group_id=args.replication_group_id, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        self.primary_endpoint = group.apply(_primary)
        if args.security_group_id:
            let_in(
                name,
                security_group_id=args.security_group_id,
                client_security_group_id=args.client_security_group_id,
                port=PORT,
                description="Cache from the agents' pods",
                parent=self,
            )
        self.secrets = {client.name: self._login(client) for client in args.clients}
        self.register_outputs({"primary_endpoint": self.primary_endpoint})

    def _login(self, client: CacheClientArgs) -> Secret:
        name, args = self._name, self._args
        secret = password(name, client, self)
        login = user(
            name,
            client,
            replication_group_id=args.replication_group_id,
            engine=args.engine,
            password=secret,
            parent=self,
        )
        joined = aws.elasticache.UserGroupAssociation(
            f"{name}-{client.name}-joins",
            user_group_id=args.user_group_id,
            user_id=login.user_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return login_secret(
            name,
            client,
            # Who reads it may log in.
            password=pulumi.Output.all(joined.user_id, secret).apply(lambda known: str(known[1])),
            primary_endpoint=self.primary_endpoint,
            kms_key_arn=args.secrets_kms_key_arn,
            recovery_window_days=args.recovery_window_days,
            protect=args.protect,
            parent=self,
        )


def _primary(group: aws.elasticache.GetReplicationGroupResult) -> str:
    if group.cluster_mode == "enabled" or not group.primary_endpoint_address:
        raise pulumi.RunError(
            f"replication_group_id is {group.replication_group_id}, which is in cluster mode: agents need one with a"
            " primary endpoint"
        )
    if group.port != PORT:
        raise pulumi.RunError(
            f"replication_group_id is {group.replication_group_id}, which listens on {group.port}: the agents' network"
            f" policies open {PORT} alone"
        )
    return str(group.primary_endpoint_address)
