"""A stack whose agents reach PostgreSQL by RDS Proxy: `database.pooler: rds-proxy`."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.pooling.amazon_roots import amazon_roots
from components.stores.max_connections import max_connections
from policies.checking import check
from preview.exposure import Relation, exposure
from preview.recording.plan import Plan
from preview.recording.program import make_plan
from preview.recording.recorder import Recording
from stacks.connections import POOLED_MAINTENANCE, RESERVED, least_proxied, proxy_percent
from tests.components.reading import is_secret
from tests.conftest import record_with
from tests.preview.projects import ROOT, project
from tests.stacks.stack_files import changed
from tests.stacks.test_existing_stores import mounted, on_theirs, uri
from tests.stacks.test_pooler import many, refused


@pytest.fixture(scope="module")
def proxied() -> Recording:
    return record_with("prod", changed("prod", "database.pooler", "rds-proxy"))


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = project(
        tmp_path_factory.mktemp("proxied"),
        "prod",
        lambda settings: settings["database"].update(pooler="rds-proxy"),
    )
    (folder / "components").symlink_to(ROOT / "components")
    return make_plan("prod", folder)


def test_servers_connect_to_it_and_migrations_to_postgresql_itself(proxied: Recording) -> None:
    by_arn = {
        found.outputs["arn"]: found.name
        for found in proxied.resources.values()
        if found.type.endswith("secret:Secret")
    }
    server = by_arn[mounted(proxied, "support")["DATABASE_URI"]]
    migration = by_arn[mounted(proxied, "support-migrate")["DATABASE_URI"]]
    through = urlsplit(uri(proxied, server.replace("-entry", "-version")))
    itself = urlsplit(uri(proxied, migration.replace("-entry", "-version")))
    assert through.hostname == proxied.named("rds-proxy-proxy").outputs["endpoint"]
    assert itself.hostname == proxied.named("database-instance").outputs["address"]
    assert (through.port, through.username, through.password, through.path) == (
        5432,
        itself.username,
        itself.password,
        itself.path,
    )
    assert parse_qs(through.query)["sslmode"] == ["verify-full"]


def test_pods_trust_who_signs_for_it_besides_rds(proxied: Recording) -> None:
    of_proxy = proxied.named("rds-proxy-certificates").inputs
    assert of_proxy["data"] == {"amazon-roots.pem": amazon_roots()}
    server = proxied.named("support-workload-deployment").inputs["spec"]["template"]["spec"]
    retention = proxied.named("support-retention-cron-job").inputs["spec"]["jobTemplate"]["spec"]["template"]
    for pod in (server, retention["spec"]):
        (volume,) = [each for each in pod["volumes"] if each["name"] == "certificates"]
        assert volume["projected"]["sources"] == [
            {"configMap": {"name": "database-certificates"}},
            {"configMap": {"name": "rds-proxy-certificates"}},
        ]
    (entry,) = parse_qs(urlsplit(uri(proxied, "support-database-pooled-uri-version")).query)["sslrootcert"]
    assert entry == "/etc/langgraph-agents/amazon-roots.pem"


def test_it_knows_each_agent_s_login_by_an_entry_of_its_own(proxied: Recording) -> None:
    for agent in ("support", "research"):
        value = proxied.named(f"rds-proxy-{agent}-login-version").inputs["secretString"]
        assert is_secret(value)
        itself = urlsplit(uri(proxied, f"{agent}-database-uri-version"))
        assert json.loads(value.value) == {"username": itself.username, "password": itself.password}


def test_servers_do_not_do_what_would_keep_a_connection_for_them(proxied: Recording) -> None:
    told = proxied.named("support-workload-config").inputs["data"]
    assert told["DATABASE_PREPARED_STATEMENTS"] == "never"
    assert told["DATABASE_RELAXED_COMMITS"] == "false"


def test_pods_of_the_cluster_run_nothing_for_it(proxied: Recording, prod: Recording) -> None:
    def of_kubernetes(recording: Recording) -> set[str]:
        return {r.name for r in recording.resources.values() if r.type.startswith("kubernetes:")}

    assert of_kubernetes(proxied) == {*of_kubernetes(prod), "rds-proxy-certificates"}


def test_all_policies_hold_with_it(plan: Plan) -> None:
    assert check(plan) == []


def test_the_preview_sees_the_way_from_pods_by_it_to_the_database(plan: Plan) -> None:
    found = exposure(plan)
    (proxy,), (database,) = (
        plan.of_type("aws:rds/proxy:Proxy"),
        plan.of_type("aws:rds/instance:Instance"),
    )
    into = {plan.resources[edge.source].name for edge in found.into(proxy.urn)}
    assert {"support-workload-deployment", "research-workload-deployment"} <= into
    assert [edge.target for edge in found.out_of(proxy.urn)] == [database.urn]
    (role,) = [r for r in plan.of_type("aws:iam/role:Role") if r.name == "rds-proxy-role"]
    assert {
        plan.resources[edge.target].name for edge in found.out_of(role.urn) if edge.relation is Relation.READS
    } == {"rds-proxy-support-login-entry", "rds-proxy-research-login-entry"}


@given(
    st.integers(1, 200),
    st.sampled_from(["db.t4g.medium", "db.t4g.large", "db.m7g.large", "db.r7g.4xlarge"]),
)
def test_what_it_may_open_is_one_for_each_agent_at_least_and_leaves_room_for_migrations(
    agents: int, instance_class: str
) -> None:
    limit = max_connections(instance_class)
    if least_proxied(agents) > limit:
        return
    its = proxy_percent(agents, limit) * limit // 100
    assert agents <= its
    assert its + POOLED_MAINTENANCE * agents + RESERVED <= limit


def test_more_agents_than_there_are_connections_for_are_refused_with_the_numbers() -> None:
    fitting = next(n for n in range(200, 0, -1) if least_proxied(n) <= max_connections("db.t4g.medium"))
    assert fitting > 180
    record_with("dev", many(2, pooler="rds-proxy"))
    message = refused(many(fitting + 1, pooler="rds-proxy"))
    assert f"{fitting + 1} agents need {least_proxied(fitting + 1)} at least: 2 for an agent" in message
    assert "Take db.t4g.large or a larger class" in message


def test_agents_beyond_its_two_hundred_logins_are_refused_by_name_with_the_remedy() -> None:
    message = refused(many(202, pooler="rds-proxy", instanceClass="db.m7g.2xlarge"))
    assert "takes the logins of 200 agents, and there are 202: agent-200, agent-201 would have none" in (
        " ".join(message.split())
    )
    assert "pgbouncer, which takes any number" in " ".join(message.split())


def test_a_database_that_is_there_is_refused_with_the_remedy() -> None:
    settings = on_theirs("dev")
    settings["database"]["pooler"] = "rds-proxy"
    message = " ".join(refused(settings).split())
    assert "existing is there, and pooler rds-proxy wants an instance that the stack makes" in message
    assert "Set pooler to pgbouncer" in message


def test_a_platform_for_others_is_refused_with_the_remedy() -> None:
    settings: dict[str, Any] = {**changed("dev", "database.pooler", "rds-proxy"), "agents": []}
    message = " ".join(refused(settings).split())
    assert "this is a platform for those of others: set it to pgbouncer" in message


def test_nothing_of_it_is_there_unless_asked_for(dev: Recording, prod: Recording) -> None:
    for recording in (dev, prod):
        assert not [r.name for r in recording.resources.values() if "rds-proxy" in r.name]
        assert "DATABASE_RELAXED_COMMITS" not in recording.named("support-workload-config").inputs["data"]
