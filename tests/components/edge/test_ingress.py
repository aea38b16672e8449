"""How callers reach an agent, by either kind of Ingress."""

from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.edge.certificate_issuer import CertificateIssuer, CertificateIssuerArgs
from components.edge.ingress import AlbIngress, IngressArgs, TraefikIngress
from components.edge.traefik import Traefik, TraefikArgs
from preview.recording.recorder import Recording

Record = Callable[[Callable[[], Any]], Recording]


def args(**changes: Any) -> IngressArgs:
    return IngressArgs(
        **{
            "namespace": "agents",
            "name": "support",
            "host": "support.example.com",
            "service_name": "support",
            "labels": {},
            "average": 100,
            "burst": 200,
            **changes,
        }
    )


def leaf() -> pulumi.Resource:
    return pulumi.ComponentResource("test:index:Leaf", "leaf")


@pytest.fixture
def traefik(record_resources: Record) -> Recording:
    return record_resources(
        lambda: TraefikIngress("support", args(), cluster_issuer="letsencrypt-staging", crds_ready=leaf())
    )


@pytest.fixture
def alb(record_resources: Record) -> Recording:
    return record_resources(
        lambda: AlbIngress(
            "support",
            args(),
            hosted_zone_id="Z1",
            idle_timeout_seconds=400,
            group="langgraph-agents-test",
            controller_ready=leaf(),
        )
    )


def ingress(recording: Recording) -> dict[str, Any]:
    (found,) = recording.of_type("kubernetes:networking.k8s.io/v1:Ingress")
    result: dict[str, Any] = dict(found.inputs)
    return result


def test_traefik_serves_the_host_with_a_certificate_by_cert_manager(traefik: Recording) -> None:
    found = ingress(traefik)
    assert found["spec"]["ingressClassName"] == "traefik"
    assert found["spec"]["tls"] == [{"hosts": ["support.example.com"], "secretName": "support-tls"}]
    assert found["metadata"]["annotations"]["cert-manager.io/cluster-issuer"] == "letsencrypt-staging"


def test_traefik_limits_requests_by_a_middleware_that_is_there_first(traefik: Recording) -> None:
    (middleware,) = traefik.of_type("kubernetes:traefik.io/v1alpha1:Middleware")
    assert middleware.inputs["spec"]["rateLimit"] == {"average": 100, "burst": 200, "period": "1s"}
    annotations = ingress(traefik)["metadata"]["annotations"]
    assert (
        annotations["traefik.ingress.kubernetes.io/router.middlewares"]
        == "agents-support-rate-limit@kubernetescrd"
    )
    (found,) = traefik.of_type("kubernetes:networking.k8s.io/v1:Ingress")
    assert middleware.urn in found.dependencies


def test_an_application_load_balancer_takes_its_certificate_from_acm(alb: Recording) -> None:
    (certificate,) = alb.of_type("aws:acm/certificate:Certificate")
    assert certificate.inputs["domainName"] == "support.example.com"
    annotations = ingress(alb)["metadata"]["annotations"]
    assert annotations["alb.ingress.kubernetes.io/certificate-arn"] == certificate.outputs["arn"]
    assert ingress(alb)["spec"]["ingressClassName"] == "alb"


def test_an_application_load_balancer_keeps_silent_streams_open(alb: Recording) -> None:
    annotations = ingress(alb)["metadata"]["annotations"]
    assert (
        "idle_timeout.timeout_seconds=400"
        in annotations["alb.ingress.kubernetes.io/load-balancer-attributes"]
    )
    assert (
        annotations["alb.ingress.kubernetes.io/target-group-attributes"]
        == "deregistration_delay.timeout_seconds=400"
    )


