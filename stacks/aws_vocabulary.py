"""The words of a stack file that AWS defines: networks, tags, sizes, ARNs."""

import difflib
import ipaddress
import re
from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, Field

from components.cluster.addons import check_versions
from components.network.subnets import subnet_plan
from components.stores.cache_nodes import NODE_TYPES
from components.stores.max_connections import max_connections
from stacks.vocabulary import Whole, matches


def _cidr(value: str) -> str:
    try:
        ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"write an IPv4 network such as 10.20.0.0/16 ({error})") from None
    return value


_TAG = re.compile(r"[\w .:/=+@-]*")


def _tags(tags: dict[str, str]) -> dict[str, str]:
    problems = [f"{name} {problem}" for name, value in tags.items() if (problem := _tag_problem(name, value))]
    if problems:
        raise ValueError("; ".join(problems))
    return tags


def _tag_problem(name: str, value: str) -> str | None:
    """What AWS has against a tag: https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html."""
    if name.lower().startswith("aws:"):
        return "begins with aws:, which AWS keeps for itself: choose another name"
    if not 1 <= len(name) <= 128 or len(value) > 256:
        return "is empty or too long: AWS takes names of 1 to 128 characters and values of at most 256"
    if not _TAG.fullmatch(name) or not _TAG.fullmatch(value):
        return "has a character that AWS refuses in tags: use letters, digits, spaces and . : / = + - @ _"
    return None


# RFC 1918, and RFC 6598's shared space, which AWS calls private as well:
# https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
_PRIVATE = tuple(
    map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
)
# EKS numbers a cluster's Services from one of these:
# https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html
_EKS_SERVICES = tuple(map(ipaddress.IPv4Network, ("10.100.0.0/16", "172.20.0.0/16")))


def _vpc_cidr(value: str) -> str:
    subnet_plan(value, zones=2)
    network = ipaddress.IPv4Network(value)
    if not any(network.subnet_of(private) for private in _PRIVATE):
        raise ValueError(
            "is not private: the addresses belong to somebody else, whom the VPC could never reach. Use a network of "
            + ", ".join(map(str, _PRIVATE))
        )
    for services in _EKS_SERVICES:
        if network.overlaps(services):
            raise ValueError(
                f"overlaps {services}, which EKS numbers Services from: addresses of the VPC would be hidden by those"
                f" of Services. Use another network, such as 10.{_free_second(network)}.0.0/16"
            )
    return value


def _free_second(network: ipaddress.IPv4Network) -> int:
    return 101 if network.subnet_of(_PRIVATE[0]) else 20


def _addon_versions(versions: dict[str, str]) -> dict[str, str]:
    check_versions(versions)
    for name, version in versions.items():
        if not _ADDON_VERSION.fullmatch(version):
            raise ValueError(
                f"{name} {version} is no version of an EKS add-on: write one such as v1.21.1-eksbuild.3"
                f" (aws eks describe-addon-versions --addon-name {name} lists them)"
            )
    return versions


_ADDON_VERSION = re.compile(r"v\d+\.\d+\.\d+-eksbuild\.\d+")


def _instance_class(value: str) -> str:
    max_connections(value)
    return value


def _node_type(value: str) -> str:
    return _one_of(value, NODE_TYPES, "a node type of ElastiCache", "cache.t4g.small")


def _instance_type(value: str) -> str:
    # The program needs the SDK's module anyway; reading the settings for policies does not.
    from pulumi_aws.ec2 import InstanceType as Known

    return _one_of(value, [item.value for item in Known], "an EC2 instance type", "m7g.large")


def _one_of(value: str, known: Collection[str], what: str, example: str) -> str:
    if value not in known:
        similar = difflib.get_close_matches(value, sorted(known), n=3)
        raise ValueError(f"is not {what}: write one such as {' or '.join(similar or [example])}")
    return value


