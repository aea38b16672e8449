"""What a platform without agents tells stacks whose agents use it, in the words of their files, and how they ask."""

import re
from typing import Any

import pulumi

from components.cluster.cluster import Cluster
from components.network.network import Network
from components.stores.cache import Cache
from components.stores.checkpointer import Checkpointer
from stacks.platform import Platform
from stacks.settings import Settings
from stacks.vocabulary import Pooler

# The engine's own function behind StackReference. Its answer is a value and no Output: settings decide which resources
# there are, and have to be valid before the first one is made.
_READ = "pulumi:pulumi:readStackOutputs"
_STACK = re.compile(r"[^/\s]+/[^/\s]+/[^/\s]+")


def with_platform(settings: object, platform: str | None) -> object:
    """``langgraph-agents:settings`` with what the platform's stack says of itself; what the file says goes before it.

    Args:
        platform: ``langgraph-agents:platform``, the full name of its stack; None where the stack has its own.

    Raises:
        pulumi.RunError: there is no such stack, or it is no platform for others.
    """
    if platform is None or not isinstance(settings, dict):
        return settings
    field = f"langgraph-agents:platform is {platform}"
    if not _STACK.fullmatch(platform):
        raise pulumi.RunError(
            f"{field}: write the full name of its stack, ORGANIZATION/PROJECT/STACK (`pulumi stack ls --all` has them)"
        )
    try:
        answer = pulumi.runtime.invoke(_READ, {"name": platform}).value
    except Exception as error:
        raise pulumi.RunError(f"{field}, which cannot be read: {error}") from None
    existing = ((answer or {}).get("outputs") or {}).get("existing")
    if not isinstance(existing, dict):
        raise pulumi.RunError(
            f"{field}, which has no output `existing`: a stack with `agents: []` has it, once it is deployed"
        )
    return {**existing, **settings}


def shared(settings: Settings, platform: Platform) -> dict[str, pulumi.Input[Any]]:
    """What of it other stacks name, as their stack files have it: ``network``, ``cluster``, ``database`` and ``cache``.

    What is somebody else's already is said again as this stack's file has it.
    """
    network, cluster = platform.network, platform.cluster
    database, cache = platform.database, platform.cache

    def as_written(part: str) -> Any:
        return getattr(settings, part).model_dump(by_alias=True, exclude_unset=True, mode="json")

    return {
        "network": {
            "existing": {
                "vpcId": network.vpc_id,
                "publicSubnetIds": network.public_subnet_ids,
                "privateSubnetIds": network.private_subnet_ids,
                "databaseSubnetIds": network.database_subnet_ids,
            },
            "interfaceEndpoints": list(settings.network.interface_endpoints),
        }
        if isinstance(network, Network)
        else as_written("network"),
        "cluster": {
            "version": settings.cluster.version,
            "compute": settings.cluster.compute.value,
            "architecture": settings.cluster.architecture.value,
            "existing": {"name": cluster.name, "securityGroupId": cluster.workload_security_group_id},
        }
        if isinstance(cluster, Cluster)
        else as_written("cluster"),
        "database": {
            "instanceClass": settings.database.instance_class,
            **(
                {"pooler": settings.database.pooler.value}
                if settings.database.pooler is not Pooler.NONE
                else {}
            ),
            "existing": {
                "identifier": database.identifier,
                "adminSecretArn": database.admin_secret.arn,
                "adminSecretKmsKeyArn": platform.secrets_key_arn,
            },
        }
        if isinstance(database, Checkpointer)
        else as_written("database"),
        "cache": {
            "engine": settings.cache.engine.value,
            "existing": {
                "replicationGroupId": cache.replication_group_id,
                "userGroupId": cache.user_group_id,
            },
        }
        if isinstance(cache, Cache)
        else as_written("cache"),
    }
