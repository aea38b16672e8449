"""A stack whose agents reach PostgreSQL by PgBouncer: `database.pooler`."""

import copy
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.stores.max_connections import max_connections
from policies.checking import check
from preview.recording.program import make_plan
from preview.recording.recorder import Recording
from stacks.agent_settings import Agent
from stacks.connections import POOLED_MAINTENANCE, POOLERS, RESERVED, clients, least_pooled, pool_sizes
from stacks.loading import SettingsError, load
from stacks.quota import quota
from tests.components.reading import closure, is_secret, statements
from tests.conftest import record_with
from tests.preview.projects import ROOT, project
from tests.stacks.stack_files import changed, settings_of
from tests.stacks.test_existing_stores import mounted, on_theirs, uri


@pytest.fixture(scope="module")
def pooled() -> Recording:
    return record_with("prod", changed("prod", "database.pooler", "pgbouncer"))


def many(agents: int, **database: Any) -> dict[str, Any]:
    """A dev stack with so many agents of default size."""
    settings = copy.deepcopy(settings_of("dev"))
    settings["database"].update(database)
    settings["agents"] = [
        {"name": f"agent-{number}", "host": f"agent-{number}.dev.agents.example.com"}
        for number in range(agents)
    ]
    return settings


def refused(settings: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as error:
        load(settings, stack="dev", region="eu-central-1")
    return str(error.value)


def test_its_pods_say_which_processor_its_image_is_built_for(pooled: Recording) -> None:
    (deployment,) = (
        found
        for found in pooled.of_type("kubernetes:apps/v1:Deployment")
        if found.inputs["metadata"]["name"] == "pgbouncer"
    )
    pod = deployment.inputs["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "amd64"}


def test_servers_start_when_pgbouncer_answers_and_pgbouncer_when_its_certificate_is_signed(
    pooled: Recording,
) -> None:
    """The engine works on a few resources at once: servers that cannot start before it would take all places."""
    service, pgbouncer = (pooled.named(f"pgbouncer-{part}") for part in ("service", "deployment"))
    servers = [each for each in pooled.of_type("kubernetes:apps/v1:Deployment") if each != pgbouncer]
    assert servers
    for server in servers:
        assert service.urn in closure(pooled, server)
    signers = [
        each.urn
        for each in pooled.resources.values()
        if each.type in {"kubernetes:cert-manager.io/v1:Issuer", "kubernetes:cert-manager.io/v1:Certificate"}
    ]
    assert len(signers) == 4
    assert closure(pooled, pgbouncer) >= set(signers)


def test_servers_connect_to_pgbouncer_and_migrations_to_postgresql_itself(pooled: Recording) -> None:
    entries = {urn: found for urn, found in pooled.resources.items() if found.type.endswith("secret:Secret")}
    by_arn = {found.outputs["arn"]: found.name for found in entries.values()}
    server = by_arn[mounted(pooled, "support")["DATABASE_URI"]]
    migration = by_arn[mounted(pooled, "support-migrate")["DATABASE_URI"]]
    through = urlsplit(uri(pooled, server.replace("-entry", "-version")))
    itself = urlsplit(uri(pooled, migration.replace("-entry", "-version")))
    assert (through.hostname, through.port) == ("pgbouncer.langgraph-agents.svc", 6432)
    assert itself.port == 5432
    assert (through.username, through.password, through.path) == (
        itself.username,
        itself.password,
        itself.path,
    )
    assert parse_qs(through.query) == {
        "sslmode": ["verify-full"],
        "sslrootcert": ["/etc/langgraph-agents/pgbouncer-ca.pem"],
    }


def test_pods_that_connect_by_it_trust_its_authority_and_never_see_its_key(pooled: Recording) -> None:
    server = pooled.named("support-workload-deployment").inputs["spec"]["template"]["spec"]
    retention = pooled.named("support-retention-cron-job").inputs["spec"]["jobTemplate"]["spec"]["template"]
    for pod in (server, retention["spec"]):
        (volume,) = [each for each in pod["volumes"] if each["name"] == "certificates"]
        of_rds, of_pgbouncer = volume["projected"]["sources"]
        assert of_rds["configMap"]["name"] == "database-certificates"
        assert of_pgbouncer["secret"] == {
            "name": "pgbouncer-tls",
            "items": [{"key": "ca.crt", "path": "pgbouncer-ca.pem"}],
        }


def test_it_knows_every_login_by_one_secret_that_it_alone_may_read(pooled: Recording) -> None:
    value = pooled.named("pooler-logins-version").inputs["secretString"]
    assert is_secret(value)
    logins = dict(line.replace('"', "").split(" ") for line in value.value.splitlines())
    assert logins == {
        name: urlsplit(uri(pooled, f"{name}-database-uri-version")).password
        for name in ("research", "support")
    }
    arn = pooled.named("pooler-logins-entry").outputs["arn"]
    readers = [
        role.name
        for role in pooled.resources.values()
        if role.type == "aws:iam/rolePolicy:RolePolicy"
        and any(
            arn in statement["Resource"] and "secretsmanager:GetSecretValue" in statement["Action"]
            for statement in statements(role)
        )
    ]
    assert readers == ["pgbouncer-identity-policy"]
    plain = json.dumps(pooled.named("pgbouncer-config").inputs)
    assert not any(password in plain for password in logins.values())


def test_agents_may_connect_to_it_and_it_to_the_database(pooled: Recording) -> None:
    for agent in ("support", "research"):
        for part in ("server", "maintenance"):
            egress = pooled.named(f"{agent}-network-{part}").inputs["spec"]["egress"]
            (rule,) = [each for each in egress if each["ports"] == [{"port": 6432, "protocol": "TCP"}]]
            assert rule["to"] == [
                {
                    "podSelector": {
                        "matchLabels": {
                            "app.kubernetes.io/name": "pgbouncer",
                            "app.kubernetes.io/component": "pooler",
                        }
                    }
                }
            ]


def test_all_policies_hold_with_it(tmp_path: Path) -> None:
    folder = project(tmp_path, "prod", lambda settings: settings["database"].update(pooler="pgbouncer"))
    (folder / "components").symlink_to(ROOT / "components")
    plan = make_plan("prod", folder)
    assert check(plan) == []


def test_nothing_of_it_is_there_unless_asked_for(dev: Recording, prod: Recording) -> None:
    for recording in (dev, prod):
        assert not [r.name for r in recording.resources.values() if "pgbouncer" in r.name or "pool" in r.name]


def test_the_namespace_has_room_for_it() -> None:
    agents = [Agent.model_validate({"name": "support", "host": "support.example.com"})]
    without = quota(agents, certificate_solvers=False, pooled=False)
    with_it = quota(agents, certificate_solvers=False, pooled=True)
    assert int(with_it["pods"]) - int(without["pods"]) == POOLERS + 1


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(2, 100)), min_size=1, max_size=60),
    st.sampled_from(["db.t4g.medium", "db.m7g.large", "db.r7g.4xlarge"]),
)
def test_what_its_pods_and_the_migrations_open_is_what_postgresql_takes(
    sizes: list[tuple[int, int]], instance_class: str
) -> None:
    agents = [
        Agent.model_validate(
            {
                "name": f"agent-{number}",
                "host": f"agent-{number}.example.com",
                "replicas": {"max": replicas},
                "pool": {"maxSize": pool},
            }
        )
        for number, (replicas, pool) in enumerate(sizes)
    ]
    limit = max_connections(instance_class)
    assert least_pooled(len(agents)) <= limit
    shares = pool_sizes(agents, limit)
    assert POOLERS * sum(shares.values()) + POOLED_MAINTENANCE * len(agents) + RESERVED <= limit
    for agent in agents:
        assert 1 <= shares[agent.name] <= clients(agent)


