"""What of the emulated account and of Helm something real stands behind: kept between commands, for its owner only."""

import json
import threading
from pathlib import Path
from typing import Any

from sandbox.common.state import write_private

Properties = dict[str, Any]

DATABASE = "aws:rds/instance:Instance"
DATABASE_PARAMETERS = "aws:rds/parameterGroup:ParameterGroup"
DATABASE_PROXY = "aws:rds/proxy:Proxy"
DATABASE_PROXY_TARGET = "aws:rds/proxyTarget:ProxyTarget"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
CACHE_PARAMETERS = "aws:elasticache/parameterGroup:ParameterGroup"
CACHE_USER = "aws:elasticache/user:User"
CACHE_USERS = "aws:elasticache/userGroup:UserGroup"
ADDON = "aws:eks/addon:Addon"
RELEASE = "kubernetes:helm.sh/v3:Release"
SECRET_VALUE = "aws:secretsmanager/secretVersion:SecretVersion"  # noqa: S105 (a type)

KEPT = {
    DATABASE: "identifier",
    DATABASE_PARAMETERS: "name",
    DATABASE_PROXY: "name",
    # A proxy has one.
    DATABASE_PROXY_TARGET: "dbProxyName",
    CACHE: "replicationGroupId",
    CACHE_PARAMETERS: "name",
    CACHE_USER: "userId",
    CACHE_USERS: "userGroupId",
    ADDON: "addonName",
    RELEASE: "name",
    # The next version of a secret is there before the last one goes.
    SECRET_VALUE: "versionId",
}
"""The types that are kept, each with the property that identifies a resource."""


class Account:
    """The properties of resources; may be used by several threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._resources: dict[str, dict[str, Properties]] = (
            json.loads(file.read_text()) if file.exists() else {}
        )

    def put(self, type_: str, properties: Properties) -> None:
        with self._lock:
            self._resources.setdefault(type_, {})[properties[KEPT[type_]]] = properties
            self._save()

    def remove(self, type_: str, properties: Properties) -> None:
        """It is no error when it is not there."""
        with self._lock:
            self._resources.get(type_, {}).pop(properties[KEPT[type_]], None)
            self._save()

    def all(self, type_: str) -> list[Properties]:
        """The resources of a type."""
        with self._lock:
            return list(self._resources.get(type_, {}).values())

    def named(self, type_: str, key: str, value: str) -> Properties:
        """The newest resource of a type whose property has the value; empty when there is none."""
        return next((each for each in reversed(self.all(type_)) if each.get(key) == value), {})

    def _save(self) -> None:
        write_private(self._file, json.dumps(self._resources))
