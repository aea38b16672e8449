"""An agent's server: ServiceAccount, ConfigMap, Deployment, Service and PodDisruptionBudget; and its workers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components.naming import config_hash
from components.workload.container import ContainerResources
from components.workload.pod import PodArgs, pod_template, scraped, spread_out
from components.workload.pod_options import PodOptions
from components.workload.serving import Serving

SERVICE_PORT = 80


@dataclass(frozen=True, kw_only=True)
class FleetArgs:
    """Equal pods of an agent that scale together. All its fleets have one image, identity and set of secrets."""

    labels: Mapping[str, str]
    selector: Mapping[str, str]
    """A part of ``labels`` that never changes, and selects no pod of another fleet."""
    variables: Mapping[str, str]
    """Plain settings, in a ConfigMap of their own."""
    resources: ContainerResources
    grace_period_seconds: int
    serving: Serving = field(default_factory=Serving)

    def __post_init__(self) -> None:
        _check_selector(self.selector, self.labels)


@dataclass(frozen=True, kw_only=True)
class WorkloadArgs:
    """A server and its settings."""

    namespace: pulumi.Input[str]
    agent: str
    """Names every object but the ServiceAccount."""
    service_account: str
    """Its own, which the identity knows."""
    image: pulumi.Input[str]
    """By digest."""
    labels: Mapping[str, str]
    selector: Mapping[str, str]
    """A part of ``labels`` that never changes."""
    variables: Mapping[str, str]
    """Plain settings, in a ConfigMap."""
    secret_provider_class: pulumi.Input[str]
    secrets_version: pulumi.Input[str]
    """Changes whenever a secret does, which rolls the pods."""
    certificates_config_map: pulumi.Input[str]
    pooler_certificates: k8s.core.v1.VolumeProjectionArgs | None = None
    """Who signed the certificate of the pooler, where the database is reached by one."""
    resources: ContainerResources
    options: PodOptions = field(default_factory=PodOptions)
    serving: Serving = field(default_factory=Serving)
    port: int
    metrics_port: int
    """Where Prometheus reads ``/metrics``; it may be ``port``."""
    pre_stop_seconds: int
    grace_period_seconds: int
    spot: bool = False
    """Prefer Spot nodes."""
    exposes_metrics: bool = False
    """Whether the Service leads to its metrics as well, for who scales by them."""
    workers: FleetArgs | None = None
    """Pods that execute the runs; without them those of the server do."""
    rollout_after: tuple[pulumi.Resource, ...] = ()
    """Leaves that the first and each later rollout waits for: the identity, and the migration Job."""
    rollout_seconds: int = 600
    """How long a rollout may take until Pulumi gives it up; its own default where nothing is said."""

    def __post_init__(self) -> None:
        _check_selector(self.selector, self.labels)
        if self.workers is not None and self.workers.selector == self.selector:
            raise ValueError(
                f"selector {dict(self.selector)} is that of the workers, too: requests would go to pods that answer"
                " none"
            )
        if self.grace_period_seconds <= self.pre_stop_seconds:
            raise ValueError(
                f"grace_period_seconds {self.grace_period_seconds} must be above pre_stop_seconds"
                f" {self.pre_stop_seconds}: a stopping pod would be killed before it may finish its runs"
            )


def _check_selector(selector: Mapping[str, str], labels: Mapping[str, str]) -> None:
    if not selector or not selector.items() <= labels.items():
        raise ValueError(f"selector {dict(selector)} must be a part of labels {dict(labels)}")


class Workload(pulumi.ComponentResource):
    """Serves an agent: one pod more and none less during a rollout, and each pod outlives its longest run."""

    deployment_name: pulumi.Output[str]
    worker_deployment_name: pulumi.Output[str] | None
    """None: the pods of the server execute runs."""
    service_name: pulumi.Output[str]
    service_account: pulumi.Output[str]
    config_map: pulumi.Output[str]

    def __init__(self, name: str, args: WorkloadArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Workload", name, None, opts)
        self._args = args
        metadata = k8s.meta.v1.ObjectMetaArgs(
            name=args.agent, namespace=args.namespace, labels=dict(args.labels)
        )
        self._account = k8s.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=args.service_account, namespace=args.namespace, labels=dict(args.labels)
            ),
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        server = FleetArgs(
            labels=args.labels,
            selector=args.selector,
            variables=args.variables,
            resources=args.resources,
            grace_period_seconds=args.grace_period_seconds,
            serving=args.serving,
        )
        config_map, deployment = self._pods(name, args.agent, server, pre_stop_seconds=args.pre_stop_seconds)
        ports = {"http": SERVICE_PORT, **({"metrics": args.metrics_port} if args.exposes_metrics else {})}
        service = k8s.core.v1.Service(
            f"{name}-service",
            metadata=metadata,
            spec=k8s.core.v1.ServiceSpecArgs(
                type="ClusterIP",
                selector=dict(args.selector),
                ports=[
                    k8s.core.v1.ServicePortArgs(name=port, port=number, target_port=port, protocol="TCP")
                    for port, number in ports.items()
                ],
            ),
            # It is awaited until a pod is ready behind it. Awaited before there are any, the Services of many agents
            # would take all places of the engine, which works on four resources a CPU at once, from their pods.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[deployment]),
        )
        self.worker_deployment_name = None
        if args.workers is not None:
            # Nobody sends them requests, so that they need not wait until load balancers know that they leave.
            _, workers = self._pods(
                f"{name}-worker", f"{args.agent}-worker", args.workers, pre_stop_seconds=0
            )
            self.worker_deployment_name = workers.metadata.name
        self.deployment_name = deployment.metadata.name
        self.service_name = service.metadata.name
        self.service_account = self._account.metadata.name
        self.config_map = config_map.metadata.name
        self.register_outputs({"deployment_name": self.deployment_name, "service_name": self.service_name})

    def _pods(
        self, name: str, object_name: str, part: FleetArgs, *, pre_stop_seconds: int
    ) -> tuple[k8s.core.v1.ConfigMap, k8s.apps.v1.Deployment]:
        """A Deployment with its settings and its PodDisruptionBudget."""
        args, child = self._args, pulumi.ResourceOptions(parent=self)
        metadata = k8s.meta.v1.ObjectMetaArgs(
            name=object_name, namespace=args.namespace, labels=dict(part.labels)
        )
        config_map = k8s.core.v1.ConfigMap(
            f"{name}-config", metadata=metadata, data=dict(sorted(part.variables.items())), opts=child
        )
        pod = PodArgs(
            image=args.image,
            service_account=self._account.metadata.name,
            secret_provider_class=args.secret_provider_class,
            config_map=config_map.metadata.name,
            certificates_config_map=args.certificates_config_map,
            pooler_certificates=args.pooler_certificates,
            resources=part.resources,
            options=args.options,
            labels=part.labels,
            annotations={
                "checksum/config": config_hash(part.variables),
                "checksum/secrets": args.secrets_version,
                **scraped(args.metrics_port),
            },
            termination_grace_period_seconds=part.grace_period_seconds,
            spot=args.spot,
        )

        def probe(path: str, delay: int, period: int, timeout: int, failures: int) -> k8s.core.v1.ProbeArgs:
            return k8s.core.v1.ProbeArgs(
                http_get=k8s.core.v1.HTTPGetActionArgs(path=path, port="http"),
                initial_delay_seconds=delay,
                period_seconds=period,
                timeout_seconds=timeout,
                failure_threshold=failures,
            )

        deployment = k8s.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=metadata,
            spec=k8s.apps.v1.DeploymentSpecArgs(
                # No replicas: the HorizontalPodAutoscaler owns them, and an update must not undo its work.
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(part.selector)),
                strategy=k8s.apps.v1.DeploymentStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=k8s.apps.v1.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0),
                ),
                min_ready_seconds=5,
                revision_history_limit=5,
                progress_deadline_seconds=600,
                template=pod_template(
                    pod,
                    container="agent",
                    command=part.serving.command,
                    ports={
                        "http": args.port,
                        **({"metrics": args.metrics_port} if args.metrics_port != args.port else {}),
                    },
                    startup=probe(part.serving.health, 1, 1, 5, 120),
                    liveness=probe(part.serving.health, 30, 10, 5, 3),
                    readiness=probe(part.serving.ready, 0, 5, 3, 3),
                    # kube-proxies and load balancers go on sending for a moment after a pod is asked to stop.
                    lifecycle=k8s.core.v1.LifecycleArgs(
                        pre_stop=k8s.core.v1.LifecycleHandlerArgs(
                            sleep=k8s.core.v1.SleepActionArgs(seconds=pre_stop_seconds)
                        )
                    )
                    if pre_stop_seconds
                    else None,
                    topology_spread=spread_out(part.selector),
                ),
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(args.rollout_after),
                custom_timeouts=pulumi.CustomTimeouts(
                    create=f"{args.rollout_seconds}s", update=f"{args.rollout_seconds}s"
                ),
            ),
        )
        k8s.policy.v1.PodDisruptionBudget(
            f"{name}-pdb",
            metadata=metadata,
            spec=k8s.policy.v1.PodDisruptionBudgetSpecArgs(
                # Not minAvailable: with one replica that would block every node drain for good.
                max_unavailable=1,
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(part.selector)),
            ),
            opts=child,
        )
        return config_map, deployment
