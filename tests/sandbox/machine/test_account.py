"""What the account keeps, and what the machine makes of it: secrets, users, digests."""

import base64
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from sandbox.cluster.api import Api
from sandbox.common.errors import InputError, SandboxError
from sandbox.machine.account import (
    CACHE,
    CACHE_USER,
    CACHE_USERS,
    DATABASE,
    RELEASE,
    SECRET_VALUE,
    Account,
)
from sandbox.machine.hosted import IMAGE, Cluster, Hosted
from sandbox.machine.postgresql import Databases
from sandbox.machine.redis import Caches
from sandbox.machine.secrets import Secrets
from sandbox.providers.server import RefusedError, Resource
from tests.sandbox.fakes import FakeApi

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:a-000000"
DIGEST = f"sha256:{'a' * 64}"


class Servers:
    """Stands for the databases or the caches, and notes what was asked of them."""

    def __init__(self) -> None:
        self.ensured = 0
        self.removed: list[Mapping[str, Any]] = []
        self.failure: str | None = None

    def ensure(self) -> None:
        if self.failure:
            raise SandboxError(self.failure)
        self.ensured += 1

    def remove(self, properties: Mapping[str, Any]) -> None:
        self.removed.append(properties)


class Images:
    def __init__(self) -> None:
        self.built: list[Mapping[str, Any]] = []

    def build(self, inputs: Mapping[str, Any]) -> str:
        self.built.append(inputs)
        return DIGEST


class World:
    """A machine without anything real."""

    def __init__(self, folder: Path) -> None:
        self.api = FakeApi()
        self.file = folder / "account.json"
        self.account = Account(self.file)
        self.databases, self.caches, self.images = Servers(), Servers(), Images()
        self.secrets = Secrets(cast(Api, self.api), self.account)
        self.cloud = Hosted(
            self.account,
            cast(Databases, self.databases),
            cast(Caches, self.caches),
            self.secrets,
            self.images,
        )
        self.signers = 0
        self.cluster = Cluster(
            cast(Api, self.api), self.account, self.secrets, self._sign, patience=1, interval=0
        )

    def _sign(self) -> None:
        self.signers += 1

    def mounts(self, **files: str) -> None:
        """Declare a SecretProviderClass `support`, files by their name and the entry's ARN."""
        objects = [{"objectName": arn, "objectAlias": name} for name, arn in files.items()]
        self.cluster.create(
            resource("kubernetes:secrets-store.csi.x-k8s.io/v1:SecretProviderClass"),
            {
                "apiVersion": "secrets-store.csi.x-k8s.io/v1",
                "kind": "SecretProviderClass",
                "metadata": {"name": "support", "namespace": "agents"},
                "spec": {"parameters": {"objects": json.dumps(objects)}},
            },
            preview=False,
            timeout=0,
        )

    def mounted(self) -> dict[str, str]:
        data = self.api.objects["Secret", "agents", "support"]["data"]
        return {name: base64.b64decode(value).decode() for name, value in data.items()}

    def secret(self, value: str) -> None:
        properties = {"secretId": ARN, "secretString": value}
        self.cloud.create(resource(SECRET_VALUE), properties, preview=False, timeout=0)


def resource(type_: str, name: str = "x") -> Resource:
    return Resource(f"urn:pulumi:dev::p::{type_}::{name}")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_is_kept_is_there_for_the_next_command_and_for_its_owner_only(world: World) -> None:
    world.account.put(DATABASE, {"identifier": "db", "port": 5432})
    assert Account(world.file).all(DATABASE) == [{"identifier": "db", "port": 5432}]
    assert world.file.stat().st_mode & 0o777 == 0o600


def test_several_threads_lose_nothing(world: World) -> None:
    puts = [
        threading.Thread(target=world.account.put, args=(CACHE_USER, {"userId": str(number)}))
        for number in range(30)
    ]
    for put in puts:
        put.start()
    for put in puts:
        put.join()
    assert len(Account(world.file).all(CACHE_USER)) == 30


@pytest.mark.parametrize(
    ("token", "args"),
    [
        ("docker:index/getRegistryImage:getRegistryImage", {"name": "ghcr.io/acme/research:1.4"}),
        ("aws:ecr/getImage:getImage", {"repositoryName": "acme/research", "imageTag": "1.4"}),
    ],
)
def test_a_tag_is_refused_where_pods_would_pull_what_it_names(
    world: World, token: str, args: dict[str, str]
) -> None:
    with pytest.raises(RefusedError, match=r"acme/research:1\.4 is named by tag, .* by digest"):
        world.cloud.invoke(token, args)
    assert world.cloud.invoke("aws:index/getRegion:getRegion", {})["name"] == "eu-central-1"


@pytest.mark.parametrize(
    ("token", "args"),
    [
        ("aws:rds/getInstance:getInstance", {"dbInstanceIdentifier": "shared"}),
        ("aws:elasticache/getReplicationGroup:getReplicationGroup", {"replicationGroupId": "shared"}),
    ],
)
def test_a_store_of_somebody_else_s_is_refused_where_pods_would_look_for_it(
    world: World, token: str, args: dict[str, str]
) -> None:
    with pytest.raises(RefusedError, match=r"shared is somebody else's, .* leave `existing` out"):
        world.cloud.invoke(token, args)


def test_a_mounted_entry_has_its_file_name_and_its_current_value(world: World) -> None:
    world.secret("one")
    world.mounts(API_KEYS=ARN)
    assert world.mounted() == {"API_KEYS": "one"}


