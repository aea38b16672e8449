"""Functions that look something up."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.emulated.eks import CERTIFICATE
from sandbox.emulated.subject import ACCOUNT, REGION

Lookup = Callable[[Mapping[str, Any]], dict[str, Any]]


def _region(args: Mapping[str, Any]) -> str:
    return str(args.get("region") or args.get("name") or REGION)


def _caller(args: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "accountId": ACCOUNT,
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/emulated",
        "id": ACCOUNT,
        "userId": "AROAEMULATED:emulated",
    }


def _zones(args: Mapping[str, Any]) -> dict[str, Any]:
    region = str(args.get("region") or REGION)
    return {
        "groupNames": [region],
        "id": region,
        "names": [f"{region}{letter}" for letter in "abc"],
        "region": region,
        "zoneIds": [f"euc1-az{number}" for number in (2, 3, 1)],
    }


def _zone(args: Mapping[str, Any]) -> dict[str, Any]:
    name = str(args.get("name") or "example.com").rstrip(".")
    zone_id = str(args.get("zoneId") or f"Z{hashlib.sha256(name.encode()).hexdigest()[:13].upper()}")
    return {
        "arn": f"arn:aws:route53:::hostedzone/{zone_id}",
        "id": zone_id,
        "name": name,
        "nameServers": [f"ns-{number}.awsdns-{number:02}.org" for number in range(1, 5)],
        "privateZone": bool(args.get("privateZone")),
        "zoneId": zone_id,
    }


def _token(args: Mapping[str, Any]) -> dict[str, Any]:
    registry = str(args.get("registryId") or ACCOUNT)
    region = str(args.get("region") or REGION)
    return {
        "authorizationToken": "ZW11bGF0ZWQ=",
        "expiresAt": "2030-01-01T00:00:00Z",
        "id": region,
        "password": "emulated",
        "proxyEndpoint": f"https://{registry}.dkr.ecr.{region}.amazonaws.com",
        "region": region,
        "registryId": registry,
        "userName": "AWS",
    }


def _digest(name: str) -> str:
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def _registry_image(args: Mapping[str, Any]) -> dict[str, Any]:
    digest = _digest(str(args["name"]))
    return {"id": digest, "insecureSkipVerify": False, "sha256Digest": digest}


def _repository(args: Mapping[str, Any]) -> dict[str, Any]:
    region, name = str(args.get("region") or REGION), str(args["name"])
    return {
        "arn": f"arn:aws:ecr:{region}:{ACCOUNT}:repository/{name}",
        "id": name,
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filter": "deployed*", "filterType": "WILDCARD"}],
        "registryId": ACCOUNT,
        "repositoryUrl": f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{name}",
    }


def _ecr_image(args: Mapping[str, Any]) -> dict[str, Any]:
    registry = str(args.get("registryId") or ACCOUNT)
    region = str(args.get("region") or REGION)
    repository = f"{registry}.dkr.ecr.{region}.amazonaws.com/{args['repositoryName']}"
    digest = _digest(f"{repository}:{args['imageTag']}")
    return {
        "id": digest,
        "imageDigest": digest,
        "imagePushedAt": 1_767_225_600,
        "imageSizeInBytes": 100 * 2**20,
        "imageTags": [args["imageTag"]],
        "imageUri": f"{repository}@{digest}",
        "region": region,
        "registryId": registry,
    }


def _secret_version(args: Mapping[str, Any]) -> dict[str, Any]:
    """A login, which is all that the program reads of Secrets Manager; another one in each entry."""
    password = hashlib.sha256(str(args["secretId"]).encode()).hexdigest()[:32]
    return {
        "arn": args["secretId"],
        "createdDate": "2026-01-01T00:00:00Z",
        "id": f"{args['secretId']}|AWSCURRENT",
        "region": str(args["secretId"]).split(":")[3],
        "secretBinary": "",
        "secretString": json.dumps({"username": "emulated", "password": password}),
        "versionId": "EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE",
        "versionStages": ["AWSCURRENT"],
    }


_VPC_CIDR = "10.128.0.0/16"


def _vpc(args: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "cidrBlock": _VPC_CIDR,
        "cidrBlockAssociations": [
            {"associationId": "vpc-cidr-assoc-emulated", "cidrBlock": _VPC_CIDR, "state": "associated"}
        ],
        "enableDnsHostnames": True,
        "enableDnsSupport": True,
        "ownerId": ACCOUNT,
        "state": "available",
    }


def _subnet(args: Mapping[str, Any]) -> dict[str, Any]:
    number = int(hashlib.sha256(str(args["id"]).encode()).hexdigest()[:3], 16)
    return {
        "cidrBlock": f"10.128.{number // 16}.{number % 16 * 16}/28",
        "ownerId": ACCOUNT,
        "state": "available",
    }


def _cluster(args: Mapping[str, Any]) -> dict[str, Any]:
    name, region = str(args["name"]), str(args.get("region") or REGION)
    return {
        "arn": f"arn:aws:eks:{region}:{ACCOUNT}:cluster/{name}",
        "certificateAuthorities": [{"data": CERTIFICATE}],
        "computeConfigs": [],
        "endpoint": f"https://C0FFEE0000000000.gr7.{region}.eks.amazonaws.com",
        "id": name,
        "status": "ACTIVE",
        "vpcConfig": {
            "clusterSecurityGroupId": "sg-0c0ffee0c0ffee000",
        },
    }


def _database(args: Mapping[str, Any]) -> dict[str, Any]:
    identifier = str(args["dbInstanceIdentifier"])
    address = f"{identifier}.c0ffee000000.{args.get('region') or REGION}.rds.amazonaws.com"
    return {
        "address": address,
        "dbInstanceArn": f"arn:aws:rds:{args.get('region') or REGION}:{ACCOUNT}:db:{identifier}",
        "endpoint": f"{address}:5432",
        "engine": "postgres",
        "id": identifier,
        "port": 5432,
        "publiclyAccessible": False,
        "storageEncrypted": True,
    }


def _replication_group(args: Mapping[str, Any]) -> dict[str, Any]:
    name = str(args["replicationGroupId"])
    return {
        "arn": f"arn:aws:elasticache:{args.get('region') or REGION}:{ACCOUNT}:replicationgroup:{name}",
        "clusterMode": "disabled",
        "id": name,
        "port": 6379,
        "primaryEndpointAddress": f"master.{name}.c0ffee.euc1.cache.amazonaws.com",
        "readerEndpointAddress": f"replica.{name}.c0ffee.euc1.cache.amazonaws.com",
    }


def _platform(args: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of another stack, as a platform for agents of others has them."""
    name = f"langgraph-agents-{str(args['name']).rpartition('/')[2]}"
    region = str(args.get("region") or REGION)
    subnets = [f"subnet-{number:017x}" for number in range(0xE1, 0xE7)]
    existing = {
        "network": {
            "existing": {
                "vpcId": f"vpc-{0xE1:017x}",
                "publicSubnetIds": subnets[:2],
                "privateSubnetIds": subnets[2:4],
                "databaseSubnetIds": subnets[4:],
            }
        },
        "cluster": {"existing": {"name": name}},
        "database": {
            "instanceClass": "db.m7g.large",
            "existing": {
                "identifier": name,
                "adminSecretArn": f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}/database/admin-e1e1e1",
                "adminSecretKmsKeyArn": f"arn:aws:kms:{region}:{ACCOUNT}:key/e1e1e1e1-0000-4000-8000-e1e1e1e1e1e1",
            },
        },
        "cache": {"existing": {"replicationGroupId": name, "userGroupId": f"{name}-users"}},
    }
    return {"outputs": {"existing": existing}, "secretOutputNames": []}


LOOKUPS: dict[str, Lookup] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:index/getPartition:getPartition": lambda args: {
        "dnsSuffix": "amazonaws.com",
        "id": "aws",
        "partition": "aws",
        "reverseDnsPrefix": "com.amazonaws",
    },
    "aws:index/getRegion:getRegion": lambda args: {
        "description": "Emulated",
        "endpoint": f"ec2.{_region(args)}.amazonaws.com",
        "id": _region(args),
        "name": _region(args),
        "region": _region(args),
    },
    "aws:route53/getZone:getZone": _zone,
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": _token,
    "aws:ec2/getSubnet:getSubnet": _subnet,
    "aws:ec2/getVpc:getVpc": _vpc,
    "aws:ecr/getImage:getImage": _ecr_image,
    "aws:ecr/getRepository:getRepository": _repository,
    "aws:elasticache/getReplicationGroup:getReplicationGroup": _replication_group,
    "aws:eks/getCluster:getCluster": _cluster,
    "aws:rds/getInstance:getInstance": _database,
    "aws:secretsmanager/getSecretVersion:getSecretVersion": _secret_version,
    "pulumi:pulumi:readStackOutputs": _platform,
    "docker:index/getRegistryImage:getRegistryImage": _registry_image,
}
