"""What holds data: sealed, kept, and hard to lose."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from policies.model import (
    UNKNOWN,
    Resource,
    Severity,
    Stack,
    at,
    contains,
    is_true,
    items,
    mapping,
    number,
    resource_rule,
    stack_rule,
)
from policies.pods import WORKLOADS, pods_of

DATABASE = "aws:rds/instance:Instance"
PROXY = "aws:rds/proxy:Proxy"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
CLUSTER = "aws:eks/cluster:Cluster"
SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105 (a type token)
KEY = "aws:kms/key:Key"
REPOSITORY = "aws:ecr/repository:Repository"

_SQLITE = re.compile(r"\bsqlite3?(\+\w+)?:|[\w/.-]+\.(sqlite3?|db)\b", re.IGNORECASE)
_LOST_WITH_THE_POD = ("memory", "sqlite")
# Names of variables that choose where LangGraph keeps its checkpoints.
_CHECKPOINTER = re.compile(r"CHECKPOINT(ER)?(_BACKEND|_TYPE)?$")

_LEAST_BACKUP_DAYS = 7

Inputs = Mapping[str, Any]


@resource_rule(
    ("kubernetes:core/v1:ConfigMap", *WORKLOADS),
    id="no-sqlite",
    severity=Severity.HIGH,
    production_only=True,
    reason="SQLite and memory are a pod's own: a second replica sees other threads, and a restart forgets all of them",
    remedy="set the agent's checkpointer to postgres (or valkey, for threads that may expire)",
    link="https://docs.langchain.com/oss/python/langgraph/persistence",
)
def no_sqlite(resource: Resource) -> Iterator[str]:
    for name, value in _variables(resource):
        if not isinstance(value, str):
            continue
        if _CHECKPOINTER.search(name) and value.lower().startswith(_LOST_WITH_THE_POD):
            yield f"{name} is {value}"
        elif _SQLITE.search(value):
            yield f"{name} names a SQLite file"


def _variables(resource: Resource) -> Iterator[tuple[str, Any]]:
    if resource.type not in WORKLOADS:
        yield from mapping(at(resource.inputs, "data")).items()
        return
    for container in pods_of(resource).containers():
        yield from ((str(v.get("name")), v.get("value")) for v in items(container.get("env")))
        yield from ((f"container {container['name']}", arg) for arg in items(container.get("command")))
        yield from ((f"container {container['name']}", arg) for arg in items(container.get("args")))


def _own_key(field: str) -> Callable[[Inputs], str | None]:
    return lambda inputs: (
        None if inputs.get(field) else f"is not encrypted with a key of the stack's own ({field})"
    )


def _switch(field: str, key: str) -> Callable[[Inputs], str | None]:
    def check(inputs: Inputs) -> str | None:
        return _own_key(key)(inputs) if is_true(inputs.get(field)) else f"is not encrypted ({field})"

    return check


def _cluster_secrets(inputs: Inputs) -> str | None:
    sealed = contains(at(inputs, "encryptionConfig", "resources"), "secrets")
    return None if sealed else "keeps Kubernetes secrets unencrypted in etcd (encryptionConfig)"


def _volumes(inputs: Inputs) -> str | None:
    mappings = inputs.get("blockDeviceMappings")
    devices = items(mappings)
    # Without a mapping the image's own decides, and the account's default behind it.
    sealed = mappings is UNKNOWN or (devices and all(is_true(at(d, "ebs", "encrypted")) for d in devices))
    return (
        None
        if sealed
        else "gives instances volumes that are not encrypted (blockDeviceMappings.ebs.encrypted)"
    )


def _images(inputs: Inputs) -> str | None:
    configured = inputs.get("encryptionConfigurations")
    sealed = configured is UNKNOWN or any(
        at(c, "encryptionType") in ("KMS", UNKNOWN) for c in items(configured)
    )
    return None if sealed else "is not encrypted with a key of the stack's own (encryptionConfigurations)"


_AT_REST: Mapping[str, Callable[[Inputs], str | None]] = {
    DATABASE: _switch("storageEncrypted", "kmsKeyId"),
    "aws:rds/cluster:Cluster": _switch("storageEncrypted", "kmsKeyId"),
    CACHE: _switch("atRestEncryptionEnabled", "kmsKeyId"),
    "aws:ebs/volume:Volume": _switch("encrypted", "kmsKeyId"),
    "aws:efs/fileSystem:FileSystem": _switch("encrypted", "kmsKeyId"),
    CLUSTER: _cluster_secrets,
    "aws:ec2/launchTemplate:LaunchTemplate": _volumes,
    REPOSITORY: _images,
    SECRET: _own_key("kmsKeyId"),
    "aws:cloudwatch/logGroup:LogGroup": _own_key("kmsKeyId"),
    "aws:sns/topic:Topic": _own_key("kmsMasterKeyId"),
}


@resource_rule(
    tuple(_AT_REST),
    id="encrypted-at-rest",
    severity=Severity.HIGH,
    reason="Conversations, keys and logs lie on disks and in snapshots that others will handle one day",
    remedy="switch encryption on, with a KMS key of the stack; most stores cannot be encrypted later",
    link="https://docs.aws.amazon.com/wellarchitected/latest/security-pillar/protecting-data-at-rest.html",
)
def encrypted_at_rest(store: Resource) -> Iterator[str]:
    problem = _AT_REST[store.type](store.inputs)
    if problem:
        yield problem


@stack_rule(
    id="encrypted-in-transit",
    severity=Severity.HIGH,
    reason="A store that also takes plain connections gets them, with passwords and conversations in them",
    remedy="set rds.force_ssl to 1 in the parameter group, requireTls of a proxy to true, and transitEncryptionMode of"
    " the cache to required",
    link="https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Concepts.General.SSL.html",
)
def encrypted_in_transit(stack: Stack) -> Iterator[tuple[Resource, str]]:
    groups = {
        group.inputs.get("name"): group for group in stack.of_type("aws:rds/parameterGroup:ParameterGroup")
    }
    for database in stack.of_type(DATABASE):
        name = database.inputs.get("parameterGroupName")
        group = groups.get(name)
        parameters = group.inputs.get("parameters") if group else None
        forced = parameters is UNKNOWN or any(
            p.get("name") == "rds.force_ssl" and p.get("value") in ("1", 1) for p in items(parameters)
        )
        if name is not UNKNOWN and not forced:
            yield database, "takes connections without TLS (rds.force_ssl)"
    for proxy in stack.of_type(PROXY):
        if not is_true(proxy.inputs.get("requireTls")):
            yield proxy, "takes connections without TLS (requireTls)"
    for cache in stack.of_type(CACHE):
        if not is_true(cache.inputs.get("transitEncryptionEnabled")):
            yield cache, "speaks without TLS (transitEncryptionEnabled)"
        elif cache.inputs.get("transitEncryptionMode") == "preferred":
            yield cache, "takes connections without TLS (transitEncryptionMode is preferred)"
        if not cache.inputs.get("userGroupIds") and not cache.inputs.get("authToken"):
            yield cache, "asks for no password (userGroupIds, authToken)"


@resource_rule(
    (KEY,),
    id="key-rotation",
    severity=Severity.LOW,
    reason="The longer a key is used, the more is lost with it",
    remedy="set enableKeyRotation to true; KMS keeps the old material for old data",
    link="https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html",
)
def key_rotation(key: Resource) -> Iterator[str]:
    symmetric = key.inputs.get("customerMasterKeySpec", "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT"
    if symmetric and not is_true(key.inputs.get("enableKeyRotation")):
        yield "is never rotated (enableKeyRotation)"


@resource_rule(
    (DATABASE, CLUSTER, KEY, SECRET, REPOSITORY),
    id="deletion-protection",
    severity=Severity.HIGH,
    production_only=True,
    reason="A mistake in a console, or in this repository, deletes every agent's memory within minutes",
    remedy="set deletionProtection, keep the final snapshot, and give keys and secrets the longest time to be restored",
    link="https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_DeleteInstance.html",
)
def deletion_protection(resource: Resource) -> Iterator[str]:
    inputs = resource.inputs
    if resource.type in (DATABASE, CLUSTER) and not is_true(inputs.get("deletionProtection")):
        yield "can be deleted (deletionProtection is off)"
    if resource.type == DATABASE and (
        inputs.get("skipFinalSnapshot") is True or not inputs.get("finalSnapshotIdentifier")
    ):
        yield "leaves no snapshot behind (skipFinalSnapshot, finalSnapshotIdentifier)"
    # KMS waits 30 days where nothing is said, and so does Secrets Manager.
    for field in ("deletionWindowInDays", "recoveryWindowInDays"):
        days = inputs.get(field)
        if days is not None and number(days) < 30:
            yield f"is gone for good after {days} days ({field})"
    if inputs.get("forceDelete") is True:
        yield "is deleted with the images in it (forceDelete)"


@resource_rule(
    (DATABASE, CACHE),
    id="backups",
    severity=Severity.HIGH,
    production_only=True,
    reason="Without backups a bad migration, or a bad prompt with a tool, cannot be undone",
    remedy=f"set database.backupRetentionDays to {_LEAST_BACKUP_DAYS} or more, cache.snapshotRetentionDays to 1",
    link="https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_WorkingWithAutomatedBackups.html",
)
def backups(store: Resource) -> Iterator[str]:
    if store.type == DATABASE:
        days = number(store.inputs.get("backupRetentionPeriod"))
        if days < _LEAST_BACKUP_DAYS:
            yield f"can be taken back by {days:.0f} days only (backupRetentionPeriod)"
        if store.inputs.get("deleteAutomatedBackups") not in (False, UNKNOWN):
            yield "loses its backups with itself (deleteAutomatedBackups)"
    elif number(store.inputs.get("snapshotRetentionLimit")) < 1:
        yield "is never backed up (snapshotRetentionLimit)"


@resource_rule(
    (
        DATABASE,
        "aws:rds/cluster:Cluster",
        CACHE,
        CLUSTER,
        SECRET,
        KEY,
        REPOSITORY,
        "aws:ec2/vpc:Vpc",
        "aws:efs/fileSystem:FileSystem",
        "aws:dynamodb/table:Table",
        "aws:s3/bucket:Bucket",
        "aws:route53/zone:Zone",
    ),
    id="protect",
    severity=Severity.HIGH,
    production_only=True,
    reason="A rename or a `pulumi destroy` in the wrong stack would delete what cannot be made again",
    remedy="give the resource protect=True (components do it for `production: true`)",
    link="https://www.pulumi.com/docs/iac/concepts/resources/options/protect/",
)
def protect(resource: Resource) -> Iterator[str]:
    if not resource.protect:
        yield "is not protected, and holds what cannot be made again"
