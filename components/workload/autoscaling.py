"""The HorizontalPodAutoscaler of an agent."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s


@dataclass(frozen=True, kw_only=True)
class AutoscalingArgs:
    """Bounds and targets."""

    namespace: pulumi.Input[str]
    deployment: pulumi.Input[str]
    """The Deployment that it scales; it must not set ``replicas`` itself."""
    labels: Mapping[str, str]
    min_replicas: int
    max_replicas: int
    cpu_percent: int = 70
    """Of the requests, on average."""
    memory_percent: int = 80

    def __post_init__(self) -> None:
        if not 1 <= self.min_replicas <= self.max_replicas:
            raise ValueError(
                f"min_replicas {self.min_replicas} must be between 1 and max_replicas {self.max_replicas}: lower it or"
                " raise max_replicas"
            )


class Autoscaling(pulumi.ComponentResource):
    """Adds at most two pods a minute and takes away at most one, after five minutes that did not need it."""

    def __init__(self, name: str, args: AutoscalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Autoscaling", name, None, opts)
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
                policies=[autoscaling.HPAScalingPolicyArgs(type="Pods", value=pods, period_seconds=60)],
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
                    scale_up=step(2, 30), scale_down=step(1, 300)
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
