"""How callers reach an agent: an Ingress with TLS and a rate limit, for Traefik or for an Application Load Balancer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.naming import DNS_LABEL, safe_name
from components.workload.workload import SERVICE_PORT


@dataclass(frozen=True, kw_only=True)
class IngressArgs:
    """What an Ingress of either kind needs."""

    namespace: pulumi.Input[str]
    name: str
    """Of the Ingress and what belongs to it."""
    host: str
    service_name: pulumi.Input[str]
    labels: Mapping[str, str]
    average: int
    """Requests a second that one client address may make, sustained."""
    burst: int
    """Requests at once."""

    def __post_init__(self) -> None:
        if self.burst < self.average:
            raise ValueError(f"burst {self.burst} is below average {self.average}: raise burst")


def _rules(args: IngressArgs) -> list[k8s.networking.v1.IngressRuleArgs]:
    networking = k8s.networking.v1
    backend = networking.IngressBackendArgs(
        service=networking.IngressServiceBackendArgs(
            name=args.service_name, port=networking.ServiceBackendPortArgs(number=SERVICE_PORT)
        )
    )
    path = networking.HTTPIngressPathArgs(path="/", path_type="Prefix", backend=backend)
    return [
        networking.IngressRuleArgs(host=args.host, http=networking.HTTPIngressRuleValueArgs(paths=[path]))
    ]


_TRAEFIK_INGRESS = "langgraph-agents:components:TraefikIngress"
_ALB_INGRESS = "langgraph-agents:components:AlbIngress"


def _once(opts: pulumi.ResourceOptions | None, other: str) -> pulumi.ResourceOptions:
    """The other kind's Ingress is the same object by its name, and would be deleted after it was changed."""
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=[pulumi.Alias(type_=other)]))


class TraefikIngress(pulumi.ComponentResource):
    """An Ingress that Traefik serves, with a certificate by cert-manager."""

    url: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: IngressArgs,
        *,
        cluster_issuer: pulumi.Input[str],
        crds_ready: pulumi.Resource | None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """
        Args:
            cluster_issuer: the ClusterIssuer that signs the certificate.
            crds_ready: the release that brings Traefik's own kinds; None where they are there already.
        """
        super().__init__(_TRAEFIK_INGRESS, name, None, _once(opts, _ALB_INGRESS))
        limit = f"{args.name}-rate-limit"
        middleware = k8s.apiextensions.CustomResource(
            f"{name}-rate-limit",
            api_version="traefik.io/v1alpha1",
            kind="Middleware",
            metadata={"name": limit, "namespace": args.namespace, "labels": dict(args.labels)},
            spec={"rateLimit": {"average": args.average, "burst": args.burst, "period": "1s"}},
            # The kind exists once Traefik's release is installed.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[crds_ready] if crds_ready else None),
        )
        k8s.networking.v1.Ingress(
            f"{name}-ingress",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=args.name,
                namespace=args.namespace,
                labels=dict(args.labels),
                annotations={
                    "cert-manager.io/cluster-issuer": cluster_issuer,
                    "traefik.ingress.kubernetes.io/router.entrypoints": "websecure",
                    "traefik.ingress.kubernetes.io/router.middlewares": pulumi.Output.concat(
                        args.namespace, "-", limit, "@kubernetescrd"
                    ),
                },
            ),
            spec=k8s.networking.v1.IngressSpecArgs(
                ingress_class_name="traefik",
                rules=_rules(args),
                tls=[k8s.networking.v1.IngressTLSArgs(hosts=[args.host], secret_name=f"{args.name}-tls")],
            ),
            # Traefik answers 404 for a router whose middleware is missing.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[middleware]),
        )
        self.url = pulumi.Output.from_input(f"https://{args.host}")
        self.register_outputs({"url": self.url})


