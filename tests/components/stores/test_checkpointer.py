"""The PostgreSQL instance, and an agent's database on it."""

import re
from collections.abc import Callable
from typing import Any

import pulumi_aws as aws
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.stores.agent_database import AgentDatabase, AgentDatabaseArgs
from components.stores.checkpointer import Checkpointer, CheckpointerArgs
from components.stores.database_uri import database_uri
from components.stores.max_connections import MEMORY_GIB, max_connections
from components.stores.rds_ca import rds_ca
from preview.recording.recorder import Recording
from tests.components.reading import is_secret, protected, waits_for

Record = Callable[..., Recording]


def args(**changes: Any) -> CheckpointerArgs:
    return CheckpointerArgs(
        **{
            "identifier": "agents",
            "engine_version": "17",
            "instance_class": "db.m7g.large",
            "allocated_storage_gib": 100,
            "max_allocated_storage_gib": 500,
            "multi_az": True,
            "deletion_protection": True,
            "backup_retention_days": 14,
            "vpc_id": "vpc-1",
            "subnet_ids": ["subnet-1", "subnet-2"],
            "client_security_group_id": "sg-pods",
            "secrets_kms_key_arn": "arn:aws:kms:eu-central-1:123456789012:key/secrets",
            "admin_secret_name": "langgraph-agents/prod/database/admin",
            "recovery_window_days": 30,
            "performance_insights": True,
            "log_retention_days": 90,
            "logs_kms_key_arn": "arn:aws:kms:eu-central-1:123456789012:key/logs",
            "protect": False,
            **changes,
        }
    )


def instance(record_resources: Record, **changes: Any) -> dict[str, Any]:
    made = record_resources(lambda: Checkpointer("db", args(**changes)))
    return dict(made.named("db-instance").inputs)


def parameters(record_resources: Record, **changes: Any) -> dict[str, str]:
    group = record_resources(lambda: Checkpointer("db", args(**changes))).named("db-parameters")
    return {parameter["name"]: parameter["value"] for parameter in group.inputs["parameters"]}


def test_only_the_cluster_s_pods_reach_it(record_resources: Record) -> None:
    made = record_resources(lambda: Checkpointer("db", args()))
    [rule] = made.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert rule.inputs["referencedSecurityGroupId"] == "sg-pods"
    assert rule.inputs["fromPort"] == rule.inputs["toPort"] == 5432
    assert "cidrIpv4" not in rule.inputs
    group = made.named("db-security-group")
    assert not group.inputs.get("egress")
    database = made.named("db-instance").inputs
    assert database["vpcSecurityGroupIds"] == [group.id]
    assert database["publiclyAccessible"] is False


def test_connections_without_tls_are_refused(record_resources: Record) -> None:
    assert parameters(record_resources)["rds.force_ssl"] == "1"


def test_data_backups_and_figures_are_encrypted_under_its_own_key(record_resources: Record) -> None:
    made = record_resources(lambda: Checkpointer("db", args()))
    key = made.named("db-key").outputs["arn"]
    database = made.named("db-instance").inputs
    assert database["storageEncrypted"]
    assert database["kmsKeyId"] == database["performanceInsightsKmsKeyId"] == key


def test_it_accepts_as_many_connections_as_the_settings_reckon_with(record_resources: Record) -> None:
    assert parameters(record_resources)["max_connections"] == str(max_connections("db.m7g.large"))
    assert parameters(record_resources, max_connections=321)["max_connections"] == "321"


def test_passwords_are_secret_wherever_they_are(record_resources: Record) -> None:
    made = record_resources(lambda: Checkpointer("db", args()))
    assert is_secret(made.named("db-instance").inputs["password"])
    uri = made.named("db-admin-version").inputs["secretString"]
    assert is_secret(uri)
    assert re.fullmatch(
        r"postgresql://langgraph_admin:[A-Za-z0-9]{32}@agents\.\S+\.rds\.amazonaws\.com:5432/postgres"
        r"\?sslmode=verify-full&sslrootcert=/etc/langgraph-agents/rds-ca\.pem",
        uri.value,
    )


def test_a_uri_is_secret_even_of_a_password_that_nobody_marked(record_resources: Record) -> None:
    def make() -> None:
        uri = database_uri(username="a", password="b", address="db", port=5432, database="c")
        aws.ec2.Eip("shown", tags={"uri": uri})

    shown = record_resources(make).named("shown").inputs["tags"]
    assert is_secret(shown) or is_secret(shown["uri"])


def test_a_major_keeps_its_minors_up_to_date_and_an_exact_version_stays(record_resources: Record) -> None:
    assert instance(record_resources, engine_version="17")["autoMinorVersionUpgrade"]
    assert not instance(record_resources, engine_version="17.6")["autoMinorVersionUpgrade"]


def test_a_major_upgrade_gets_a_parameter_group_beside_the_old_one(record_resources: Record) -> None:
    names = {
        record_resources(lambda version=version: Checkpointer("db", args(engine_version=version)))
        .named("db-parameters")
        .inputs["name"]
        for version in ("17", "18")
    }
    assert names == {"agents-postgres17", "agents-postgres18"}


def test_only_a_major_upgrade_does_not_wait_for_the_maintenance_window(record_resources: Record) -> None:
    """RDS deletes no parameter group that an instance uses, and the old one goes in the same deployment."""
    assert not instance(record_resources)["applyImmediately"]
    assert instance(record_resources, allow_major_version_upgrade=True)["applyImmediately"]


