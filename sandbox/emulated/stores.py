"""RDS, ElastiCache, Secrets Manager, KMS and CloudWatch Logs: what keeps data."""

import hashlib
from typing import Any

from sandbox.emulated.subject import Kind, Subject, keys


def _database(subject: Subject, id_: str) -> dict[str, Any]:
    identifier = subject.named("identifier")
    # The account's own part of RDS host names.
    address = f"{identifier}.c{subject.hex(11)}.{subject.region}.rds.amazonaws.com"
    port = int(subject.inputs.get("port") or 5432)
    version = subject.get("engineVersion")
    return {
        "address": address,
        "arn": subject.arn("rds", f"db:{identifier}"),
        "endpoint": f"{address}:{port}",
        "engineVersionActual": version if "." in version else f"{version}.6",
        "hostedZoneId": "Z1RLNUO7B9Q6NB",
        "identifier": identifier,
        "port": port,
        "resourceId": id_,
        "status": "available",
    }


def _proxy(subject: Subject, id_: str) -> dict[str, Any]:
    return {
        "arn": subject.arn("rds", f"db-proxy:prx-{subject.hex(17)}"),
        # The account's own part, as in the names of instances.
        "endpoint": f"{id_}.proxy-c{subject.hex(11)}.{subject.region}.rds.amazonaws.com",
    }


def _proxy_target(subject: Subject, id_: str) -> dict[str, Any]:
    instance = subject.get("dbInstanceIdentifier")
    return {"port": 5432, "rdsResourceId": instance, "type": "RDS_INSTANCE"}


def _replication_group(subject: Subject, id_: str) -> dict[str, Any]:
    domain = f"{id_}.{subject.hex(6)}.euc1.cache.amazonaws.com"
    nodes = int(subject.inputs.get("numCacheClusters") or 1)
    return {
        "arn": subject.arn("elasticache", f"replicationgroup:{id_}"),
        "clusterEnabled": False,
        "engineVersionActual": f"{subject.get('engineVersion')}.0",
        "memberClusters": [f"{id_}-{number:03}" for number in range(1, nodes + 1)],
        "primaryEndpointAddress": f"master.{domain}",
        "readerEndpointAddress": f"replica.{domain}",
        "replicationGroupId": id_,
    }


def _key(subject: Subject, id_: str) -> dict[str, Any]:
    return {"arn": subject.arn("kms", f"key/{id_}"), "keyId": id_}


def _secret_arn(subject: Subject) -> str:
    # Secrets Manager ends every ARN with six random characters.
    return subject.arn("secretsmanager", f"secret:{subject.named()}-{subject.hex(6)}")


def _secret_version(subject: Subject) -> str:
    # Of the value too: a changed value is another version.
    value = hashlib.sha256(subject.get("secretString").encode()).hexdigest()
    return subject.uuid(salt=value)


KINDS = {
    "aws:rds/instance:Instance": Kind(
        lambda s: f"db-{s.hex(26).upper()}",
        _database,
        secret=keys("password"),
        renewed=keys("engineVersionActual", "identifier", "port"),
    ),
    "aws:rds/parameterGroup:ParameterGroup": Kind(
        lambda s: s.named(),
        lambda s, id_: {"arn": s.arn("rds", f"pg:{id_}"), "name": id_},
    ),
    "aws:rds/subnetGroup:SubnetGroup": Kind(
        lambda s: s.named(),
        lambda s, id_: {"arn": s.arn("rds", f"subgrp:{id_}"), "name": id_},
    ),
    "aws:rds/proxy:Proxy": Kind(lambda s: s.named(), _proxy, renewed=keys("endpoint")),
    "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup": Kind(
        lambda s: s.get("dbProxyName"),
        lambda s, id_: {"arn": s.arn("rds", f"target-group:prx-tg-{s.hex(17)}"), "name": "default"},
    ),
    "aws:rds/proxyTarget:ProxyTarget": Kind(
        lambda s: "/".join(
            (
                s.get("dbProxyName"),
                s.get("targetGroupName"),
                "RDS_INSTANCE",
                s.get("dbInstanceIdentifier"),
            )
        ),
        _proxy_target,
    ),
    "aws:elasticache/replicationGroup:ReplicationGroup": Kind(
        lambda s: s.named("replicationGroupId"),
        _replication_group,
        renewed=keys("engineVersionActual", "memberClusters"),
    ),
    "aws:elasticache/user:User": Kind(
        lambda s: s.get("userId"),
        lambda s, id_: {"arn": s.arn("elasticache", f"user:{id_}")},
        secret=keys("passwords"),
    ),
    "aws:elasticache/userGroup:UserGroup": Kind(
        lambda s: s.get("userGroupId"),
        lambda s, id_: {"arn": s.arn("elasticache", f"usergroup:{id_}")},
    ),
    "aws:elasticache/userGroupAssociation:UserGroupAssociation": Kind(
        lambda s: f"{s.get('userGroupId')},{s.get('userId')}"
    ),
    "aws:elasticache/parameterGroup:ParameterGroup": Kind(
        lambda s: s.named(),
        lambda s, id_: {"arn": s.arn("elasticache", f"parametergroup:{id_}"), "name": id_},
    ),
    "aws:elasticache/subnetGroup:SubnetGroup": Kind(
        lambda s: s.named(),
        lambda s, id_: {"arn": s.arn("elasticache", f"subnetgroup:{id_}"), "name": id_},
    ),
    "aws:secretsmanager/secret:Secret": Kind(_secret_arn, lambda s, id_: {"arn": id_, "name": s.named()}),
    "aws:secretsmanager/secretVersion:SecretVersion": Kind(
        lambda s: f"{s.get('secretId')}|{_secret_version(s)}",
        lambda s, id_: {
            "arn": s.get("secretId"),
            "versionId": id_.rsplit("|", 1)[1],
            "versionStages": ["AWSCURRENT"],
        },
        secret=keys("secretBinary", "secretString"),
    ),
    "aws:kms/key:Key": Kind(lambda s: s.uuid(), _key),
    "aws:kms/alias:Alias": Kind(
        lambda s: s.named(),
        lambda s, id_: {"arn": s.arn("kms", id_), "name": id_},
    ),
    "aws:cloudwatch/logGroup:LogGroup": Kind(
        lambda s: s.named(),
        lambda s, id_: {"arn": s.arn("logs", f"log-group:{id_}"), "name": id_},
    ),
}