class AlbIngress(pulumi.ComponentResource):
    """An Ingress that becomes an Application Load Balancer, with a certificate by ACM and a rate limit by WAF.

    A load balancer of AWS takes certificates from ACM only, so cert-manager has no part here.
    """

    url: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: IngressArgs,
        *,
        hosted_zone_id: pulumi.Input[str],
        idle_timeout_seconds: int,
        group: str,
        controller_ready: pulumi.Resource | None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """
        Args:
            hosted_zone_id: where the certificate is validated.
            idle_timeout_seconds: above the longest stream.
            group: Ingresses of one group share one load balancer.
            controller_ready: what makes load balancers of Ingresses; None where it is there already.
        """
        super().__init__(_ALB_INGRESS, name, None, _once(opts, _TRAEFIK_INGRESS))
        child = pulumi.ResourceOptions(parent=self)
        certificate = aws.acm.Certificate(
            f"{name}-certificate",
            domain_name=args.host,
            validation_method="DNS",
            # A load balancer holds on to its certificate: the new one has to be there first.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=False),
        )
        option = certificate.domain_validation_options[0]
        record = aws.route53.Record(
            f"{name}-validation-record",
            zone_id=hosted_zone_id,
            name=option.resource_record_name,
            type=option.resource_record_type,
            records=[option.resource_record_value],
            ttl=60,
            allow_overwrite=True,
            opts=child,
        )
        validation = aws.acm.CertificateValidation(
            f"{name}-validation",
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn],
            opts=child,
        )
        web_acl = self._rate_limit(name, args, group)
        attributes = {
            "idle_timeout.timeout_seconds": idle_timeout_seconds,
            "routing.http.drop_invalid_header_fields.enabled": "true",
        }
        k8s.networking.v1.Ingress(
            f"{name}-ingress",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=args.name,
                namespace=args.namespace,
                labels=dict(args.labels),
                annotations={
                    "alb.ingress.kubernetes.io/scheme": "internet-facing",
                    "alb.ingress.kubernetes.io/target-type": "ip",
                    "alb.ingress.kubernetes.io/group.name": group,
                    "alb.ingress.kubernetes.io/listen-ports": json.dumps([{"HTTP": 80}, {"HTTPS": 443}]),
                    "alb.ingress.kubernetes.io/ssl-redirect": "443",
                    "alb.ingress.kubernetes.io/ssl-policy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
                    "alb.ingress.kubernetes.io/certificate-arn": validation.certificate_arn,
                    "alb.ingress.kubernetes.io/wafv2-acl-arn": web_acl.arn,
                    "alb.ingress.kubernetes.io/healthcheck-path": "/ready",
                    "alb.ingress.kubernetes.io/load-balancer-attributes": _attributes(attributes),
                    "alb.ingress.kubernetes.io/target-group-attributes": _attributes(
                        {"deregistration_delay.timeout_seconds": idle_timeout_seconds}
                    ),
                },
            ),
            spec=k8s.networking.v1.IngressSpecArgs(
                ingress_class_name="alb",
                rules=_rules(args),
                tls=[k8s.networking.v1.IngressTLSArgs(hosts=[args.host])],
            ),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[controller_ready] if controller_ready else None
            ),
        )
        self.url = pulumi.Output.from_input(f"https://{args.host}")
        self.register_outputs({"url": self.url})

    def _rate_limit(self, name: str, args: IngressArgs, group: str) -> "aws.wafv2.WebAcl":
        # Quoted: the package of WAF is a fifth of what a stack without it would otherwise import.
        metric = safe_name(group, args.name, limit=DNS_LABEL)
        visibility = aws.wafv2.WebAclRuleVisibilityConfigArgs(
            cloudwatch_metrics_enabled=True, metric_name=f"{metric}-rate-limit", sampled_requests_enabled=True
        )
        return aws.wafv2.WebAcl(
            f"{name}-rate-limit",
            name=metric,
            scope="REGIONAL",
            default_action=aws.wafv2.WebAclDefaultActionArgs(allow=aws.wafv2.WebAclDefaultActionAllowArgs()),
            visibility_config=aws.wafv2.WebAclVisibilityConfigArgs(
                cloudwatch_metrics_enabled=True, metric_name=metric, sampled_requests_enabled=True
            ),
            rules=[
                aws.wafv2.WebAclRuleArgs(
                    name="rate-limit",
                    priority=0,
                    action=aws.wafv2.WebAclRuleActionArgs(block=aws.wafv2.WebAclRuleActionBlockArgs()),
                    statement=aws.wafv2.WebAclRuleStatementArgs(
                        rate_based_statement=aws.wafv2.WebAclRuleStatementRateBasedStatementArgs(
                            aggregate_key_type="IP",
                            # WAF counts over a minute at the shortest, and takes no limit below ten.
                            evaluation_window_sec=60,
                            limit=max(10, args.average * 60),
                        )
                    ),
                    visibility_config=visibility,
                )
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )


def _attributes(attributes: Mapping[str, object]) -> str:
    return ",".join(f"{key}={value}" for key, value in attributes.items())
