"""Alarms on the database, the cache and the NAT gateways: what AWS measures of them by itself.

Metrics and thresholds are those that CloudWatch recommends, by its page
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Best_Practice_Recommended_Alarms_AWS_Services.html,
where it names any; each has a section of docs/alarms.md that says what to do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.stores.max_connections import MEMORY_GIB, max_connections

_GIB = 1024**3
_MINUTE = 60
# Each of them, so that a moment tells nobody.
_MINUTES = 15

# Shares of what there is.
_FULL = 0.9
_LITTLE_STORAGE = 0.1
_LITTLE_MEMORY = 0.05
_BUSY_PERCENT = 90
_FULL_CACHE_PERCENT = 80
# Half of what PostgreSQL can count before it refuses writes, as its own warnings have it.
_TRANSACTION_IDS = 1_000_000_000
_LAG_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One alarm: when a statistic of a metric has been above or below a threshold in each of fifteen minutes.

    Attributes:
        what: ends its name.
        section: what to do, in docs/alarms.md.
        says: what is wrong, for who is told.
    """

    what: str
    section: str
    says: str
    namespace: str
    metric: str
    statistic: str
    dimensions: Mapping[str, pulumi.Input[str]]
    above: float | None = None
    below: float | None = None


@dataclass(frozen=True)
class _Watched:
    """One thing that AWS measures.

    Attributes:
        name: begins the names of its alarms.
        kind: begins the names of their sections, which all of a kind share.
    """

    name: str
    kind: str
    namespace: str
    dimensions: Mapping[str, pulumi.Input[str]]

    def alarm(
        self,
        what: str,
        says: str,
        metric: str,
        *,
        above: float | None = None,
        below: float | None = None,
        statistic: str = "Average",
    ) -> Alarm:
        return Alarm(
            what=f"{self.name}-{what}",
            section=f"{self.kind}-{what}",
            says=says,
            namespace=self.namespace,
            metric=metric,
            statistic=statistic,
            dimensions=self.dimensions,
            above=above,
            below=below,
        )


def database_alarms(
    identifier: pulumi.Input[str], *, instance_class: str, allocated_storage_gib: int
) -> Iterator[Alarm]:
    """Of an RDS instance.

    Raises:
        ValueError: the instance class is not known.
    """
    alarm = _Watched("database", "database", "AWS/RDS", {"DBInstanceIdentifier": identifier}).alarm
    connections = max_connections(instance_class)
    yield alarm("cpu", "The database's processors are busy", "CPUUtilization", above=_BUSY_PERCENT)
    yield alarm(
        "connections",
        f"The database has little left of its {connections} connections",
        "DatabaseConnections",
        above=int(connections * _FULL),
    )
    yield alarm(
        "storage",
        "The database's storage is nearly full, and storage autoscaling has not helped",
        "FreeStorageSpace",
        below=allocated_storage_gib * _GIB * _LITTLE_STORAGE,
    )
    yield alarm(
        "memory",
        "The database has little memory left",
        "FreeableMemory",
        below=MEMORY_GIB[instance_class] * _GIB * _LITTLE_MEMORY,
    )
    yield alarm(
        "transaction-ids",
        "The database has not been vacuumed for long: at two billions it refuses writes",
        "MaximumUsedTransactionIDs",
        above=_TRANSACTION_IDS,
    )


def cache_alarms(replication_group_id: pulumi.Input[str], *, replicas: int) -> Iterator[Alarm]:
    """Of each node of an ElastiCache replication group, whose names AWS numbers."""
    for number in range(1, 2 + replicas):
        node = pulumi.Output.concat(replication_group_id, f"-{number:03}")
        alarm = _Watched(f"cache-{number}", "cache", "AWS/ElastiCache", {"CacheClusterId": node}).alarm
        yield alarm("cpu", "The cache's engine is busy", "EngineCPUUtilization", above=_BUSY_PERCENT)
        yield alarm(
            "memory", "The cache is nearly full", "DatabaseMemoryUsagePercentage", above=_FULL_CACHE_PERCENT
        )
        yield alarm(
            "evictions", "The cache throws out what agents still want", "Evictions", above=0, statistic="Sum"
        )
        if replicas:
            yield alarm(
                "lag",
                "A replica of the cache is behind: a failover would lose writes",
                "ReplicationLag",
                above=_LAG_SECONDS,
            )


def nat_alarms(gateways: Sequence[pulumi.Input[str]]) -> Iterator[Alarm]:
    """Of each NAT gateway, by its id: requests to models go through them."""
    for number, gateway in enumerate(gateways, start=1):
        alarm = _Watched(f"nat-{number}", "nat", "AWS/NATGateway", {"NatGatewayId": gateway}).alarm
        yield alarm(
            "ports",
            "A NAT gateway has no port left for new connections",
            "ErrorPortAllocation",
            above=0,
            statistic="Sum",
        )
        yield alarm("drops", "A NAT gateway drops packets", "PacketsDropCount", above=0, statistic="Sum")


class Alarms(pulumi.ComponentResource):
    """Alarms that tell one topic when they begin and when they end."""

    def __init__(
        self,
        name: str,
        *,
        prefix: str,
        topic_arn: pulumi.Input[str],
        alarms: Sequence[Alarm],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """
        Args:
            prefix: begins the names of the alarms, which are unique in the account's region.
            topic_arn: is told.
            alarms: what is watched.
        """
        super().__init__("langgraph-agents:components:Alarms", name, None, opts)
        for alarm in alarms:
            falls = alarm.above is None
            aws.cloudwatch.MetricAlarm(
                f"{name}-{alarm.what}",
                name=f"{prefix}-{alarm.what}",
                alarm_description=f"{alarm.says}. What to do: docs/alarms.md#{alarm.section}",
                namespace=alarm.namespace,
                metric_name=alarm.metric,
                dimensions=dict(alarm.dimensions),
                statistic=alarm.statistic,
                comparison_operator="LessThanThreshold" if falls else "GreaterThanThreshold",
                threshold=alarm.below if falls else alarm.above,
                period=_MINUTE,
                evaluation_periods=_MINUTES,
                datapoints_to_alarm=_MINUTES,
                alarm_actions=[topic_arn],
                ok_actions=[topic_arn],
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})
