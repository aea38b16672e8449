"""The way into a stack: what serves the agents' Ingresses."""

from dataclasses import dataclass

import pulumi

from components.cluster.addons import Addons
from components.edge.certificate_issuer import CertificateIssuer, CertificateIssuerArgs
from components.edge.load_balancer_controller import (
    LoadBalancerController,
    LoadBalancerControllerArgs,
    readiness_gate,
)
from components.edge.traefik import Traefik, TraefikArgs
from components.naming import LOAD_BALANCER_NAME, safe_name
from components.network.existing import ExistingNetwork
from components.network.network import Network
from stacks.settings import Settings
from stacks.vocabulary import IngressController


@dataclass(frozen=True)
class TraefikPlatform:
    """Traefik serves Ingresses, cert-manager signs for them."""

    controller_ready: pulumi.Resource | None
    issuer: pulumi.Output[str]


@dataclass(frozen=True)
class AlbPlatform:
    """Application Load Balancers serve Ingresses, ACM signs for them."""

    controller_ready: pulumi.Resource | None
    """The stack's own controller; None where one is there already."""
    hosted_zone_id: pulumi.Output[str]

    @property
    def readiness_gate(self) -> dict[str, str]:
        """What the agents' namespace is labelled with. Of a controller that somebody else installed nobody knows
        whether it honours that, and whether it refuses pods while it is away."""
        return readiness_gate(auto_mode=False) if self.controller_ready else {}


def deploy_ingress(
    settings: Settings,
    name: str,
    region: str,
    network: Network | ExistingNetwork,
    addons: Addons | None,
    shared: dict[str, str],
    hosted_zone_id: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> TraefikPlatform | AlbPlatform:
    """Make what serves the agents' Ingresses: its controller, and the issuer of their certificates."""
    wanted = settings.ingress
    if addons is None:
        # Of a cluster that is there, with both of them in it.
        if wanted.controller is IngressController.ALB:
            return AlbPlatform(controller_ready=None, hosted_zone_id=hosted_zone_id)
        return TraefikPlatform(controller_ready=None, issuer=pulumi.Output.from_input(wanted.issuer.value))
    controller: tuple[pulumi.Resource, ...] = ()
    if addons.load_balancer_controller is not None:
        controller = (
            LoadBalancerController(
                "load-balancer-controller",
                LoadBalancerControllerArgs(
                    cluster_name=name,
                    region=region,
                    vpc_id=network.vpc_id,
                    replicas=2 if settings.production else 1,
                    run_after=(addons.load_balancer_controller.association,),
                ),
                opts,
            ).release,
        )
    if wanted.controller is IngressController.ALB:
        return AlbPlatform(controller_ready=controller[0], hosted_zone_id=hosted_zone_id)
    traefik = Traefik(
        "traefik",
        TraefikArgs(
            labels=shared,
            replicas=wanted.replicas,
            idle_timeout_seconds=wanted.idle_timeout,
            load_balancer_name=safe_name(name, limit=LOAD_BALANCER_NAME),
            auto_mode=not controller,
            run_after=controller,
        ),
        opts,
    )
    issuer = CertificateIssuer(
        "certificate-issuer",
        CertificateIssuerArgs(
            issuer=wanted.issuer,
            email=wanted.email,
            ingress_class="traefik",
            labels=shared,
            crds_ready=addons.cert_manager,
        ),
        opts,
    )
    return TraefikPlatform(controller_ready=traefik.release, issuer=issuer.issuer_name)