def test_a_protected_instance_leaves_a_snapshot_under_a_name_that_no_other_takes(
    record_resources: Record,
) -> None:
    kept = instance(record_resources, protect=True)
    assert re.fullmatch("agents-final-[0-9a-f]{8}", kept["finalSnapshotIdentifier"])
    assert kept["skipFinalSnapshot"] is False
    assert kept["deleteAutomatedBackups"] is False
    assert instance(record_resources)["skipFinalSnapshot"] is True


def test_protection_covers_instance_key_and_secret(record_resources: Record) -> None:
    made = record_resources(lambda: Checkpointer("db", args(protect=True)))
    assert protected(made) == {"db-instance", "db-key", "db-admin-entry"}


def test_its_logs_are_kept_encrypted_and_for_a_time(record_resources: Record) -> None:
    made = record_resources(lambda: Checkpointer("db", args()))
    groups = {group.name: group.inputs for group in made.of_type("aws:cloudwatch/logGroup:LogGroup")}
    assert groups.keys() == {"db-postgresql-logs", "db-upgrade-logs"}
    assert all(group["retentionInDays"] == 90 and group["kmsKeyId"] for group in groups.values())
    assert waits_for(made, made.named("db-instance")) >= groups.keys()


def test_monitoring_brings_its_role_and_none_is_made_without(record_resources: Record) -> None:
    made = record_resources(lambda: Checkpointer("db", args(monitoring_interval_seconds=60)))
    role = made.named("db-monitoring-role").outputs["arn"]
    assert made.named("db-instance").inputs["monitoringRoleArn"] == role
    assert not record_resources(lambda: Checkpointer("db", args())).of_type("aws:iam/role:Role")


def test_settings_reach_the_instance(record_resources: Record) -> None:
    found = instance(record_resources, multi_az=False, deletion_protection=False, backup_retention_days=3)
    assert (found["multiAz"], found["deletionProtection"], found["backupRetentionPeriod"]) == (
        False,
        False,
        3,
    )
    assert (found["storageType"], found["allocatedStorage"], found["maxAllocatedStorage"]) == (
        "gp3",
        100,
        500,
    )
    assert found["copyTagsToSnapshot"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"identifier": "Agents"}, "identifier is 'Agents': use 1 to 63 lower-case"),
        ({"identifier": "a--b"}, "identifier is 'a--b'"),
        ({"identifier": "a" * 64}, "identifier is 'a{64}'"),
        ({"engine_version": "16"}, r"engine_version is '16': use a PostgreSQL major \(17 or 18\)"),
        ({"instance_class": "db.x9.huge"}, r"instance_class is 'db.x9.huge': use one of db\.t3\.\(micro"),
        ({"allocated_storage_gib": 10}, "allocated_storage_gib is 10: use at least 20"),
        ({"max_allocated_storage_gib": 105}, "max_allocated_storage_gib is 105: RDS wants it a tenth above"),
        ({"backup_retention_days": 0}, "backup_retention_days is 0: use 1 to 35"),
        ({"monitoring_interval_seconds": 7}, "monitoring_interval_seconds is 7: use 1, 5"),
    ],
)
def test_what_rds_would_refuse_is_refused_with_a_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        args(**changes)


@given(classes=st.tuples(st.sampled_from(sorted(MEMORY_GIB)), st.sampled_from(sorted(MEMORY_GIB))))
def test_more_memory_never_takes_fewer_connections(classes: tuple[str, str]) -> None:
    smaller, larger = sorted(classes, key=MEMORY_GIB.__getitem__)
    assert max_connections(smaller) <= max_connections(larger)


@pytest.mark.parametrize("instance_class", sorted(MEMORY_GIB))
def test_rds_s_own_formula_is_never_exceeded(instance_class: str) -> None:
    assert 50 < max_connections(instance_class) <= min(MEMORY_GIB[instance_class] * 1024**3 // 9531392, 5000)


def test_a_region_s_roots_are_its_own_and_complete() -> None:
    bundle = rds_ca("eu-central-1")
    assert bundle.count("BEGIN CERTIFICATE") == 3
    assert re.findall(r"# Amazon RDS (\S+) Root CA (\S+) G1", bundle) == [
        ("eu-central-1", kind) for kind in ("RSA2048", "RSA4096", "ECC384")
    ]


def test_a_region_without_roots_is_refused_with_a_remedy() -> None:
    with pytest.raises(
        ValueError, match=r"region is 'moon-1': .*eu-central-1.*components/stores/rds_ca/README.md"
    ):
        rds_ca("moon-1")


def database_args(**changes: Any) -> AgentDatabaseArgs:
    return AgentDatabaseArgs(
        **{
            "database": "support",
            "username": "support",
            "address": "db.example",
            "port": 5432,
            "secret_name": "langgraph-agents/prod/support/database",
            "secrets_kms_key_arn": "arn:aws:kms:eu-central-1:123456789012:key/secrets",
            "recovery_window_days": 30,
            "protect": False,
            **changes,
        }
    )


def test_an_agent_gets_a_login_to_its_own_database(record_resources: Record) -> None:
    made = record_resources(lambda: AgentDatabase("support", database_args()))
    entry, version = made.named("support-uri-entry"), made.named("support-uri-version")
    assert entry.inputs["name"] == "langgraph-agents/prod/support/database"
    assert is_secret(version.inputs["secretString"])
    assert re.fullmatch(
        r"postgresql://support:[A-Za-z0-9]{32}@db\.example:5432/support\?sslmode=verify-full\S+",
        version.inputs["secretString"].value,
    )


@pytest.mark.parametrize("name", ["my-agent", "1st", "Agent", "a" * 64, 'x"; drop'])
def test_an_identifier_that_would_need_quotes_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="database is"):
        database_args(database=name)
    with pytest.raises(ValueError, match="username is"):
        database_args(username=name)
