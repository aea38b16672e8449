"""What every add-on has in common."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Protocol

from sandbox.binaries.build import Module
from sandbox.cluster.api import Api, Object
from sandbox.machine.account import ADDON, RELEASE, Account


@dataclass(frozen=True)
class Command:
    """How an add-on's binary is run."""

    arguments: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    """What it has no argument for."""


@dataclass(frozen=True)
class Hook:
    """An object of the whole cluster."""

    api_version: str
    kind: str
    name: str


class Addon(Protocol):
    """One add-on of a sandbox."""

    role: str
    """The name of its process and of its binary."""
    module: Module
    """What it is built from."""

    @property
    def hooks(self) -> Sequence[Hook]:
        """By what the API server asks it; they go with it, since requests would wait for it in vain."""

    def wanted(self, account: Account) -> bool:
        """Whether the stack asks for it."""

    def prepare(self, api: Api, account: Account) -> Command:
        """Give the cluster the objects that its chart would bring, and return how it is run."""

    def obstacle(self, api: Api) -> str:
        """Why it does not serve yet; empty when it does."""


def is_addon(account: Account, name: str) -> bool:
    """Whether the stack has the EKS add-on of this name."""
    return any(each["addonName"] == name for each in account.all(ADDON))


def release(account: Account, chart: str) -> Object:
    """The inputs of the stack's Helm release of this chart; empty when it has none."""
    return account.named(RELEASE, "chart", chart)


def service(name: str, namespace: str, address: IPv4Address, port: int) -> list[Object]:
    """A Service by which the cluster reaches what listens beside the pods, by TLS."""
    metadata = {"name": name, "namespace": namespace}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": port}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [str(address)], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        },
    ]


def host(service: str, namespace: str) -> str:
    """The name that the API server expects in the certificate of a Service."""
    return f"{service}.{namespace}.svc"


def api_hook(group: str, version: str) -> Hook:
    """The name of what `api_service` makes."""
    return Hook("apiregistration.k8s.io/v1", "APIService", f"{version}.{group}")


def api_service(group: str, version: str, service: str, namespace: str, authority: bytes) -> Object:
    """What has the API server hand on the requests of a group; `authority` signed the Service's certificate."""
    named = api_hook(group, version)
    return {
        "apiVersion": named.api_version,
        "kind": named.kind,
        "metadata": {"name": named.name},
        "spec": {
            "group": group,
            "version": version,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"name": service, "namespace": namespace},
            "caBundle": base64.b64encode(authority).decode(),
        },
    }


def unavailable(api: Api, group: str, version: str) -> str:
    """Why the API server does not serve a group that it hands on; empty when it does."""
    named = api_hook(group, version)
    live = api.get(named.api_version, named.kind, None, named.name) or {}
    conditions = live.get("status", {}).get("conditions") or [{}]
    available = conditions[0].get("status") == "True"
    return "" if available else str(conditions[0].get("message", "the API server has not asked it yet"))
