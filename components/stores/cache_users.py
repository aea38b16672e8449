"""Who may use the cache, and what with: a login for each client, within its own key prefix."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.naming import ELASTICACHE_REPLICATION_GROUP_ID, safe_name

# User and user group identifiers have the same limit as replication groups.
_USER_ID = ELASTICACHE_REPLICATION_GROUP_ID
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class CacheEngine(StrEnum):
    """The software; both speak the same protocol."""

    VALKEY = "valkey"
    REDIS = "redis"
    """Redis OSS, whose last version on ElastiCache is 7.1."""


@dataclass(frozen=True, kw_only=True)
class CacheClientArgs:
    """One user of the cache.

    Attributes:
        name: of the agent.
        key_prefix: all its keys and channels begin with this and a colon.
        secret_name: the Secrets Manager entry to hold its URI.
    """

    name: str
    key_prefix: str
    secret_name: str

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.key_prefix):
            raise ValueError(
                f"key_prefix of cache client {self.name!r} is {self.key_prefix!r}: use letters, digits, _ "
                "and -, without the colon"
            )


def access_string(key_prefix: str) -> str:
    """What a client may do: everything with keys and channels below its prefix, nothing to the server.

    ``@dangerous`` and ``@admin`` take away what looks at or changes the whole server: FLUSHALL, KEYS, CONFIG,
    INFO, the listing and killing of other clients. What a connection says about itself (HELLO, CLIENT
    SETINFO) stays.
    """
    return f"on ~{key_prefix}:* &{key_prefix}:* +@all -@dangerous -@admin"


def user(
    name: str,
    client: CacheClientArgs,
    *,
    replication_group_id: str,
    engine: CacheEngine,
    password: pulumi.Output[str],
    parent: pulumi.Resource,
) -> aws.elasticache.User:
    """A client's login."""
    return aws.elasticache.User(
        f"{name}-{client.name}-user",
        user_id=safe_name(replication_group_id, client.name, limit=_USER_ID),
        user_name=client.name,
        engine=engine.value,
        access_string=access_string(client.key_prefix),
        authentication_mode=aws.elasticache.UserAuthenticationModeArgs(type="password", passwords=[password]),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def user_group(
    name: str,
    *,
    replication_group_id: str,
    engine: CacheEngine,
    clients: Sequence[CacheClientArgs],
    passwords: Mapping[str, pulumi.Output[str]],
    parent: pulumi.Resource,
) -> aws.elasticache.UserGroup:
    """The users of a replication group. Nobody else can log in; without clients, users of others may join it.

    Args:
        passwords: by client name, secret.
    """
    child = pulumi.ResourceOptions(parent=parent)
    users = [
        user(
            name,
            client,
            replication_group_id=replication_group_id,
            engine=engine,
            password=passwords[client.name],
            parent=parent,
        )
        for client in clients
    ]
    if engine is CacheEngine.REDIS:
        # A Redis OSS group has to hold a user "default", for whom connections without a name are taken: this
        # one is switched off. https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Clusters.RBAC.html
        users.append(
            aws.elasticache.User(
                f"{name}-default-user",
                user_id=safe_name(replication_group_id, "default-off", limit=_USER_ID),
                user_name="default",
                engine=engine.value,
                access_string="off -@all",
                authentication_mode=aws.elasticache.UserAuthenticationModeArgs(type="no-password-required"),
                opts=child,
            )
        )
    elif not clients:
        # No group is empty.
        users.append(_nobody(name, replication_group_id, parent))
    return aws.elasticache.UserGroup(
        f"{name}-users",
        user_group_id=safe_name(replication_group_id, "users", limit=_USER_ID),
        engine=engine.value,
        user_ids=[user.user_id for user in users],
        # Who joins from elsewhere (UserGroupAssociation) must not be put out again.
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=[] if clients else ["userIds"]),
    )


def _nobody(name: str, replication_group_id: str, parent: pulumi.Resource) -> aws.elasticache.User:
    """A user of Valkey, which knows none without a password, that is switched off."""
    child = pulumi.ResourceOptions(parent=parent)
    password = random.RandomPassword(f"{name}-nobody-password", length=32, special=False, opts=child)
    return aws.elasticache.User(
        f"{name}-nobody-user",
        user_id=safe_name(replication_group_id, "nobody", limit=_USER_ID),
        user_name="nobody",
        engine=CacheEngine.VALKEY.value,
        access_string="off -@all",
        authentication_mode=aws.elasticache.UserAuthenticationModeArgs(
            type="password", passwords=[password.result]
        ),
        opts=child,
    )
