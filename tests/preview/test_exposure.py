"""Who reaches what in the repository's stacks, and what breaking one link does to it."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from preview.exposure import INTERNET, Edge, Exposure, Relation, exposure
from preview.exposure.labels import Selecting, selects
from preview.recording.plan import Plan
from preview.recording.urns import name_of
from tests.preview.projects import plan_of, project_plan


@pytest.fixture(scope="module")
def prod() -> Exposure:
    return exposure(plan_of("prod"))


def _ends(edges: list[Edge]) -> set[tuple[str, str]]:
    return {(e.source if e.source == INTERNET else name_of(e.source), name_of(e.target)) for e in edges}


def _to(found: Exposure, name: str) -> set[str]:
    return {source for source, target in _ends(list(found.edges)) if target == name}


def _changed(name: str, change: Callable[[dict[str, Any]], object], plan: Plan | None = None) -> Exposure:
    """The exposure of a plan in which one resource's inputs are others."""
    plan = plan or project_plan("dev")
    resource = plan.named(name)
    inputs = copy.deepcopy(dict(resource.inputs))
    change(inputs)
    outputs = {**resource.outputs, **inputs}
    changed = replace(resource, inputs=inputs, outputs=outputs)
    return exposure(replace(plan, resources={**plan.resources, resource.urn: changed}))


def test_the_internet_reaches_the_load_balancer_and_the_cluster_for_named_networks_only(
    prod: Exposure,
) -> None:
    entrances = {name_of(e.target): e for e in prod.edges if e.source == INTERNET}
    assert set(entrances) == {"cluster-cluster", "traefik-release"}
    assert entrances["cluster-cluster"].origins == ("198.51.100.0/24",)
    assert entrances["traefik-release"].by == "80/tcp, 443/tcp"
    assert prod.open_but_unreachable == ()


def test_hosts_lead_through_the_ingress_to_the_agents_pods(prod: Exposure) -> None:
    deployment = plan_of("prod").named("support-workload-deployment")
    [path] = prod.paths_to(deployment.urn)
    assert [name_of(edge.target) for edge in path] == [
        "traefik-release",
        "support-ingress-ingress",
        "support-workload-deployment",
    ]
    assert path[1].by == "https://support.agents.example.com"
    assert path[2].why == ("Service support-workload-service", "NetworkPolicy support-server")


def test_each_store_is_reached_by_the_workloads_that_need_it(prod: Exposure) -> None:
    agents = {"support", "research"}
    assert _to(prod, "cache-group") == {f"{agent}-workload-deployment" for agent in agents}
    assert _to(prod, "database-instance") == {
        f"{agent}-{what}"
        for agent in agents
        for what in ("workload-deployment", "migration-job", "retention-cron-job")
    }


def test_each_secret_is_read_by_its_own_agent_and_the_administrators_by_migrations_alone(
    prod: Exposure,
) -> None:
    reads = _ends(prod.of(Relation.READS))
    assert {account for account, secret in reads if secret == "database-admin-entry"} == {
        "support-migration-service-account",
        "research-migration-service-account",
    }
    for account, secret in reads:
        if secret != "database-admin-entry":
            assert account.split("-")[0] in secret
    [edge] = [e for e in prod.of(Relation.READS) if name_of(e.target) == "support-openai-api-key-entry"]
    assert edge.why == (
        "Pod Identity gives langgraph-agents/support the role support-identity-role",
        "policy support-identity-policy allows secretsmanager:GetSecretValue",
        "policy support-identity-policy allows kms:Decrypt",
    )


def test_without_the_security_group_rule_nobody_reaches_the_store() -> None:
    found = _changed("database-from-clients", lambda i: i.update(referencedSecurityGroupId="sg-other"))
    assert _to(found, "database-instance") == set()


def test_a_rule_by_address_lets_the_pods_subnets_in() -> None:
    def by_address(inputs: dict[str, Any]) -> None:
        inputs["referencedSecurityGroupId"] = None
        inputs["cidrIpv4"] = "10.20.0.0/16"

    assert "support-workload-deployment" in _to(
        _changed("database-from-clients", by_address), "database-instance"
    )


def test_a_policy_on_another_port_cuts_the_agent_off() -> None:
    def cut(inputs: dict[str, Any]) -> None:
        for rule in inputs["spec"]["egress"]:
            for port in rule["ports"]:
                port["port"] = 1 if port["port"] == 6379 else port["port"]

    found = _changed("support-network-server", cut)
    assert _to(found, "cache-group") == set()
    assert "support-workload-deployment" in _to(found, "database-instance")


