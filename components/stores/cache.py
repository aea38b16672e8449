"""The cache that agents share, each within a key prefix of its own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.naming import ELASTICACHE_REPLICATION_GROUP_ID
from components.secrets.encryption import encryption_key
from components.secrets.secrets import Secret
from components.stores.cache_logins import PORT, login_secret, password
from components.stores.cache_users import CacheClientArgs, CacheEngine, user_group
from components.stores.clients import let_in
from components.stores.final_snapshot import final_snapshot

# Clients and engine are part of `CacheArgs`.
__all__ = ["MAJORS", "Cache", "CacheArgs", "CacheClientArgs", "CacheEngine"]

_IDENTIFIER = re.compile(r"[a-z](?:-?[a-z0-9])*")
_VERSION = re.compile(r"(\d+)\.\d+")


# Key-and-channel permissions by user came with 7; ElastiCache has no later Redis OSS.
MAJORS = {CacheEngine.VALKEY: ("7", "8", "9"), CacheEngine.REDIS: ("7",)}


@dataclass(frozen=True, kw_only=True)
class CacheArgs:
    """What `Cache` needs.

    Attributes:
        replication_group_id: the fixed name, at most 40 characters.
        engine: Valkey or Redis OSS.
        engine_version: major and minor, such as ``8.1``.
        node_type: such as ``cache.t4g.micro``.
        replicas: nodes beside the primary: 0 to 5.
        multi_az: replicas in other zones, with automatic failover.
        snapshot_retention_days: how long daily snapshots are kept; 0 for none.
        snapshot_window: UTC, daily.
        maintenance_window: UTC, weekly; not overlapping the snapshots.
        vpc_id: the VPC.
        subnet_ids: the database subnets.
        client_security_group_id: who may connect.
        secrets_kms_key_arn: the key of the clients' secrets.
        recovery_window_days: how long those can be restored after deletion.
        clients: who uses it; each gets a login of its own. When empty, logins of others join the user group.
        log_retention_days: of the slow log and the engine's log.
        logs_kms_key_arn: their key.
        protect: keep it from being deleted, and take a last snapshot if ever it is.
    """

    replication_group_id: str
    engine: CacheEngine
    engine_version: str
    node_type: str
    replicas: int
    multi_az: bool
    snapshot_retention_days: int
    snapshot_window: str = "02:00-03:00"
    maintenance_window: str = "sun:03:30-sun:04:30"
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    client_security_group_id: pulumi.Input[str]
    secrets_kms_key_arn: pulumi.Input[str]
    recovery_window_days: int
    clients: Sequence[CacheClientArgs]
    log_retention_days: int
    logs_kms_key_arn: pulumi.Input[str]
    protect: bool

    def __post_init__(self) -> None:
        if not _IDENTIFIER.fullmatch(self.replication_group_id) or (
            len(self.replication_group_id) > ELASTICACHE_REPLICATION_GROUP_ID
        ):
            raise ValueError(
                f"replication_group_id is {self.replication_group_id!r}: use 1 to "
                f"{ELASTICACHE_REPLICATION_GROUP_ID} lower-case letters, digits and single hyphens, "
                "beginning with a letter and not ending with a hyphen"
            )
        version = _VERSION.fullmatch(self.engine_version)
        majors = MAJORS[self.engine]
        if version is None or version[1] not in majors:
            raise ValueError(
                f"engine_version is {self.engine_version!r}: {self.engine.value} takes a major of "
                f"{', '.join(majors)} with its minor, such as {majors[-1]}.0"
            )
        if not 0 <= self.replicas <= 5:
            raise ValueError(f"replicas is {self.replicas}: ElastiCache takes 0 to 5")
        if self.multi_az and not self.replicas:
            raise ValueError(
                "multi_az is true with 0 replicas: set replicas to 1 at least, or multi_az to false"
            )
        if not 0 <= self.snapshot_retention_days <= 35:
            raise ValueError(f"snapshot_retention_days is {self.snapshot_retention_days}: use 0 to 35")
        for what, values in (
            ("name", [client.name for client in self.clients]),
            ("key_prefix", [client.key_prefix for client in self.clients]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"clients has {what}s {values}: give each client a {what} of its own")

    @property
    def family(self) -> str:
        """The parameter group family."""
        return f"{self.engine.value}{self.engine_version.split('.')[0]}"


class Cache(pulumi.ComponentResource):
    """An ElastiCache replication group with TLS, and a login for each client.

    Attributes:
        primary_endpoint: the host name of the node that takes writes; it follows a failover.
        port: 6379.
        security_group_id: the cache's own group.
        replication_group_id: its name.
        user_group_id: the name of its user group.
        secrets: by client name, the entry that holds its ``rediss://`` URI.
    """

    primary_endpoint: pulumi.Output[str]
    port: pulumi.Output[int]
    security_group_id: pulumi.Output[str]
    replication_group_id: pulumi.Output[str]
    user_group_id: pulumi.Output[str]
    secrets: Mapping[str, Secret]

    def __init__(self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Cache", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        passwords = {client.name: password(name, client, self) for client in args.clients}
        self.security_group_id = self._security_group()
        users = user_group(
            name,
            replication_group_id=args.replication_group_id,
            engine=args.engine,
            clients=args.clients,
            passwords=passwords,
            parent=self,
        )
        group = self._replication_group(users)
        self.replication_group_id, self.user_group_id = group.replication_group_id, users.user_group_id
        self.primary_endpoint = group.primary_endpoint_address
        self.port = pulumi.Output.from_input(PORT)
        self.secrets = {
            client.name: login_secret(
                name,
                client,
                password=passwords[client.name],
                primary_endpoint=self.primary_endpoint,
                kms_key_arn=args.secrets_kms_key_arn,
                recovery_window_days=args.recovery_window_days,
                protect=args.protect,
                parent=self,
            )
            for client in args.clients
        }
        self.register_outputs(
            {
                "primary_endpoint": self.primary_endpoint,
                "port": self.port,
                "security_group_id": self.security_group_id,
            }
        )

    def _security_group(self) -> pulumi.Output[str]:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-security-group",
            name=f"{self._args.replication_group_id}-cache",
            description="Cache of the agents; nothing goes out",
            vpc_id=self._args.vpc_id,
            tags={"Name": f"{self._args.replication_group_id}-cache"},
            opts=self._child,
        )
        let_in(
            self._name,
            security_group_id=group.id,
            client_security_group_id=self._args.client_security_group_id,
            port=PORT,
            description="Cache from the cluster's pods",
            parent=self,
        )
        return group.id

    def _parameter_group(self) -> aws.elasticache.ParameterGroup:
        args = self._args
        return aws.elasticache.ParameterGroup(
            f"{self._name}-parameters",
            # Of the family as well: a major upgrade needs the new group beside the old one.
            name=f"{args.replication_group_id}-{args.family}",
            family=args.family,
            description="Evicts what expires soonest",
            parameters=[
                # When memory runs out, what was going to expire first goes first. A key without a time to
                # live (a lock, a queue) is never dropped behind the agent's back: writes fail, visibly.
                aws.elasticache.ParameterGroupParameterArgs(name="maxmemory-policy", value="volatile-ttl")
            ],
            opts=self._child,
        )

    def _logs(self) -> list[aws.elasticache.ReplicationGroupLogDeliveryConfigurationArgs]:
        return [
            aws.elasticache.ReplicationGroupLogDeliveryConfigurationArgs(
                log_type=log,
                log_format="json",
                destination_type="cloudwatch-logs",
                destination=aws.cloudwatch.LogGroup(
                    f"{self._name}-{log}-logs",
                    name=f"/langgraph-agents/{self._args.replication_group_id}/{log}",
                    retention_in_days=self._args.log_retention_days,
                    kms_key_id=self._args.logs_kms_key_arn,
                    opts=self._child,
                ).name,
            )
            for log in ("slow-log", "engine-log")
        ]

    def _replication_group(self, users: aws.elasticache.UserGroup) -> aws.elasticache.ReplicationGroup:
        args = self._args
        key = encryption_key(
            f"{self._name}-key",
            alias=f"{args.replication_group_id}/cache",
            description="Encrypts the cache and its snapshots",
            protect=args.protect,
            parent=self,
        )
        subnets = aws.elasticache.SubnetGroup(
            f"{self._name}-subnets",
            name=args.replication_group_id,
            description="Database subnets of the agents' cache",
            subnet_ids=list(args.subnet_ids),
            opts=self._child,
        )
        return aws.elasticache.ReplicationGroup(
            f"{self._name}-group",
            replication_group_id=args.replication_group_id,
            description="Cache of the LangGraph agents",
            engine=args.engine.value,
            engine_version=args.engine_version,
            node_type=args.node_type,
            num_cache_clusters=1 + args.replicas,
            multi_az_enabled=args.multi_az,
            automatic_failover_enabled=args.multi_az,
            port=PORT,
            parameter_group_name=self._parameter_group().name,
            subnet_group_name=subnets.name,
            security_group_ids=[self.security_group_id],
            user_group_ids=[users.user_group_id],
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            kms_key_id=key.arn,
            log_delivery_configurations=self._logs(),
            auto_minor_version_upgrade=True,
            maintenance_window=args.maintenance_window,
            snapshot_window=args.snapshot_window if args.snapshot_retention_days else None,
            snapshot_retention_limit=args.snapshot_retention_days,
            final_snapshot_identifier=final_snapshot(self._name, args.replication_group_id, self)
            if args.protect
            else None,
            # Changes that restart nodes wait for the maintenance window.
            apply_immediately=False,
            tags={"Name": args.replication_group_id},
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
