"""Who may speak to an agent's pods, and to whom they may speak."""

from collections.abc import Callable
from typing import Any

import pytest

from components.workload.namespace import AgentNamespace, NamespaceArgs
from components.workload.network_policies import (
    NetworkPolicies,
    NetworkPoliciesArgs,
    name_servers,
    namespace_peer,
)
from preview.recording.recorder import Recording

Record = Callable[[Callable[[], Any]], Recording]


def args(**changes: Any) -> NetworkPoliciesArgs:
    return NetworkPoliciesArgs(
        **{
            "namespace": "agents",
            "agent": "support",
            "labels": {},
            "server_labels": {"app.kubernetes.io/name": "support", "app.kubernetes.io/component": "server"},
            "maintenance_labels": {"app.kubernetes.io/name": "support"},
            "maintenance_components": ("migrate", "prune"),
            "port": 8000,
            "metrics_port": 9464,
            "callers": [namespace_peer("traefik", {"app.kubernetes.io/name": "traefik"})],
            "scrapers": [namespace_peer("monitoring")],
            "name_servers": name_servers(auto_mode=False),
            "database_cidrs": ["10.20.160.0/21", "10.20.168.0/21"],
            "vpc_cidrs": ["10.20.0.0/16"],
            **changes,
        }
    )


def policies(record_resources: Record, **changes: Any) -> dict[str, dict[str, Any]]:
    made = record_resources(lambda: NetworkPolicies("support", args(**changes)))
    return {
        found.inputs["metadata"]["name"]: found.inputs["spec"]
        for found in made.of_type("kubernetes:networking.k8s.io/v1:NetworkPolicy")
    }


def ports(rule: dict[str, Any]) -> set[tuple[int, str]]:
    return {(port["port"], port["protocol"]) for port in rule["ports"]}


def test_only_the_ingress_controller_calls_and_only_monitoring_scrapes(record_resources: Record) -> None:
    calls, scrapes = policies(record_resources)["support-server"]["ingress"]
    (caller,), (scraper,) = calls["from"], scrapes["from"]
    assert caller["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "traefik"}
    assert caller["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "traefik"}
    assert scraper["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
    assert (ports(calls), ports(scrapes)) == ({(8000, "TCP")}, {(9464, "TCP")})


def test_the_server_reaches_dns_its_stores_and_https_alone(record_resources: Record) -> None:
    egress = policies(record_resources)["support-server"]["egress"]
    assert set().union(*map(ports, egress)) == {
        (53, "UDP"),
        (53, "TCP"),
        (5432, "TCP"),
        (6379, "TCP"),
        (443, "TCP"),
        (80, "TCP"),
    }
    (plain_http,) = [rule for rule in egress if ports(rule) == {(80, "TCP")}]
    assert plain_http["to"] == [{"ipBlock": {"cidr": "169.254.170.23/32"}}]


def test_https_reaches_neither_the_vpc_nor_the_instance_metadata(record_resources: Record) -> None:
    (https,) = [
        r for r in policies(record_resources)["support-server"]["egress"] if ports(r) == {(443, "TCP")}
    ]
    assert https["to"] == [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.20.0.0/16", "169.254.0.0/16"]}}]


def test_interface_endpoints_are_reached_in_their_own_subnets(record_resources: Record) -> None:
    egress = policies(record_resources, endpoint_cidrs=["10.20.0.0/19"])["support-server"]["egress"]
    assert {
        "to": [{"ipBlock": {"cidr": "10.20.0.0/19"}}],
        "ports": [{"port": 443, "protocol": "TCP"}],
    } in egress


def test_stores_are_reached_in_the_database_subnets_alone(record_resources: Record) -> None:
    for spec in policies(record_resources).values():
        for rule in spec["egress"]:
            if ports(rule) & {(5432, "TCP"), (6379, "TCP")}:
                assert [peer["ipBlock"]["cidr"] for peer in rule["to"]] == [
                    "10.20.160.0/21",
                    "10.20.168.0/21",
                ]


def test_maintenance_reaches_dns_and_the_database_and_is_reached_by_nobody(record_resources: Record) -> None:
    spec = policies(record_resources)["support-maintenance"]
    assert "ingress" not in spec
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    assert set().union(*map(ports, spec["egress"])) == {(53, "UDP"), (53, "TCP"), (5432, "TCP")}
    assert spec["podSelector"]["matchExpressions"][0]["values"] == ["migrate", "prune"]


@pytest.fixture
def namespace(record_resources: Record) -> Recording:
    return record_resources(
        lambda: AgentNamespace(
            "namespace",
            NamespaceArgs(
                namespace="agents",
                labels={"app.kubernetes.io/part-of": "langgraph-agents"},
                quota={"pods": "10"},
                certificates="PEM",
                certificate_solver_peers=(namespace_peer("traefik"),),
            ),
        )
    )


def test_the_namespace_enforces_the_restricted_standard(namespace: Recording) -> None:
    (found,) = namespace.of_type("kubernetes:core/v1:Namespace")
    for mode in ("enforce", "audit", "warn"):
        assert found.inputs["metadata"]["labels"][f"pod-security.kubernetes.io/{mode}"] == "restricted"


def test_the_namespace_denies_what_no_policy_allows(namespace: Recording) -> None:
    denials = [
        found.inputs["spec"]
        for found in namespace.of_type("kubernetes:networking.k8s.io/v1:NetworkPolicy")
        if found.inputs["metadata"]["name"] == "default-deny"
    ]
    assert denials == [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]


def test_lets_encrypts_challenges_reach_the_solver_through_the_ingress_controller(
    namespace: Recording,
) -> None:
    (solver,) = [
        found.inputs["spec"]
        for found in namespace.of_type("kubernetes:networking.k8s.io/v1:NetworkPolicy")
        if found.inputs["metadata"]["name"] == "certificate-solver"
    ]
    assert ports(solver["ingress"][0]) == {(8089, "TCP")}
    assert "traefik" in str(solver["ingress"][0]["from"])


def test_the_namespace_is_bounded_by_its_quota(namespace: Recording) -> None:
    (quota,) = namespace.of_type("kubernetes:core/v1:ResourceQuota")
    assert quota.inputs["spec"]["hard"] == {"pods": "10"}


def test_the_databases_authorities_are_mounted_from_a_config_map(namespace: Recording) -> None:
    (certificates,) = namespace.of_type("kubernetes:core/v1:ConfigMap")
    assert certificates.inputs["data"] == {"rds-ca.pem": "PEM"}


@pytest.mark.parametrize("policy", ["support-server", "support-maintenance"])
def test_names_are_resolved_by_coredns_pods_or_in_auto_mode_by_the_node(
    record_resources: Record, policy: str
) -> None:
    def resolvers(auto_mode: bool) -> list[dict[str, Any]]:
        found = policies(record_resources, name_servers=name_servers(auto_mode=auto_mode))[policy]
        (dns,) = [rule for rule in found["egress"] if ports(rule) == {(53, "UDP"), (53, "TCP")}]
        to: list[dict[str, Any]] = dns["to"]
        return to

    (pods,) = resolvers(auto_mode=False)
    assert pods["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}
    assert pods["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kube-system"}
    # Auto Mode has no such pods: its nodes answer themselves, at an address that AWS chooses.
    assert resolvers(auto_mode=True) == [{"ipBlock": {"cidr": "0.0.0.0/0"}}]
