"""RDS Proxy: many connections of the agents' pods over few to an RDS instance, run by AWS."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import iam
from components.naming import IAM_ROLE_NAME, RDS_IDENTIFIER, safe_name
from components.secrets.secrets import Secret, SecretArgs
from components.stores.clients import let_in

#: Every proxy for PostgreSQL listens there.
PORT = 5432

_IDLE_SECONDS = 1800
# As long as a failover of the instance may take: meanwhile clients wait, and are not turned away. AWS's own default.
_BORROW_SECONDS = 120
# A managed policy holds 6,144 characters, and an ARN of a long name is 190 of them. A role takes ten policies.
_ENTRIES_A_POLICY = 25


@dataclass(frozen=True, kw_only=True)
class LoginArgs:
    """A login that may connect.

    Attributes:
        name: of its owner, for the resource's name.
        username: its name in PostgreSQL.
        password: its password there.
        secret_name: the Secrets Manager entry to hold both.
    """

    name: str
    username: str
    password: pulumi.Input[str]
    secret_name: str


@dataclass(frozen=True, kw_only=True)
class RdsProxyArgs:
    """What `RdsProxy` needs.

    Attributes:
        proxy_name: its identifier, at most 63 characters.
        region: of its entries and their key.
        logins: who may connect, 200 at most.
        secrets_kms_key_arn: the key of their entries.
        recovery_window_days: how long a deleted entry can be restored.
        instance_identifier: the RDS instance.
        database_security_group_id: the instance's group, to which a rule is added that lets the proxy in.
        client_security_group_id: who may connect.
        vpc_id: the VPC of the instance.
        subnet_ids: private ones, in two zones at least.
        connections_percent: of what the instance takes, what the proxy may open at most.
        log_retention_days: of its log.
        logs_kms_key_arn: the log's key.
        protect: keep the entries from being deleted.
    """

    proxy_name: str
    region: str
    logins: Sequence[LoginArgs]
    secrets_kms_key_arn: pulumi.Input[str]
    recovery_window_days: int
    instance_identifier: pulumi.Input[str]
    database_security_group_id: pulumi.Input[str]
    client_security_group_id: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    connections_percent: int
    log_retention_days: int
    logs_kms_key_arn: pulumi.Input[str]
    protect: bool

    def __post_init__(self) -> None:
        if len(self.proxy_name) > RDS_IDENTIFIER:
            raise ValueError(
                f"proxy_name is {self.proxy_name!r} ({len(self.proxy_name)} characters): RDS takes {RDS_IDENTIFIER};"
                " shorten it with naming.safe_name"
            )
        if not self.logins:
            raise ValueError("logins is empty: a proxy without one lets nobody in")
        if not 1 <= self.connections_percent <= 100:
            raise ValueError(f"connections_percent is {self.connections_percent}: use 1 to 100")


class RdsProxy(pulumi.ComponentResource):
    """A proxy of one RDS instance, with TLS on both sides, for logins that it knows by entries of its own.

    Its certificate is signed by Amazon Trust Services (`components.pooling.amazon_roots`).

    Attributes:
        address: its host name, once it has the instance behind it.
        port: 5432.
        ready: the leaf with which clients can be answered.
    """

    address: pulumi.Output[str]
    port: int = PORT
    ready: pulumi.Resource

    def __init__(self, name: str, args: RdsProxyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:RdsProxy", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        entries = [self._entry(login) for login in args.logins]
        role, leave = self._role(entries)
        log = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            # RDS would make it itself, without retention and without a key.
            name=f"/aws/rds/proxy/{args.proxy_name}",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.logs_kms_key_arn,
            opts=self._child,
        )
        proxy = aws.rds.Proxy(
            f"{name}-proxy",
            name=args.proxy_name,
            engine_family="POSTGRESQL",
            auths=[
                aws.rds.ProxyAuthArgs(
                    auth_scheme="SECRETS",
                    client_password_auth_type="POSTGRES_SCRAM_SHA_256",  # noqa: S106 (a method)
                    iam_auth="DISABLED",
                    # Once it holds the login.
                    secret_arn=pulumi.Output.all(entry.arn, entry.version_id).apply(lambda known: known[0]),
                )
                for entry in entries
            ],
            role_arn=role.arn,
            require_tls=True,
            # It would write the text of statements into its log.
            debug_logging=False,
            idle_client_timeout=_IDLE_SECONDS,
            vpc_security_group_ids=[self._security_group()],
            vpc_subnet_ids=list(args.subnet_ids),
            tags={"Name": args.proxy_name},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*leave, log]),
        )
        group = aws.rds.ProxyDefaultTargetGroup(
            f"{name}-connections",
            db_proxy_name=proxy.name,
            connection_pool_config=aws.rds.ProxyDefaultTargetGroupConnectionPoolConfigArgs(
                max_connections_percent=args.connections_percent,
                # Half of them, as by default: at most as many as there may be, which AWS's own half of all is not.
                max_idle_connections_percent=args.connections_percent // 2,
                connection_borrow_timeout=_BORROW_SECONDS,
            ),
            opts=self._child,
        )
        self.ready = target = aws.rds.ProxyTarget(
            f"{name}-target",
            db_proxy_name=proxy.name,
            target_group_name=group.name,
            db_instance_identifier=args.instance_identifier,
            opts=self._child,
        )
        self.address = pulumi.Output.all(proxy.endpoint, target.id).apply(lambda known: str(known[0]))
        self.register_outputs({"address": self.address})

    def _entry(self, login: LoginArgs) -> Secret:
        return Secret(
            f"{self._name}-{login.name}-login",
            SecretArgs(
                secret_name=login.secret_name,
                description=f"Login {login.username} to PostgreSQL, for RDS Proxy",
                value=pulumi.Output.from_input(login.password).apply(
                    lambda password: json.dumps({"username": login.username, "password": password})
                ),
                kms_key_arn=self._args.secrets_kms_key_arn,
                recovery_window_days=self._args.recovery_window_days,
                protect=self._args.protect,
            ),
            self._child,
        )

    def _role(self, entries: Sequence[Secret]) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        """What the proxy may do, and the leaves without which it may not: read these entries, by their key."""
        args, name = self._args, self._name
        role = aws.iam.Role(
            f"{name}-role",
            name=safe_name(args.proxy_name, "rds-proxy", limit=IAM_ROLE_NAME),
            description="RDS Proxy reads the logins that may connect by it",
            # Without conditions: RDS Proxy knows none of the global keys (aws:SourceArn and the like),
            # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.html#rds-proxy.limits
            assume_role_policy=iam.trust("rds.amazonaws.com"),
            opts=self._child,
        )
        leave: list[pulumi.Resource] = [
            aws.iam.RolePolicy(
                f"{name}-decrypt",
                name="decrypt",
                role=role.name,
                policy=iam.document(
                    [
                        {
                            "Sid": "DecryptLogins",
                            "Effect": "Allow",
                            "Action": "kms:Decrypt",
                            "Resource": args.secrets_kms_key_arn,
                            "Condition": {
                                "StringEquals": {
                                    "kms:ViaService": f"secretsmanager.{args.region}.amazonaws.com"
                                }
                            },
                        }
                    ]
                ),
                opts=self._child,
            )
        ]
        for number, first in enumerate(range(0, len(entries), _ENTRIES_A_POLICY), start=1):
            policy = aws.iam.Policy(
                f"{name}-logins-{number}",
                name=safe_name(args.proxy_name, f"rds-proxy-{number}", limit=IAM_ROLE_NAME),
                description="Reads logins of the agents",
                policy=iam.document(
                    [
                        {
                            "Sid": "ReadLogins",
                            "Effect": "Allow",
                            "Action": "secretsmanager:GetSecretValue",
                            "Resource": [entry.arn for entry in entries[first : first + _ENTRIES_A_POLICY]],
                        }
                    ]
                ),
                opts=self._child,
            )
            leave.append(
                aws.iam.RolePolicyAttachment(
                    f"{name}-logins-{number}-attachment",
                    role=role.name,
                    policy_arn=policy.arn,
                    opts=self._child,
                )
            )
        return role, leave

    def _security_group(self) -> pulumi.Output[str]:
        """From the clients, to the instance, and nowhere else."""
        args, name = self._args, self._name
        group = aws.ec2.SecurityGroup(
            f"{name}-security-group",
            name=f"{args.proxy_name}-proxy",
            description="RDS Proxy of the agents; to PostgreSQL and nowhere else",
            vpc_id=args.vpc_id,
            tags={"Name": f"{args.proxy_name}-proxy"},
            opts=self._child,
        )
        let_in(
            name,
            security_group_id=group.id,
            client_security_group_id=args.client_security_group_id,
            port=PORT,
            description="PostgreSQL by RDS Proxy, from the cluster's pods",
            parent=self,
        )
        let_in(
            f"{name}-database",
            security_group_id=args.database_security_group_id,
            client_security_group_id=group.id,
            port=PORT,
            description="PostgreSQL from RDS Proxy",
            parent=self,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-to-database",
            security_group_id=group.id,
            description="PostgreSQL",
            referenced_security_group_id=args.database_security_group_id,
            ip_protocol="tcp",
            from_port=PORT,
            to_port=PORT,
            opts=self._child,
        )
        return group.id
