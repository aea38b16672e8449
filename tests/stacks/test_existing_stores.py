"""A stack on a database and a cache that somebody else made: `database.existing` and `cache.existing`."""

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest

from preview.recording.recorder import Recording
from sandbox import emulated
from sandbox.emulated.lookups import LOOKUPS
from stacks.loading import SettingsError, load
from tests.components.reading import is_secret
from tests.conftest import record_with
from tests.stacks.stack_files import settings_of
from tests.stacks.test_existing_network import EXISTING

ADMIN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shared-admin-Ab12Cd"
DATABASE = {"identifier": "shared", "adminSecretArn": ADMIN, "securityGroupId": "sg-0000000a"}
CACHE = {"replicationGroupId": "shared", "userGroupId": "shared-users", "securityGroupId": "sg-0000000b"}
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"


def on_theirs(stack: str = "dev", **changed: Any) -> dict[str, Any]:
    settings = copy.deepcopy(settings_of(stack))
    settings["network"] = {"existing": dict(EXISTING)}
    settings["database"] = {"instanceClass": "db.t4g.medium", "existing": dict(DATABASE)}
    settings["cache"] = {"existing": dict(CACHE)}
    return {**settings, **changed}


def refused(settings: Mapping[str, Any], region: str = "eu-central-1") -> str:
    with pytest.raises(SettingsError) as error:
        load(settings, stack="dev", region=region)
    return str(error.value)


def uri(recording: Recording, name: str) -> str:
    """The value of an entry of Secrets Manager, which the plan has as a secret."""
    value = recording.named(name).inputs["secretString"]
    assert is_secret(value)
    return str(value.value)


def mounted(recording: Recording, service_account: str) -> dict[str, str]:
    """ARNs by the file that pods of a service account see them as."""
    objects = recording.named(f"{service_account}-secrets-class").inputs["spec"]["parameters"]["objects"]
    return {entry["objectAlias"]: entry["objectName"] for entry in json.loads(objects)}


def test_of_stores_that_are_there_only_logins_and_rules_are_made() -> None:
    recording = record_with("dev", on_theirs())
    made = [
        resource.type.split("/")[-1]
        for resource in recording.resources.values()
        if resource.type.startswith(("aws:rds/", "aws:elasticache/"))
    ]
    assert sorted(made) == ["user:User", "userGroupAssociation:UserGroupAssociation"]
    rules = {rule.inputs["securityGroupId"]: rule.inputs for rule in recording.of_type(RULE)}
    assert rules["sg-0000000a"]["fromPort"] == rules["sg-0000000a"]["toPort"] == 5432
    assert rules["sg-0000000b"]["fromPort"] == rules["sg-0000000b"]["toPort"] == 6379
    pods = recording.named("cluster-workloads").id
    assert {rule["referencedSecurityGroupId"] for rule in rules.values()} >= {pods}


def test_agents_get_databases_and_logins_of_their_own_there() -> None:
    recording = record_with("dev", on_theirs())
    assert "@shared.c0ffee000000.eu-central-1.rds.amazonaws.com:5432/support?" in uri(
        recording, "support-database-uri-version"
    )
    assert uri(recording, "cache-support-version").endswith(
        "@master.shared.c0ffee.euc1.cache.amazonaws.com:6379/0"
    )
    joined = recording.named("cache-support-joins").inputs
    assert joined == {
        "userGroupId": "shared-users",
        "userId": recording.named("cache-support-user").inputs["userId"],
    }
    assert recording.named("cache-support-user").inputs["accessString"].startswith("on ~support:*")
    # Who reads the login's entry may log in.
    entry = recording.named("cache-support-version")
    assert recording.named("cache-support-joins").urn in entry.dependencies


def test_only_the_migration_reads_the_administrator_s_entry() -> None:
    recording = record_with("dev", on_theirs())
    assert mounted(recording, "support-migrate")["DATABASE_ADMIN_URI"] == ADMIN
    assert ADMIN not in mounted(recording, "support").values()
    readers = [
        resource.name
        for resource in recording.of_type("aws:iam/rolePolicy:RolePolicy")
        if ADMIN in str(resource.inputs["policy"])
    ]
    assert readers == ["support-migrate-identity-policy"]


def test_production_takes_stores_as_they_are() -> None:
    load(
        on_theirs("prod", database={"instanceClass": "db.m7g.large", "existing": DATABASE}),
        stack="prod",
        region="eu-central-1",
    )


@pytest.mark.parametrize(
    ("token", "answer", "words"),
    [
        ("aws:rds/getInstance:getInstance", {"engine": "mysql"}, "an instance of mysql"),
        ("aws:rds/getInstance:getInstance", {"port": 5433}, "listens on 5433"),
        (
            "aws:elasticache/getReplicationGroup:getReplicationGroup",
            {"clusterMode": "enabled"},
            "in cluster mode",
        ),
        ("aws:elasticache/getReplicationGroup:getReplicationGroup", {"port": 6380}, "listens on 6380"),
    ],
)
def test_stores_that_agents_cannot_use_are_refused(
    monkeypatch: pytest.MonkeyPatch, token: str, answer: dict[str, Any], words: str
) -> None:
    ask = LOOKUPS[token]
    monkeypatch.setitem(LOOKUPS, token, lambda args: {**ask(args), **answer})
    assert emulated.invoke(token, {"dbInstanceIdentifier": "a", "replicationGroupId": "a"})
    with pytest.raises(Exception, match=f"shared.*{words}"):
        record_with("dev", on_theirs())


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"network": {"cidr": "10.20.0.0/16"}}, "database.existing", "name that as network.existing"),
        ({"network": {"cidr": "10.20.0.0/16"}}, "cache.existing", "name that as network.existing"),
        (
            {"database": {"instanceClass": "db.t4g.medium", "multiAz": True, "existing": DATABASE}},
            "database",
            "multiAz are of one that is made",
        ),
        ({"cache": {"replicas": 1, "existing": CACHE}}, "cache", "replicas are of one that is made"),
        (
            {"cache": {"existing": {**CACHE, "securityGroupId": "default"}}},
            "cache.existing.securityGroupId",
            "security group's id",
        ),
        (
            {
                "database": {
                    "instanceClass": "db.t4g.medium",
                    "existing": {**DATABASE, "adminSecretArn": ADMIN.replace("eu-central-1", "us-east-1")},
                }
            },
            "database.existing.adminSecretArn",
            "is of us-east-1",
        ),
    ],
)
def test_what_cannot_be_right_is_refused(changed: dict[str, Any], field: str, words: str) -> None:
    text = refused(on_theirs(**changed))
    assert field in text
    assert words in text
