"""The PostgreSQL instance that keeps the checkpoints of all agents: their threads, and how to resume them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.naming import RDS_IDENTIFIER
from components.secrets.encryption import encryption_key
from components.secrets.secrets import Secret, SecretArgs
from components.stores.clients import let_in
from components.stores.database_uri import database_uri
from components.stores.final_snapshot import final_snapshot
from components.stores.max_connections import MEMORY_GIB, max_connections
from components.stores.rds_monitoring import log_groups, monitoring_role

_PORT = 5432
_ADMIN = "langgraph_admin"
# Every RDS instance has it; agents get databases of their own.
_ADMIN_DATABASE = "postgres"
_LOG_EXPORTS = ("postgresql", "upgrade")
# The root of the certificate authority that RDS offers without a limit of region, valid until 2061.
_CERTIFICATE_AUTHORITY = "rds-ca-rsa2048-g1"

_IDENTIFIER = re.compile(r"[a-z](?:-?[a-z0-9])*")
_VERSION = re.compile(r"(?P<major>\d+)(?P<minor>\.\d+)?")
_MAJORS = ("17", "18")
# RDS takes a limit for growth only if it is at least a tenth above the storage.
_LEAST_GROWTH = 1.1
# gp3's least on RDS.
_LEAST_STORAGE_GIB = 20


@dataclass(frozen=True, kw_only=True)
class CheckpointerArgs:
    """What `Checkpointer` needs.

    Attributes:
        identifier: the instance's fixed name.
        engine_version: a major (``17``), and RDS keeps the minor up to date in the maintenance window; or an
            exact version (``17.6``), which stays until it is changed here.
        allow_major_version_upgrade: set it for the one deployment that raises the major, which is done at once and
            not in the maintenance window.
        instance_class: such as ``db.m7g.large``.
        allocated_storage_gib: at first.
        max_allocated_storage_gib: up to where RDS lets it grow by itself.
        multi_az: a standby in another zone, with automatic failover.
        deletion_protection: AWS refuses to delete the instance.
        backup_retention_days: how far back point-in-time recovery reaches: 1 to 35.
        vpc_id: the VPC.
        subnet_ids: the database subnets, in two zones at least.
        client_security_group_id: who may connect.
        secrets_kms_key_arn: the key of the administrator's secret.
        admin_secret_name: the Secrets Manager entry to hold the administrator's URI.
        recovery_window_days: how long that entry can be restored after deletion.
        max_connections: None is what the instance class is reckoned to take.
        performance_insights: what the database spends its time on, kept for the free seven days.
        monitoring_interval_seconds: of the operating system's figures; 0 turns them off.
        backup_window: UTC, daily.
        maintenance_window: UTC, weekly; not overlapping the backups.
        log_retention_days: of the database's logs.
        logs_kms_key_arn: their key.
        protect: keep instance, key and secret from being deleted, and take a last snapshot if ever they are.
    """

    identifier: str
    engine_version: str
    allow_major_version_upgrade: bool = False
    instance_class: str
    allocated_storage_gib: int
    max_allocated_storage_gib: int
    multi_az: bool
    deletion_protection: bool
    backup_retention_days: int
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    client_security_group_id: pulumi.Input[str]
    secrets_kms_key_arn: pulumi.Input[str]
    admin_secret_name: str
    recovery_window_days: int
    max_connections: int | None = None
    performance_insights: bool
    monitoring_interval_seconds: int = 0
    backup_window: str = "02:00-03:00"
    maintenance_window: str = "sun:03:30-sun:04:30"
    log_retention_days: int
    logs_kms_key_arn: pulumi.Input[str]
    protect: bool

    def __post_init__(self) -> None:
        if not _IDENTIFIER.fullmatch(self.identifier) or len(self.identifier) > RDS_IDENTIFIER:
            raise ValueError(
                f"identifier is {self.identifier!r}: use 1 to {RDS_IDENTIFIER} lower-case letters, digits and "
                "single hyphens, beginning with a letter and not ending with a hyphen"
            )
        version = _VERSION.fullmatch(self.engine_version)
        if version is None or version["major"] not in _MAJORS:
            raise ValueError(
                f"engine_version is {self.engine_version!r}: use a PostgreSQL major "
                f"({' or '.join(_MAJORS)}) or an exact version of one, such as 17.6"
            )
        if self.instance_class not in MEMORY_GIB:
            max_connections(self.instance_class)
        if self.allocated_storage_gib < _LEAST_STORAGE_GIB:
            raise ValueError(
                f"allocated_storage_gib is {self.allocated_storage_gib}: use at least {_LEAST_STORAGE_GIB}"
            )
        if self.max_allocated_storage_gib < self.allocated_storage_gib * _LEAST_GROWTH:
            raise ValueError(
                f"max_allocated_storage_gib is {self.max_allocated_storage_gib}: RDS wants it a tenth above "
                f"allocated_storage_gib ({self.allocated_storage_gib}) at least"
            )
        if not 1 <= self.backup_retention_days <= 35:
            raise ValueError(f"backup_retention_days is {self.backup_retention_days}: use 1 to 35")
        if self.monitoring_interval_seconds not in (0, 1, 5, 10, 15, 30, 60):
            raise ValueError(
                f"monitoring_interval_seconds is {self.monitoring_interval_seconds}: "
                "use 1, 5, 10, 15, 30 or 60, or 0 for none"
            )

    @property
    def major_version(self) -> str:
        return self.engine_version.split(".")[0]

    @property
    def exact_version(self) -> bool:
        return "." in self.engine_version


class Checkpointer(pulumi.ComponentResource):
    """RDS PostgreSQL, reachable over TLS by the cluster's pods and by nobody else.

    Attributes:
        identifier: the instance's name.
        instance_arn: its ARN.
        address: its host name.
        port: 5432.
        admin_secret: holds the administrator's connection URI.
        security_group_id: the instance's own group.
    """

    identifier: pulumi.Output[str]
    instance_arn: pulumi.Output[str]
    address: pulumi.Output[str]
    port: pulumi.Output[int]
    admin_secret: Secret
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: CheckpointerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Checkpointer", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        password = random.RandomPassword(f"{name}-admin-password", length=32, special=False, opts=self._child)
        self.security_group_id = self._security_group()
        instance = self._instance(password.result)
        self.identifier = instance.identifier
        self.instance_arn = instance.arn
        self.address = instance.address
        self.port = instance.port
        self.admin_secret = Secret(
            f"{name}-admin",
            SecretArgs(
                secret_name=args.admin_secret_name,
                description=f"Connection URI of the administrator of {args.identifier}, for migrations",
                value=database_uri(
                    username=_ADMIN,
                    password=password.result,
                    address=self.address,
                    port=self.port,
                    database=_ADMIN_DATABASE,
                ),
                kms_key_arn=args.secrets_kms_key_arn,
                recovery_window_days=args.recovery_window_days,
                protect=args.protect,
            ),
            opts=self._child,
        )
        self.register_outputs(
            {
                "identifier": self.identifier,
                "instance_arn": self.instance_arn,
                "address": self.address,
                "port": self.port,
                "admin_secret_arn": self.admin_secret.arn,
                "security_group_id": self.security_group_id,
            }
        )

    def _security_group(self) -> pulumi.Output[str]:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-security-group",
            name=f"{self._args.identifier}-database",
            description="PostgreSQL of the agents; nothing goes out",
            vpc_id=self._args.vpc_id,
            tags={"Name": f"{self._args.identifier}-database"},
            opts=self._child,
        )
        let_in(
            self._name,
            security_group_id=group.id,
            client_security_group_id=self._args.client_security_group_id,
            port=_PORT,
            description="PostgreSQL from the cluster's pods",
            parent=self,
        )
        return group.id

    def _parameter_group(self) -> aws.rds.ParameterGroup:
        args = self._args
        family = f"postgres{args.major_version}"
        connections = args.max_connections or max_connections(args.instance_class)
        parameters = {
            "rds.force_ssl": ("1", "immediate"),
            # Set rather than left to RDS's formula: the pools of the agents are reckoned with this number.
            "max_connections": (str(connections), "pending-reboot"),
            # A transaction that somebody forgot holds back vacuum, and checkpoint tables are rewritten a lot.
            "idle_in_transaction_session_timeout": ("60000", "immediate"),
            "log_min_duration_statement": ("1000", "immediate"),
            "log_lock_waits": ("1", "immediate"),
        }
        return aws.rds.ParameterGroup(
            f"{self._name}-parameters",
            # Of the family as well: a major upgrade needs the new group beside the old one.
            name=f"{args.identifier}-{family}",
            family=family,
            description=f"PostgreSQL {args.major_version} for checkpoints",
            parameters=[
                aws.rds.ParameterGroupParameterArgs(name=parameter, value=value, apply_method=method)
                for parameter, (value, method) in parameters.items()
            ],
            opts=self._child,
        )

    def _instance(self, password: pulumi.Output[str]) -> aws.rds.Instance:
        args = self._args
        key = encryption_key(
            f"{self._name}-key",
            alias=f"{args.identifier}/database",
            description="Encrypts the checkpoints, their backups and their performance figures",
            protect=args.protect,
            parent=self,
        )
        subnets = aws.rds.SubnetGroup(
            f"{self._name}-subnets",
            name=args.identifier,
            description="Database subnets of the agents' PostgreSQL",
            subnet_ids=list(args.subnet_ids),
            opts=self._child,
        )
        monitors = (
            monitoring_role(self._name, identifier=args.identifier, parent=self)
            if args.monitoring_interval_seconds
            else None
        )
        logs = log_groups(
            self._name,
            identifier=args.identifier,
            exports=_LOG_EXPORTS,
            retention_days=args.log_retention_days,
            kms_key_arn=args.logs_kms_key_arn,
            parent=self,
        )
        return aws.rds.Instance(
            f"{self._name}-instance",
            identifier=args.identifier,
            engine="postgres",
            engine_version=args.engine_version,
            allow_major_version_upgrade=args.allow_major_version_upgrade,
            auto_minor_version_upgrade=not args.exact_version,
            instance_class=args.instance_class,
            storage_type="gp3",
            allocated_storage=args.allocated_storage_gib,
            max_allocated_storage=args.max_allocated_storage_gib,
            storage_encrypted=True,
            kms_key_id=key.arn,
            multi_az=args.multi_az,
            username=_ADMIN,
            password=password,
            port=_PORT,
            ca_cert_identifier=_CERTIFICATE_AUTHORITY,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[self.security_group_id],
            publicly_accessible=False,
            parameter_group_name=self._parameter_group().name,
            backup_retention_period=args.backup_retention_days,
            backup_window=args.backup_window,
            maintenance_window=args.maintenance_window,
            copy_tags_to_snapshot=True,
            delete_automated_backups=not args.protect,
            deletion_protection=args.deletion_protection,
            skip_final_snapshot=not args.protect,
            final_snapshot_identifier=final_snapshot(self._name, args.identifier, self)
            if args.protect
            else None,
            enabled_cloudwatch_logs_exports=list(_LOG_EXPORTS),
            performance_insights_enabled=args.performance_insights,
            performance_insights_kms_key_id=key.arn if args.performance_insights else None,
            performance_insights_retention_period=7 if args.performance_insights else None,
            monitoring_interval=args.monitoring_interval_seconds,
            monitoring_role_arn=monitors.arn if monitors else None,
            # Changes that restart the database wait for the maintenance window. A major upgrade does not: the old
            # version's parameter group goes in the same deployment, and RDS deletes none that is in use.
            apply_immediately=args.allow_major_version_upgrade,
            tags={"Name": args.identifier},
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                # Otherwise RDS makes the log groups itself.
                depends_on=logs,
            ),
        )
