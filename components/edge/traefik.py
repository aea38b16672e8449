"""Traefik, the ingress controller, behind a Network Load Balancer."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.edge.load_balancer_controller import readiness_gate
from components.naming import RESTRICTED

CHART_VERSION = "37.4.0"
NAMESPACE = "traefik"
#: Seconds until a Network Load Balancer sends requests to a new pod, at the longest: registration takes "a few minutes"
#: (https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-register-targets.html).
_JOINS = 300
#: What selects Traefik's pods, as its chart labels them.
POD_LABELS = {"app.kubernetes.io/name": "traefik"}


@dataclass(frozen=True, kw_only=True)
class TraefikArgs:
    """Its size, and how long connections live."""

    labels: Mapping[str, str]
    replicas: int
    idle_timeout_seconds: int
    """A connection may be silent for so long: above the longest stream."""
    load_balancer_name: str
    """At most 32 characters."""
    auto_mode: bool
    """EKS Auto Mode's own controller makes the load balancer, not the AWS Load Balancer Controller."""
    run_after: tuple[pulumi.Resource, ...] = ()
    """Leaves that it waits for: the controller that makes its load balancer, and nodes."""

    def __post_init__(self) -> None:
        if len(self.load_balancer_name) > 32:
            raise ValueError(
                f"load_balancer_name {self.load_balancer_name} is longer than 32 characters: shorten it with"
                " naming.safe_name"
            )
        if not 60 <= self.idle_timeout_seconds <= 6000:
            raise ValueError(
                f"idle_timeout_seconds is {self.idle_timeout_seconds}: a Network Load Balancer takes 60 to 6000"
            )


class Traefik(pulumi.ComponentResource):
    """Serves Ingresses of the class ``traefik`` on 443, and redirects 80 there."""

    release: k8s.helm.v3.Release

    def __init__(self, name: str, args: TraefikArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Traefik", name, None, opts)
        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=NAMESPACE,
                labels={**args.labels, **RESTRICTED, **readiness_gate(auto_mode=args.auto_mode)},
            ),
            # Deleted, with all that stands in it, before what made the load balancer: nobody else ends its finalizer.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.run_after)),
        )
        self.release = k8s.helm.v3.Release(
            f"{name}-release",
            name="traefik",
            namespace=namespace.metadata.name,
            chart="traefik",
            version=CHART_VERSION,
            repository_opts=k8s.helm.v3.RepositoryOptsArgs(repo="https://traefik.github.io/charts"),
            atomic=True,
            # Pods roll one after the other, each when its load balancer has taken it in; Helm rolls back after 300 s.
            timeout=_JOINS * (args.replicas + 1),
            values=_values(args),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.run_after)),
        )
        self.register_outputs({})


def _values(args: TraefikArgs) -> dict[str, object]:
    idle = args.idle_timeout_seconds
    return {
        "deployment": {"replicas": args.replicas, "terminationGracePeriodSeconds": idle + 30},
        "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
        "ingressClass": {"enabled": True, "isDefaultClass": False},
        "ingressRoute": {"dashboard": {"enabled": False}},
        "providers": {
            "kubernetesCRD": {"enabled": True, "allowCrossNamespace": False},
            "kubernetesIngress": {"enabled": True, "publishedService": {"enabled": True}},
        },
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        # As flags of Traefik itself, whose names hold still between versions of the chart.
        "additionalArguments": [
            "--entryPoints.web.http.redirections.entryPoint.to=:443",
            "--entryPoints.web.http.redirections.entryPoint.scheme=https",
            # A slow upload is cut after a minute; a stream of answers is never cut while it speaks.
            "--entryPoints.websecure.transport.respondingTimeouts.readTimeout=60s",
            "--entryPoints.websecure.transport.respondingTimeouts.writeTimeout=0s",
            f"--entryPoints.websecure.transport.respondingTimeouts.idleTimeout={idle}s",
            "--entryPoints.websecure.transport.lifeCycle.requestAcceptGraceTimeout=10s",
            f"--entryPoints.websecure.transport.lifeCycle.graceTimeOut={idle}s",
        ],
        "logs": {"access": {"enabled": True, "format": "json"}},
        "podSecurityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "1000m", "memory": "512Mi"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": POD_LABELS},
            }
        ],
        "service": {"type": "LoadBalancer", **_load_balancer(args)},
    }


def _load_balancer(args: TraefikArgs) -> dict[str, object]:
    prefix = "service.beta.kubernetes.io/aws-load-balancer"
    idle = args.idle_timeout_seconds
    annotations = {
        f"{prefix}-name": args.load_balancer_name,
        f"{prefix}-scheme": "internet-facing",
        f"{prefix}-nlb-target-type": "ip",
        f"{prefix}-attributes": "load_balancing.cross_zone.enabled=true",
        # Rate limits go by the client's address, so it has to arrive.
        f"{prefix}-target-group-attributes": (
            f"preserve_client_ip.enabled=true,deregistration_delay.timeout_seconds={min(idle, 3600)}"
        ),
        f"{prefix}-listener-attributes.TCP-443": f"tcp.idle_timeout.seconds={idle}",
    }
    load_balancer_class = "eks.amazonaws.com/nlb" if args.auto_mode else "service.k8s.aws/nlb"
    return {"annotations": annotations, "spec": {"loadBalancerClass": load_balancer_class}}
