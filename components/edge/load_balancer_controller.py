"""The AWS Load Balancer Controller: it turns Services into Network, and Ingresses into Application Load Balancers."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

CHART_VERSION = "1.14.0"
NAMESPACE = "kube-system"
SERVICE_ACCOUNT = "aws-load-balancer-controller"


def readiness_gate(*, auto_mode: bool) -> dict[str, str]:
    """The label of a namespace whose pods are ready once their load balancer found them healthy.

    A rollout ends no old pod before. The controller puts the gate into pods when they are made, if they are targets of
    a load balancer then, and lets pods pass as they are while it does not answer (``failurePolicy: Ignore``, by its
    chart). docs/adr/readiness-gates.md says why.

    Args:
        auto_mode: EKS Auto Mode's own controller makes the load balancer, and reads a label of its own
            (https://aws.amazon.com/blogs/containers/how-to-build-highly-available-kubernetes-applications-with-amazon-eks-auto-mode/).
    """
    group = "eks.amazonaws.com" if auto_mode else "elbv2.k8s.aws"
    return {f"{group}/pod-readiness-gate-inject": "enabled"}


@dataclass(frozen=True, kw_only=True)
class LoadBalancerControllerArgs:
    """Where it works."""

    cluster_name: pulumi.Input[str]
    region: str
    vpc_id: pulumi.Input[str]
    """Named, so that it does not ask the instance metadata service, which pods cannot reach."""
    replicas: int
    run_after: tuple[pulumi.Resource, ...] = ()
    """Leaves that it waits for: its identity, and nodes to run on."""


class LoadBalancerController(pulumi.ComponentResource):
    """Installs the controller. EKS Auto Mode brings its own."""

    release: k8s.helm.v3.Release

    def __init__(
        self, name: str, args: LoadBalancerControllerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:LoadBalancerController", name, None, opts)
        self.release = k8s.helm.v3.Release(
            f"{name}-release",
            name="aws-load-balancer-controller",
            namespace=NAMESPACE,
            chart="aws-load-balancer-controller",
            version=CHART_VERSION,
            repository_opts=k8s.helm.v3.RepositoryOptsArgs(repo="https://aws.github.io/eks-charts"),
            atomic=True,
            values={
                "clusterName": args.cluster_name,
                "region": args.region,
                "vpcId": args.vpc_id,
                "replicaCount": args.replicas,
                "serviceAccount": {"create": True, "name": SERVICE_ACCOUNT},
                "podDisruptionBudget": {"maxUnavailable": 1},
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi"},
                    "limits": {"memory": "256Mi"},
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.run_after)),
        )
        self.register_outputs({})