def test_a_policy_without_the_ingress_controller_takes_the_agent_off_the_internet() -> None:
    found = _changed("support-network-server", lambda i: i["spec"].update(ingress=[]))
    assert "support-ingress-ingress" not in _to(found, "support-workload-deployment")


def test_without_leave_for_the_key_a_secret_cannot_be_read() -> None:
    found = _changed(
        "support-identity-policy",
        lambda i: i.update(policy=i["policy"].replace("kms:Decrypt", "kms:Encrypt")),
    )
    assert _to(found, "support-api-keys-entry") == set()


def test_a_condition_on_another_secret_keeps_the_key_from_this_one() -> None:
    def only_for_another(inputs: dict[str, Any]) -> None:
        statements, condition, rest = inputs["policy"].partition("kms:EncryptionContext:SecretARN")
        inputs["policy"] = statements + condition + rest.replace("API_KEYS", "ANOTHER")

    assert _to(_changed("support-identity-policy", only_for_another), "support-api-keys-entry") == set()


def test_an_explicit_denial_goes_before_every_permission() -> None:
    def deny(inputs: dict[str, Any]) -> None:
        denial = '{"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"}, '
        inputs["policy"] = inputs["policy"].replace('"Statement": [', f'"Statement": [{denial}')

    assert _to(_changed("support-identity-policy", deny), "support-api-keys-entry") == set()


def test_a_wildcard_reads_every_secret_that_it_matches() -> None:
    def everything(inputs: dict[str, Any]) -> None:
        inputs["policy"] = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'

    reads = _ends(_changed("cluster-encryption", everything).of(Relation.READS))
    assert {("cluster-role", "database-admin-entry"), ("cluster-role", "support-api-keys-entry")} <= reads


def test_a_cluster_endpoint_open_to_all_has_no_origins() -> None:
    found = _changed("cluster-cluster", lambda i: i["vpcConfig"].update(publicAccessCidrs=["0.0.0.0/0"]))
    [edge] = [e for e in found.edges if e.source == INTERNET and name_of(e.target) == "cluster-cluster"]
    assert edge.origins == ()


def test_a_public_database_is_reached_only_where_a_route_leads_to_it() -> None:
    plan = project_plan("dev")
    rule = plan.named("database-from-clients")
    opened = replace(rule, inputs={**rule.inputs, "referencedSecurityGroupId": None, "cidrIpv4": "0.0.0.0/0"})
    plan = replace(plan, resources={**plan.resources, rule.urn: opened})
    closed_in = _changed("database-instance", lambda i: i.update(publiclyAccessible=True), plan)
    assert INTERNET not in _to(closed_in, "database-instance")
    assert "no route into its subnets" in closed_in.open_but_unreachable[0]

    public = [plan.named(f"network-public-{zone}").id for zone in (1, 2)]
    group = plan.named("database-subnets")
    moved = replace(group, inputs={**group.inputs, "subnetIds": public})
    plan = replace(plan, resources={**plan.resources, group.urn: moved})
    assert INTERNET in _to(
        _changed("database-instance", lambda i: i.update(publiclyAccessible=True), plan), "database-instance"
    )


def test_a_service_of_type_load_balancer_is_an_entrance() -> None:
    found = _changed("support-workload-service", lambda i: i["spec"].update(type="LoadBalancer"))
    assert INTERNET in _to(found, "support-workload-service")


@pytest.mark.parametrize(
    ("operator", "values", "selected"),
    [("In", ["a"], True), ("NotIn", ["a"], False), ("Exists", None, True), ("DoesNotExist", None, False)],
)
def test_selectors_by_expression(operator: str, values: list[str] | None, selected: bool) -> None:
    selector = {"matchExpressions": [{"key": "k", "operator": operator, "values": values}]}
    assert selects(selector, {"k": "a"}) is selected


def test_an_index_of_selectors_finds_what_trying_all_of_them_finds() -> None:
    selectors: list[dict[str, Any]] = [
        {},
        {"matchLabels": {"a": "1"}},
        {"matchLabels": {"a": "1", "b": "2"}},
        {"matchLabels": {"b": "3"}},
        {"matchExpressions": [{"key": "c", "operator": "Exists"}]},
    ]
    index = Selecting(selectors, lambda selector: selector)
    for labels in ({}, {"a": "1"}, {"a": "1", "b": "2"}, {"b": "3", "c": ""}):
        assert index.of(labels) == [s for s in selectors if selects(s, labels)]