def test_an_application_load_balancer_limits_requests_by_waf(alb: Recording) -> None:
    (acl,) = alb.of_type("aws:wafv2/webAcl:WebAcl")
    (rule,) = acl.inputs["rules"]
    limit = rule["statement"]["rateBasedStatement"]
    assert (limit["limit"], limit["evaluationWindowSec"], limit["aggregateKeyType"]) == (6000, 60, "IP")
    assert (
        ingress(alb)["metadata"]["annotations"]["alb.ingress.kubernetes.io/wafv2-acl-arn"]
        == acl.outputs["arn"]
    )


def test_a_burst_below_the_average_is_refused() -> None:
    with pytest.raises(ValueError, match="raise burst"):
        args(burst=1)


def release(record_resources: Record, **changes: Any) -> dict[str, Any]:
    def make() -> Traefik:
        return Traefik(
            "traefik",
            TraefikArgs(
                **{
                    "labels": {},
                    "replicas": 2,
                    "idle_timeout_seconds": 400,
                    "load_balancer_name": "agents",
                    "auto_mode": False,
                    **changes,
                }
            ),
        )

    (found,) = record_resources(make).of_type("kubernetes:helm.sh/v3:Release")
    result: dict[str, Any] = found.inputs["values"]
    return result


def test_every_hop_of_traefik_outlives_the_longest_silent_stream(record_resources: Record) -> None:
    values = release(record_resources)
    arguments = values["additionalArguments"]
    assert "--entryPoints.websecure.transport.respondingTimeouts.idleTimeout=400s" in arguments
    assert "--entryPoints.websecure.transport.respondingTimeouts.writeTimeout=0s" in arguments
    annotations = values["service"]["annotations"]
    key = "service.beta.kubernetes.io/aws-load-balancer-listener-attributes.TCP-443"
    assert annotations[key] == "tcp.idle_timeout.seconds=400"
    assert values["deployment"]["terminationGracePeriodSeconds"] > 400


def test_plain_http_is_redirected(record_resources: Record) -> None:
    arguments = release(record_resources)["additionalArguments"]
    assert "--entryPoints.web.http.redirections.entryPoint.scheme=https" in arguments


@pytest.mark.parametrize(
    ("auto_mode", "load_balancer_class"), [(False, "service.k8s.aws/nlb"), (True, "eks.amazonaws.com/nlb")]
)
def test_the_load_balancer_is_made_by_whoever_the_cluster_has(
    record_resources: Record, auto_mode: bool, load_balancer_class: str
) -> None:
    values = release(record_resources, auto_mode=auto_mode)
    assert values["service"]["spec"]["loadBalancerClass"] == load_balancer_class


@given(seconds=st.one_of(st.integers(max_value=59), st.integers(min_value=6001)))
def test_an_idle_timeout_that_a_network_load_balancer_refuses_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="60 to 6000"):
        TraefikArgs(
            labels={}, replicas=1, idle_timeout_seconds=seconds, load_balancer_name="a", auto_mode=False
        )


@pytest.mark.parametrize(
    ("issuer", "server"), [("letsencrypt-staging", "acme-staging-v02"), ("letsencrypt-prod", "acme-v02")]
)
def test_the_issuer_asks_the_authority_it_is_named_for(
    record_resources: Record, issuer: str, server: str
) -> None:
    def make() -> CertificateIssuer:
        return CertificateIssuer(
            "issuer",
            CertificateIssuerArgs(
                issuer=issuer, email="a@example.com", ingress_class="traefik", labels={}, crds_ready=leaf()
            ),
        )

    (found,) = record_resources(make).of_type("kubernetes:cert-manager.io/v1:ClusterIssuer")
    assert server in found.inputs["spec"]["acme"]["server"]
    assert found.inputs["metadata"]["name"] == issuer


def test_an_unknown_issuer_is_refused() -> None:
    with pytest.raises(ValueError, match="letsencrypt-staging, letsencrypt-prod"):
        CertificateIssuerArgs(
            issuer="self-signed",
            email="a@example.com",
            ingress_class="traefik",
            labels={},
            crds_ready=None,  # type: ignore[arg-type]
        )
