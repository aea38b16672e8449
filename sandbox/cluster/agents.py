"""The agents of a sandbox whose pods run, and how this machine asks them."""

import base64
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sandbox.cluster.api import Api

SERVER = {"app.kubernetes.io/component": "server"}
"""The labels of what answers, among the objects of an agent."""

LOCAL = "agent-"
"""How the roles of agents begin that are processes of this machine."""
LOCAL_GRACE = 30.0
"""Seconds that they have to end: killed before, they would leave their stores behind."""


@dataclass(frozen=True)
class Agent:
    """One agent, as its callers know it."""

    name: str
    namespace: str
    service: str
    """The URL of its Service, which this machine has a route to."""
    host: str | None
    """The host of its Ingress; None when it has none."""
    key: str
    """An API key that it accepts."""

    def reached(self) -> "Reached":
        """Through its Service."""
        return Reached(self.service, self.key)

    def through_ingress(self, address: str, authority: Path) -> "Reached":
        """Through its Ingress at an address that no name server knows.

        Args:
            address: what the ingress controller listens on.
            authority: the certificate that vouches for it.
        """
        return Reached(f"https://{address}", self.key, self.host, authority)


@dataclass(frozen=True)
class Reached:
    """A way to an agent."""

    url: str
    key: str
    host: str | None = None
    authority: Path | None = None
    speaks: bool = True
    """Whether it answers questions here; the models of providers cannot be asked from a sandbox."""

    def client(self, timeout: float = 30.0) -> httpx.AsyncClient:
        """A client with the agent's key, which verifies who answers."""

        async def name_the_host(request: httpx.Request) -> None:
            if self.host:
                request.headers["Host"] = self.host
                request.extensions["sni_hostname"] = self.host

        trusted = ssl.create_default_context(cafile=str(self.authority)) if self.authority else True
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"X-API-Key": self.key},
            timeout=timeout,
            trust_env=False,
            verify=trusted,
            event_hooks={"request": [name_the_host]},
        )


def find(api: Api) -> list[Agent]:
    """The agents of a cluster, by name."""
    hosts = {
        rule["http"]["paths"][0]["backend"]["service"]["name"]: rule["host"]
        for ingress in api.list("networking.k8s.io/v1", "Ingress")
        for rule in ingress["spec"]["rules"]
    }
    # The Secret that stands in for the files of a SecretProviderClass has its name, which is an agent's first.
    mounted = {
        deployment["metadata"]["name"]: str(volume["csi"]["volumeAttributes"]["secretProviderClass"])
        for deployment in api.list("apps/v1", "Deployment", labels=SERVER)
        for volume in deployment["spec"]["template"]["spec"].get("volumes", ())
        if volume.get("csi", {}).get("driver") == "secrets-store.csi.k8s.io"
    }
    return [_agent(service, mounted, hosts, api) for service in api.list("v1", "Service", labels=SERVER)]


def reachable(
    api: Api, address: str, authority: Path, served: Collection[str]
) -> list[tuple[Agent, Reached]]:
    """Each agent with the way that its callers take: its Ingress where that is served, else its Service.

    Args:
        api: the cluster's.
        address: what the ingress controller listens on.
        authority: the certificate that vouches for it.
        served: the hosts that it serves.
    """
    return [
        (agent, agent.through_ingress(address, authority) if agent.host in served else agent.reached())
        for agent in find(api)
    ]


def _agent(
    service: Mapping[str, Any], mounted: Mapping[str, str], hosts: Mapping[str, str], api: Api
) -> Agent:
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    secret = api.get("v1", "Secret", namespace, mounted.get(name, name)) or {}
    keys = base64.b64decode(secret.get("data", {}).get("API_KEYS", "")).decode()
    url = f"http://{service['spec']['clusterIP']}"
    # Several keys are parted by commas while one takes the other's place.
    return Agent(name, namespace, url, hosts.get(name), keys.split(",")[0].strip())
