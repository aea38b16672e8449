"""What makes EKS Auto Mode enforce NetworkPolicies; on managed nodes the VPC CNI add-on does, by its own setting."""

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s


class NetworkPolicyController(pulumi.ComponentResource):
    """Switches Auto Mode's controller on, for it is off in a new cluster.

    https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
    """

    def __init__(
        self, name: str, labels: Mapping[str, str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:NetworkPolicyController", name, None, opts)
        k8s.core.v1.ConfigMap(
            f"{name}-config",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name="amazon-vpc-cni", namespace="kube-system", labels=dict(labels)
            ),
            data={"enable-network-policy-controller": "true"},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
