"""Versions that AWS supports on the day of the judgement."""

import re
from collections.abc import Iterator
from datetime import date

from policies.model import Resource, Severity, Stack, stack_rule

_CLUSTER = "aws:eks/cluster:Cluster"
_ADDON = "aws:eks/addon:Addon"
_DATABASE = "aws:rds/instance:Instance"
_CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"

# The last day of standard support by product and version; a version counts for those that it begins, 17 for 17.6.
# What is not here has no announced end. As of November 2026:
# https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html
# https://docs.aws.amazon.com/AmazonRDS/latest/PostgreSQLReleaseNotes/postgresql-release-calendar.html
# https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/engine-versions.html (Valkey has no end yet)
_LAST_DAYS = {
    "kubernetes": {
        "1.30": date(2025, 7, 23),
        "1.31": date(2025, 11, 26),
        "1.32": date(2026, 3, 23),
        "1.33": date(2026, 7, 29),
        "1.34": date(2026, 12, 2),
        "1.35": date(2027, 3, 27),
        "1.36": date(2027, 8, 2),
    },
    "postgres": {
        "13": date(2026, 2, 28),
        "14": date(2027, 2, 28),
        "15": date(2028, 2, 29),
        "16": date(2029, 2, 28),
        "17": date(2030, 2, 28),
        "17.1": date(2026, 5, 31),
        "17.2": date(2026, 5, 31),
        "17.3": date(2026, 5, 31),
        "17.4": date(2026, 5, 31),
        "18": date(2031, 2, 28),
    },
    "redis": {"4": date(2026, 1, 31), "5": date(2026, 1, 31), "6": date(2027, 1, 31)},
}
_NAMES = {"kubernetes": "Kubernetes", "postgres": "PostgreSQL", "redis": "Redis OSS"}

# A node's components may be three minor versions older than the API server, and none newer:
# https://kubernetes.io/releases/version-skew-policy/#kube-proxy
_OLDEST_KUBE_PROXY = 3
# Before it the VPC CNI enforces no NetworkPolicy: https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html
_NETWORK_POLICIES = (1, 14, 0)

_NUMBERS = re.compile(r"\d+")


@stack_rule(
    id="supported-versions",
    severity=Severity.HIGH,
    reason="A version out of standard support gets no fixes; a new cluster of it is refused, an old one is upgraded by"
    " EKS on a day of its own choice, and RDS and ElastiCache charge for extended support",
    remedy="upgrade cluster.version one minor version at a time, database.engineVersion, or cache.engineVersion",
    link="https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html",
)
def supported_versions(stack: Stack) -> Iterator[tuple[Resource, str]]:
    for type_, engine, field in (
        (_CLUSTER, None, "version"),
        (_DATABASE, "engine", "engineVersion"),
        (_CACHE, "engine", "engineVersion"),
    ):
        for resource in stack.of_type(type_):
            product = "kubernetes" if engine is None else resource.inputs.get(engine)
            version = resource.inputs.get(field)
            if not isinstance(product, str) or not isinstance(version, str):
                continue
            last_day = _last_day(product, version)
            if last_day is not None and last_day < stack.today:
                later = [v for v, day in _LAST_DAYS[product].items() if day >= stack.today]
                yield (
                    resource,
                    f"runs {_NAMES[product]} {version}, whose standard support ended on {last_day}; of"
                    f" {', '.join(later)} it lasts",
                )


def _last_day(product: str, version: str) -> date | None:
    """The last day of standard support; of the longest version of the table that ``version`` begins with."""
    last_days = _LAST_DAYS.get(product, {})
    parts = version.split(".")
    for length in range(len(parts), 0, -1):
        if day := last_days.get(".".join(parts[:length])):
            return day
    older = product == "kubernetes" and _numbers(version) < min(map(_numbers, last_days))
    return min(last_days.values()) if older else None


@stack_rule(
    id="addon-versions",
    severity=Severity.HIGH,
    reason="kube-proxy of another version than the API server's misses what changed between them, and an old VPC CNI"
    " does not enforce network policies",
    remedy="set cluster.addonVersions to versions for cluster.version (aws eks describe-addon-versions"
    " --kubernetes-version VERSION --addon-name NAME), or leave the add-on out of it",
    link="https://kubernetes.io/releases/version-skew-policy/#kube-proxy",
)
def addon_versions(stack: Stack) -> Iterator[tuple[Resource, str]]:
    clusters = [
        version for c in stack.of_type(_CLUSTER) if isinstance(version := c.inputs.get("version"), str)
    ]
    for addon in stack.of_type(_ADDON):
        name, version = addon.inputs.get("addonName"), addon.inputs.get("addonVersion")
        if not isinstance(version, str):
            continue
        numbers = _numbers(version)
        for cluster in clusters if name == "kube-proxy" else ():
            major, minor = _numbers(cluster)[:2]
            if numbers[0] != major or not minor - _OLDEST_KUBE_PROXY <= numbers[1] <= minor:
                yield (
                    addon,
                    f"is kube-proxy {version} in a cluster of Kubernetes {cluster}, which takes"
                    f" {major}.{minor - _OLDEST_KUBE_PROXY} to {major}.{minor}",
                )
        if name == "vpc-cni" and numbers < _NETWORK_POLICIES:
            yield addon, f"is the VPC CNI {version}, and network policies need 1.14.0 or newer"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, _NUMBERS.findall(version)))
