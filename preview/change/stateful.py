"""Which resources hold what cannot be made again, and what is lost with them."""

from collections.abc import Mapping

from preview.recording.plan import PlannedResource

_SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105

LOST: Mapping[str, str] = {
    "aws:rds/instance:Instance": "the checkpoints of every agent",
    "aws:rds/cluster:Cluster": "the checkpoints of every agent",
    "aws:elasticache/replicationGroup:ReplicationGroup": "runs in progress, and threads kept in the cache",
    _SECRET: "the secret's value, restorable for the recovery window",
    "aws:kms/key:Key": "everything encrypted with the key, snapshots included",
    "aws:eks/cluster:Cluster": "the cluster with all that runs in it",
    "aws:ec2/vpc:Vpc": "the network with all that stands in it",
    "aws:ec2/eip:Eip": "the outbound address, which others may have allow-listed",
    "aws:ecr/repository:Repository": "the images, and with them every rollback",
    "aws:cloudwatch/logGroup:LogGroup": "the logs",
    "kubernetes:core/v1:Namespace": "every object in the namespace",
    "kubernetes:core/v1:PersistentVolumeClaim": "the volume's data",
    "random:index/randomPassword:RandomPassword": "the password, which logins use",
}
"""By type."""

RESTORABLE = frozenset({_SECRET, "random:index/randomPassword:RandomPassword"})
"""Of them, what can be restored for a while or is made anew with all that uses it."""


def lost(resource: PlannedResource) -> str:
    """What is lost with a resource; "" where nothing is."""
    if resource.type == _SECRET and resource.inputs.get("recoveryWindowInDays") == 0:
        return "the secret's value, at once and for good"
    return LOST.get(resource.type, "")


def is_stateful(resource: PlannedResource) -> bool:
    """Whether something is lost when the resource is deleted or replaced."""
    return resource.type in LOST


def is_guarded(resource: PlannedResource) -> bool:
    """Whether a change of it deserves to be read first: it holds state, or is protected."""
    return resource.protect or is_stateful(resource)
