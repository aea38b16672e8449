"""KEDA: it scales Deployments by what no resource metric tells, such as the length of a queue."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.naming import RESTRICTED

CHART_VERSION = "2.20.2"
NAMESPACE = "keda"
#: What selects the pods that look at queues, as the chart labels them.
POD_LABELS = {"app": "keda-operator"}

_RESOURCES = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "1000Mi"}}


@dataclass(frozen=True, kw_only=True)
class KedaArgs:
    """How many of its pods there are."""

    labels: Mapping[str, str]
    replicas: int
    """Of each of its three parts."""
    run_after: tuple[pulumi.Resource, ...] = ()
    """Leaves that it waits for."""


class Keda(pulumi.ComponentResource):
    """The operator, its adapter for the autoscaler, and the webhook that judges ScaledObjects. They read no Secrets:
    what they ask wants no login."""

    release: k8s.helm.v3.Release

    def __init__(self, name: str, args: KedaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Keda", name, None, opts)
        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=NAMESPACE, labels={**args.labels, **RESTRICTED}),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.release = k8s.helm.v3.Release(
            f"{name}-release",
            name="keda",
            namespace=namespace.metadata.name,
            chart="keda",
            version=CHART_VERSION,
            repository_opts=k8s.helm.v3.RepositoryOptsArgs(repo="https://kedacore.github.io/charts"),
            atomic=True,
            values={
                "operator": {"replicaCount": args.replicas},
                "metricsServer": {"replicaCount": args.replicas},
                "webhooks": {"replicaCount": args.replicas},
                "resources": {"operator": _RESOURCES, "metricServer": _RESOURCES, "webhooks": _RESOURCES},
                "podDisruptionBudget": {
                    part: {"maxUnavailable": 1} for part in ("operator", "metricServer", "webhooks")
                },
                "permissions": {
                    "operator": {"restrict": {"secret": True}},
                    "metricServer": {"restrict": {"secret": True}},
                },
                # Deployments are all that it scales here.
                "rbac": {"enabledCustomScaledRefKinds": False},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.run_after)),
        )
        self.register_outputs({})
