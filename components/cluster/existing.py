"""An EKS cluster that somebody else made, with what agents need in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class ExistingClusterArgs:
    """What `ExistingCluster` needs.

    Attributes:
        cluster_name: the cluster's name.
        workload_security_group_id: the group of its nodes that databases let in; None is the one that EKS makes.
    """

    cluster_name: str
    workload_security_group_id: str | None


class ExistingCluster(pulumi.ComponentResource):
    """What agents need of `Cluster`, of one that is there already. Nothing of it is made or changed.

    Attributes:
        name: the cluster's name.
        arn: its ARN.
        endpoint: the API server's URL.
        certificate_authority_data: its CA, base64.
        workload_security_group_id: the group that says "a pod of this cluster" to databases.
        ready: nothing to wait for.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority_data: pulumi.Output[str]
    workload_security_group_id: pulumi.Output[str]
    ready: Sequence[pulumi.Resource] = ()

    def __init__(
        self, name: str, args: ExistingClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:ExistingCluster", name, None, opts)
        cluster = aws.eks.get_cluster_output(
            name=args.cluster_name, opts=pulumi.InvokeOutputOptions(parent=self)
        ).apply(_active)
        self.name = cluster.apply(lambda found: found.name)
        self.arn = cluster.apply(lambda found: found.arn)
        self.endpoint = cluster.apply(lambda found: found.endpoint)
        self.certificate_authority_data = cluster.apply(lambda found: found.certificate_authorities[0].data)
        self.workload_security_group_id = cluster.apply(
            lambda found: args.workload_security_group_id or found.vpc_config.cluster_security_group_id
        )
        self.register_outputs({"name": self.name, "arn": self.arn})


def _active(cluster: aws.eks.GetClusterResult) -> aws.eks.GetClusterResult:
    if cluster.status != "ACTIVE":
        raise pulumi.RunError(
            f"cluster_name is {cluster.name}, which is {cluster.status}: wait until it is ACTIVE"
        )
    return cluster
