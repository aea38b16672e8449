"""How many pods an agent has: a HorizontalPodAutoscaler, or KEDA's ScaledObject where the queue counts as well."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

#: How KEDA is told to take over a HorizontalPodAutoscaler that is there, by its name.
_TAKES_OVER = "scaledobject.keda.sh/transfer-hpa-ownership"
# Seconds between two looks of KEDA at a queue that nobody works on; the autoscaler's own looks are Kubernetes' 15.
_LOOK_SECONDS = 5
# Pods come two a minute at most, and go one a minute after five minutes that did not need them.
_UP, _UP_AFTER = 2, 30
_DOWN, _DOWN_AFTER = 1, 300
_PERIOD = 60


@dataclass(frozen=True, kw_only=True)
class QueueArgs:
    """Runs that wait or execute, and who tells how many they are."""

    runs_per_pod: int
    """More than so many a pod add pods."""
    metrics_url: pulumi.Input[str]
    """Prometheus' text format."""
    metric: str
    """The runs of all pods together."""
    ready: pulumi.Resource | None = None
    """What brings KEDA's kinds; None where they are there."""

    def __post_init__(self) -> None:
        if self.runs_per_pod < 1:
            raise ValueError(f"runs_per_pod is {self.runs_per_pod}: a pod executes one run at least")


@dataclass(frozen=True, kw_only=True)
class AutoscalingArgs:
    """Bounds and targets."""

    namespace: pulumi.Input[str]
    deployment: pulumi.Input[str]
    """The Deployment that it scales; it must not set ``replicas`` itself."""
    labels: Mapping[str, str]
    min_replicas: int
    """0 with a queue alone: nothing else says that a pod is needed again."""
    max_replicas: int
    cpu_percent: int = 70
    """Of the requests, on average."""
    memory_percent: int = 80
    queue: QueueArgs | None = None

    def __post_init__(self) -> None:
        least = 1 if self.queue is None else 0
        if not least <= self.min_replicas <= self.max_replicas:
            raise ValueError(
                f"min_replicas {self.min_replicas} must be between {least} and max_replicas {self.max_replicas}: change"
                " it or raise max_replicas"
            )


class Autoscaling(pulumi.ComponentResource):
    """Adds at most two pods a minute and takes away at most one, after five minutes that did not need it."""

    def __init__(self, name: str, args: AutoscalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Autoscaling", name, None, opts)
        if args.queue is None:
            self._horizontal_pod_autoscaler(name, args)
        else:
            self._scaled_object(name, args, args.queue)
        self.register_outputs({})

    def _horizontal_pod_autoscaler(self, name: str, args: AutoscalingArgs) -> None:
        autoscaling = k8s.autoscaling.v2

        def metric(resource: str, percent: int) -> k8s.autoscaling.v2.MetricSpecArgs:
            return autoscaling.MetricSpecArgs(
                type="Resource",
                resource=autoscaling.ResourceMetricSourceArgs(
                    name=resource,
                    target=autoscaling.MetricTargetArgs(type="Utilization", average_utilization=percent),
                ),
            )

        def step(pods: int, stabilization_seconds: int) -> k8s.autoscaling.v2.HPAScalingRulesArgs:
            return autoscaling.HPAScalingRulesArgs(
                stabilization_window_seconds=stabilization_seconds,
                select_policy="Max",
                policies=[autoscaling.HPAScalingPolicyArgs(type="Pods", value=pods, period_seconds=_PERIOD)],
            )

        autoscaling.HorizontalPodAutoscaler(
            f"{name}-hpa",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=args.deployment, namespace=args.namespace, labels=dict(args.labels)
            ),
            spec=autoscaling.HorizontalPodAutoscalerSpecArgs(
                scale_target_ref=autoscaling.CrossVersionObjectReferenceArgs(
                    api_version="apps/v1", kind="Deployment", name=args.deployment
                ),
                min_replicas=args.min_replicas,
                max_replicas=args.max_replicas,
                metrics=[metric("cpu", args.cpu_percent), metric("memory", args.memory_percent)],
                behavior=autoscaling.HorizontalPodAutoscalerBehaviorArgs(
                    scale_up=step(_UP, _UP_AFTER), scale_down=step(_DOWN, _DOWN_AFTER)
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _scaled_object(self, name: str, args: AutoscalingArgs, queue: QueueArgs) -> None:
        def step(pods: int, stabilization_seconds: int) -> dict[str, Any]:
            return {
                "stabilizationWindowSeconds": stabilization_seconds,
                "selectPolicy": "Max",
                "policies": [{"type": "Pods", "value": pods, "periodSeconds": _PERIOD}],
            }

        def resource(type_: str, percent: int) -> dict[str, Any]:
            return {"type": type_, "metricType": "Utilization", "metadata": {"value": str(percent)}}

        k8s.apiextensions.CustomResource(
            f"{name}-scaled-object",
            api_version="keda.sh/v1alpha1",
            kind="ScaledObject",
            metadata={
                "name": args.deployment,
                "namespace": args.namespace,
                "labels": dict(args.labels),
                "annotations": {_TAKES_OVER: "true"},
            },
            spec={
                "scaleTargetRef": {"name": args.deployment},
                "minReplicaCount": args.min_replicas,
                "maxReplicaCount": args.max_replicas,
                "pollingInterval": _LOOK_SECONDS,
                # With no fewest pod: after so long without a run all go at once. While there are some, the autoscaler
                # takes away what is too much, one by one.
                "cooldownPeriod": _DOWN_AFTER,
                "advanced": {
                    "horizontalPodAutoscalerConfig": {
                        # The name of the one that was there without a queue.
                        "name": args.deployment,
                        "behavior": {"scaleUp": step(_UP, _UP_AFTER), "scaleDown": step(_DOWN, _DOWN_AFTER)},
                    }
                },
                # While nobody tells how long the queue is, nothing is taken away for it.
                "fallback": {
                    "failureThreshold": 3,
                    "replicas": max(1, args.min_replicas),
                    "behavior": "currentReplicasIfHigher",
                },
                "triggers": [
                    resource("cpu", args.cpu_percent),
                    resource("memory", args.memory_percent),
                    {
                        "type": "metrics-api",
                        "name": "queue",
                        "metricType": "AverageValue",
                        "metadata": {
                            "url": queue.metrics_url,
                            "format": "prometheus",
                            "valueLocation": queue.metric,
                            "targetValue": str(queue.runs_per_pod),
                            "activationTargetValue": "0",
                        },
                    },
                ],
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[queue.ready] if queue.ready else []),
        )