def test_a_new_version_of_a_secret_reaches_what_mounts_it_before_the_old_one_goes(world: World) -> None:
    world.secret("one")
    world.mounts(API_KEYS=ARN)
    (old,) = world.account.all(SECRET_VALUE)
    world.secret("two")
    assert world.mounted() == {"API_KEYS": "two"}
    world.cloud.delete(resource(SECRET_VALUE), old, 0)
    world.secrets.publish()
    assert world.mounted() == {"API_KEYS": "two"}


@pytest.mark.parametrize("named", [ARN, "a"])
def test_a_value_that_is_put_by_hand_reaches_what_mounts_it(world: World, named: str) -> None:
    world.secret("one")
    world.mounts(API_KEYS=ARN)
    world.secrets.put(named, "two")
    assert world.mounted() == {"API_KEYS": "two"}


def test_an_entry_that_is_not_there_is_reported_with_those_that_are(world: World) -> None:
    world.secret("one")
    with pytest.raises(InputError, match=r"--secret-id is 'b': the entries with a value are a$"):
        world.secrets.put("b", "two")


def test_a_release_is_kept_with_its_values_until_it_goes(world: World) -> None:
    release = {"name": "traefik", "chart": "traefik", "values": {"additionalArguments": ["--x=1"]}}
    of_helm = resource(RELEASE)
    world.cluster.create(of_helm, release, preview=True, timeout=0)
    assert world.account.all(RELEASE) == []
    world.cluster.create(of_helm, release, preview=False, timeout=0)
    world.cluster.update(of_helm, release | {"values": {}}, release, preview=False, timeout=0)
    assert world.account.all(RELEASE) == [release | {"values": {}}]
    world.cluster.delete(of_helm, release, 0)
    assert world.account.all(RELEASE) == []


def test_an_entry_that_people_fill_in_has_a_stand_in(world: World) -> None:
    world.mounts(OPENAI_API_KEY=ARN)
    assert world.mounted() == {"OPENAI_API_KEY": "stand-in-for-OPENAI_API_KEY"}


def test_a_secret_goes_when_its_class_does(world: World) -> None:
    world.mounts(API_KEYS=ARN)
    (owner,) = world.api.objects["Secret", "agents", "support"]["metadata"]["ownerReferences"]
    assert owner["uid"] == world.api.objects["SecretProviderClass", "agents", "support"]["metadata"]["uid"]


def test_a_preview_starts_nothing_and_keeps_nothing(world: World) -> None:
    group = {"replicationGroupId": "c", "engineVersion": "8.0"}
    world.cloud.create(resource(CACHE), group, preview=True, timeout=0)
    assert world.caches.ensured == 0
    assert world.account.all(CACHE) == []


def test_an_image_has_the_digest_that_the_builder_tells(world: World) -> None:
    inputs = {"tags": ["registry.example.com/agents:tag"]}
    unknown = world.cloud.create(resource(IMAGE), inputs, preview=True, timeout=0)
    assert "digest" not in unknown.outputs
    assert world.images.built == []
    made = world.cloud.create(resource(IMAGE), inputs, preview=False, timeout=0)
    assert made.outputs["digest"] == DIGEST
    assert made.outputs["ref"] == f"registry.example.com/agents@{DIGEST}"


def test_a_store_that_does_not_start_is_reported_as_a_refusal(world: World) -> None:
    world.caches.failure = "redis did not start"
    with pytest.raises(RefusedError, match="redis did not start"):
        world.cloud.create(
            resource(CACHE), {"replicationGroupId": "c", "engineVersion": "8.0"}, preview=False, timeout=0
        )


def test_deleting_a_store_ends_it(world: World) -> None:
    group = world.cloud.create(
        resource(CACHE), {"replicationGroupId": "c", "engineVersion": "8.0"}, preview=False, timeout=0
    )
    world.cloud.delete(resource(CACHE), group.outputs, 0)
    assert [each["replicationGroupId"] for each in world.caches.removed] == ["c"]
    assert world.account.all(CACHE) == []


def test_a_cache_knows_the_users_of_its_groups_and_no_password_in_clear(world: World) -> None:
    world.account.put(
        CACHE_USER,
        {
            "userId": "id-1",
            "userName": "support",
            "accessString": "on ~support:* +@all",
            "authenticationMode": {"passwords": ["hunter2"]},
        },
    )
    world.account.put(CACHE_USER, {"userId": "id-2", "userName": "stranger", "accessString": "on +@all"})
    world.account.put(CACHE_USERS, {"userGroupId": "users", "userIds": ["id-1"]})
    caches = Caches(cast(Any, None), world.account)
    lines = caches._users({"userGroupIds": ["users"]}, "own").splitlines()
    assert lines[0] == "user default reset off -@all"
    assert lines[1].startswith("user support reset #")
    assert lines[1].endswith("on ~support:* +@all")
    assert not any("hunter2" in line or "stranger" in line for line in lines)


def test_cert_manager_runs_once_something_is_made_that_it_has_to_sign_and_not_for_its_preview(
    world: World,
) -> None:
    certificate = {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": "pgbouncer", "namespace": "agents"},
    }
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "agents"}}
    signed = resource("kubernetes:cert-manager.io/v1:Certificate")
    world.cluster.create(resource("kubernetes:core/v1:ConfigMap"), config_map, preview=False, timeout=0)
    world.cluster.create(signed, certificate, preview=True, timeout=0)
    assert world.signers == 0
    world.cluster.create(signed, certificate, preview=False, timeout=0)
    assert world.signers == 1
