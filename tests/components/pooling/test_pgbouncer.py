"""PgBouncer, as the API server would get it."""

from collections.abc import Callable
from typing import Any

import pytest

from components.naming import labels
from components.pooling.configuration import PooledDatabase
from components.pooling.pgbouncer import NAME, PgBouncer, PgBouncerArgs
from components.workload.container import ContainerResources
from components.workload.network_policies import name_servers, namespace_peer
from preview.recording.recorder import Recording

Record = Callable[[Callable[[], Any]], Recording]


def args(**changes: Any) -> PgBouncerArgs:
    return PgBouncerArgs(
        **{
            "namespace": "agents",
            "namespace_name": "agents",
            "image": "registry.example.com/pgbouncer@sha256:" + "a" * 64,
            "replicas": 2,
            "labels": labels(name=NAME, component="pooler", instance="test"),
            "clients": {"app.kubernetes.io/part-of": "langgraph-agents"},
            "databases": [PooledDatabase(name="support", connections=4)],
            "max_clients": 100,
            "metrics_port": 9464,
            "scrapers": [namespace_peer("monitoring")],
            "address": "db.internal",
            "port": 5432,
            "database_cidrs": ["10.20.160.0/21"],
            "name_servers": name_servers(auto_mode=False),
            "certificates_config_map": "certificates",
            "service_account": NAME,
            "secret_provider_class": NAME,
            "secrets_version": "v1",
            "resources": ContainerResources(
                cpu_request="100m", memory_request="64Mi", cpu_limit="1000m", memory_limit="64Mi"
            ),
            "node_selector": {"kubernetes.io/arch": "amd64"},
            "certificates_ready": None,
            **changes,
        }
    )


@pytest.fixture
def made(record_resources: Record) -> Recording:
    return record_resources(lambda: PgBouncer(NAME, args()))


def deployment(made: Recording) -> dict[str, Any]:
    (found,) = made.of_type("kubernetes:apps/v1:Deployment")
    spec: dict[str, Any] = found.inputs["spec"]
    return spec


def test_its_pods_are_in_different_zones_and_never_more_than_are_reckoned_with(made: Recording) -> None:
    spec = deployment(made)
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    zone = spec["template"]["spec"]["topologySpreadConstraints"][0]
    assert (zone["topologyKey"], zone["whenUnsatisfiable"]) == (
        "topology.kubernetes.io/zone",
        "DoNotSchedule",
    )
    (budget,) = made.of_type("kubernetes:policy/v1:PodDisruptionBudget")
    assert budget.inputs["spec"]["maxUnavailable"] == 1


def test_its_containers_are_restricted_and_without_a_token(made: Recording) -> None:
    pod = deployment(made)["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "env" not in container
        assert "envFrom" not in container


def test_it_stops_after_nobody_is_sent_to_it_and_its_transactions_have_ended(made: Recording) -> None:
    pod = deployment(made)["template"]["spec"]
    sleep = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    # RDS ends a transaction that does nothing after 60 seconds.
    assert pod["terminationGracePeriodSeconds"] >= sleep + 60


def test_only_agents_connect_to_it_and_it_connects_to_the_database_alone(made: Recording) -> None:
    (policy,) = made.of_type("kubernetes:networking.k8s.io/v1:NetworkPolicy")
    spec = policy.inputs["spec"]
    clients, scrapers = spec["ingress"]
    assert clients["from"] == [
        {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "langgraph-agents"}}}
    ]
    assert clients["ports"] == [{"port": 6432, "protocol": "TCP"}]
    assert scrapers["ports"] == [{"port": 9464, "protocol": "TCP"}]
    dns, database = spec["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert database == {
        "to": [{"ipBlock": {"cidr": "10.20.160.0/21"}}],
        "ports": [{"port": 5432, "protocol": "TCP"}],
    }


def test_a_change_of_its_settings_or_logins_rolls_its_pods(record_resources: Record) -> None:
    def annotations(**changes: Any) -> dict[str, str]:
        made = record_resources(lambda: PgBouncer(NAME, args(**changes)))
        found: dict[str, str] = deployment(made)["template"]["metadata"]["annotations"]
        return found

    before = annotations()
    more = annotations(databases=[PooledDatabase(name="support", connections=5)])
    assert before["checksum/config"] != more["checksum/config"]
    assert before["checksum/secrets"] != annotations(secrets_version="v2")["checksum/secrets"]


def test_its_certificate_is_by_an_authority_whose_key_stays(made: Recording) -> None:
    authority, certificate = sorted(
        (found.inputs["spec"] for found in made.of_type("kubernetes:cert-manager.io/v1:Certificate")),
        key=lambda spec: "isCA" not in spec,
    )
    assert authority["privateKey"]["rotationPolicy"] == "Never"
    assert certificate["dnsNames"] == ["pgbouncer.agents.svc", "pgbouncer.agents.svc.cluster.local"]
    assert certificate["issuerRef"]["name"] != authority["issuerRef"]["name"]
    volumes = {v["name"]: v for v in deployment(made)["template"]["spec"]["volumes"]}
    assert volumes["certificate"]["secret"]["secretName"] == certificate["secretName"]


def test_labels_that_do_not_select_its_pods_are_refused() -> None:
    with pytest.raises(ValueError, match="by which its pods are selected"):
        args(labels={})
