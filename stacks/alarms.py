"""Alarms of a stack: on what it has of its own, and never on what is somebody else's."""

import pulumi

from components.alarms.alarms import Alarm, Alarms, cache_alarms, database_alarms, nat_alarms
from components.alarms.topic import AlarmTopic, AlarmTopicArgs
from components.network.network import Network
from components.stores.cache import Cache
from components.stores.checkpointer import Checkpointer
from stacks.platform import Platform
from stacks.settings import Settings


def deploy_alarms(settings: Settings, platform: Platform) -> None:
    """Make the alarms that the settings ask for, and the topic that they tell unless that is there."""
    wanted = settings.alarms
    if wanted is None:
        return
    aws, _ = platform.providers
    opts = pulumi.ResourceOptions(providers=[aws])
    topic_arn: pulumi.Input[str]
    if wanted.topic_arn is not None:
        topic_arn = wanted.topic_arn
    else:
        args = AlarmTopicArgs(
            topic_name=platform.name,
            emails=wanted.emails,
            account_id=platform.account_id,
            region=platform.region,
            protect=settings.production,
        )
        topic_arn = AlarmTopic("alarm-topic", args, opts).arn
    Alarms("alarms", prefix=platform.name, topic_arn=topic_arn, alarms=_wanted(settings, platform), opts=opts)


def _wanted(settings: Settings, platform: Platform) -> list[Alarm]:
    alarms: list[Alarm] = []
    if isinstance(platform.database, Checkpointer):
        alarms += database_alarms(
            platform.database.identifier,
            instance_class=settings.database.instance_class,
            allocated_storage_gib=settings.database.allocated_storage,
        )
    if isinstance(platform.cache, Cache):
        alarms += cache_alarms(platform.cache.replication_group_id, replicas=settings.cache.replicas)
    if isinstance(platform.network, Network):
        alarms += nat_alarms(platform.network.nat_gateway_ids)
    return alarms