Cidr = Annotated[str, AfterValidator(_cidr)]
VpcCidr = Annotated[Cidr, AfterValidator(_vpc_cidr)]
"""A network that has room for all subnets."""
VpcId = Annotated[
    str, AfterValidator(matches(r"vpc-[0-9a-f]{8,17}", "write a VPC's id, such as vpc-0a1b2c3d4e5f60718"))
]


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    if twice := sorted({value for value in values if values.count(value) > 1}):
        raise ValueError(f"has {', '.join(twice)} twice: name each once")
    return values


SubnetId = Annotated[
    str,
    AfterValidator(
        matches(r"subnet-[0-9a-f]{8,17}", "write a subnet's id, such as subnet-0a1b2c3d4e5f60718")
    ),
]
ClusterName = Annotated[
    str,
    AfterValidator(
        matches(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}", "write the name of an EKS cluster, such as platform")
    ),
]
RepositoryName = Annotated[
    str,
    AfterValidator(
        matches(
            r"(?=.{2,256}$)[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*",
            "write the name of an ECR repository without its registry, such as team/agents",
        )
    ),
]
SecurityGroupId = Annotated[
    str,
    AfterValidator(
        matches(r"sg-[0-9a-f]{8,17}", "write a security group's id, such as sg-0a1b2c3d4e5f60718")
    ),
]
SubnetIds = Annotated[tuple[SubnetId, ...], Field(min_length=2), AfterValidator(_once)]
"""Subnets of two zones at least."""
InstanceClass = Annotated[
    str,
    AfterValidator(
        matches(r"db\.[a-z0-9-]+\.[a-z0-9]+", "write an RDS instance class, such as db.t4g.medium")
    ),
    AfterValidator(_instance_class),
]
CacheNodeType = Annotated[str, AfterValidator(_node_type)]
InstanceType = Annotated[str, AfterValidator(_instance_type)]
KmsKeyArn = Annotated[
    str,
    AfterValidator(
        matches(
            r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[0-9a-f-]+",
            "write the key's ARN, such as arn:aws:kms:eu-central-1:123456789012:key/<its id>"
            " (an alias is none)",
        )
    ),
]
IamArn = Annotated[
    str,
    AfterValidator(
        matches(
            r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/.+",
            "write the ARN of an IAM role, such as arn:aws:iam::123456789012:role/platform-admin",
        )
    ),
]
TopicArn = Annotated[
    str,
    AfterValidator(
        matches(
            r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}",
            "write the topic's ARN, such as arn:aws:sns:eu-central-1:123456789012:alarms",
        )
    ),
]
SecretArn = Annotated[
    str,
    AfterValidator(
        matches(
            r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+-[A-Za-z0-9]{6}",
            "write the secret's full ARN with its six-character suffix: an IAM policy must not need a wildcard",
        )
    ),
]
Arn = Annotated[
    str,
    AfterValidator(
        matches(
            r"\*|arn:aws[a-z-]*:[a-z0-9-]+:[^:]*:[^:]*:\S+",
            "write an ARN, such as arn:aws:s3:::reports/*, or * for an action that acts on no resource by name",
        )
    ),
]
IamAction = Annotated[
    str,
    AfterValidator(
        matches(
            r"[a-z0-9-]+:[A-Za-z0-9*]+", "write an action of IAM, such as s3:GetObject, one in each entry"
        )
    ),
]
AddonVersions = Annotated[dict[str, str], AfterValidator(_addon_versions)]
"""Versions of EKS add-ons by name."""
Tags = Annotated[dict[str, str], AfterValidator(_tags)]
"""Tags of AWS resources by name."""


def _log_retention(value: int) -> int:
    if value not in _LOG_RETENTION:
        raise ValueError(
            f"CloudWatch keeps logs for one of these numbers of days: {', '.join(map(str, _LOG_RETENTION))}"
        )
    return value


# The values that CloudWatch Logs' PutRetentionPolicy accepts, up to ten years.
_LOG_RETENTION = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
LogRetentionDays = Annotated[Whole, AfterValidator(_log_retention)]