def test_where_connections_do_not_suffice_the_remedy_is_named_and_is_one() -> None:
    message = refused(many(60))
    assert "set database.pooler: pgbouncer" in message.replace("Set", "set")
    load(many(60, pooler="pgbouncer"), stack="dev", region="eu-central-1")


def test_more_agents_than_it_has_connections_for_are_refused_with_the_numbers() -> None:
    limit = max_connections("db.t4g.medium")
    fitting = (limit - RESERVED) // 3
    load(many(fitting, pooler="pgbouncer"), stack="dev", region="eu-central-1")
    message = refused(many(fitting + 1, pooler="pgbouncer"))
    assert f"allows about {limit} connections, and {fitting + 1} agents need" in message
    assert "Take db.t4g.large or a larger class" in message


def test_an_agent_may_not_be_called_like_it() -> None:
    settings = many(1, pooler="pgbouncer")
    settings["agents"][0]["name"] = "pgbouncer"
    assert "is that of database.pooler: choose another name" in refused(settings)
    del settings["database"]["pooler"]
    load(settings, stack="dev", region="eu-central-1")


def test_it_goes_with_a_database_that_is_there() -> None:
    settings = on_theirs("dev")
    settings["database"]["pooler"] = "pgbouncer"
    recording = record_with("dev", settings)
    assert recording.named("pgbouncer-deployment").inputs["spec"]["replicas"] == POOLERS


def test_a_platform_tells_the_stacks_on_it_that_they_have_one() -> None:
    settings = {**changed("dev", "database.pooler", "pgbouncer"), "agents": []}
    outputs = record_with("dev", settings).outputs
    assert outputs["existing"]["database"]["pooler"] == "pgbouncer"
