"""Traefik: it serves the stack's Ingresses, with the arguments that the stack's own release gives it."""

import ssl
from pathlib import Path

import httpx

from sandbox.binaries.build import TRAEFIK
from sandbox.cluster.api import Api
from sandbox.common.addresses import Addresses
from sandbox.machine.account import Account
from sandbox.machine.addons.addon import Command, release

_CLASS = "traefik"
_SECONDS = 5.0


class Traefik:
    """Its process. It listens on an address of its own, where AWS would have a load balancer."""

    role = "traefik"
    module = TRAEFIK
    hooks = ()

    def __init__(self, addresses: Addresses, kubeconfig: Path, authority: Path) -> None:
        """
        Args:
            addresses: those of the sandbox.
            kubeconfig: how it reaches the API server.
            authority: the certificate by which it is seen whether an Ingress serves.
        """
        self._addresses = addresses
        self._kubeconfig = kubeconfig
        self._authority = authority

    def wanted(self, account: Account) -> bool:
        return bool(release(account, self.role))

    def prepare(self, api: Api, account: Account) -> Command:
        api.apply(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IngressClass",
                "metadata": {"name": _CLASS},
                "spec": {"controller": "traefik.io/ingress-controller"},
            },
            force=True,
        )
        address = self._addresses.ingress
        arguments = [
            # What its chart gives by default.
            f"--entryPoints.web.address={address}:80/tcp",
            f"--entryPoints.websecure.address={address}:443/tcp",
            "--entryPoints.websecure.http.tls=true",
            "--providers.kubernetescrd",
            "--providers.kubernetescrd.allowCrossNamespace=false",
            "--providers.kubernetescrd.allowEmptyServices=true",
            "--providers.kubernetesingress",
            "--providers.kubernetesingress.allowEmptyServices=true",
            f"--providers.kubernetesingress.ingressEndpoint.ip={address}",
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
            "--accesslog=true",
            "--accesslog.format=json",
            *release(account, self.role)["values"].get("additionalArguments", ()),
        ]
        return Command(arguments, {"KUBECONFIG": str(self._kubeconfig)})

    def obstacle(self, api: Api) -> str:
        for host in hosts(api):
            try:
                answer = ask(str(self._addresses.ingress), host, self._authority, "/health")
            except (httpx.HTTPError, ssl.SSLError) as error:
                return f"https://{host} does not answer: {error}"
            if answer.status_code != httpx.codes.OK:
                return f"https://{host}/health answers {answer.status_code}"
        return ""


def hosts(api: Api) -> list[str]:
    """The host names of the Ingresses that it serves."""
    return sorted(
        rule["host"]
        for ingress in api.list("networking.k8s.io/v1", "Ingress")
        if ingress["spec"].get("ingressClassName") == _CLASS
        for rule in ingress["spec"]["rules"]
    )


def ask(address: str, host: str, authority: Path, path: str) -> httpx.Response:
    """GET a path of a host at an address that no name server knows, and verify who answers.

    Raises:
        httpx.HTTPError: nobody answers, or somebody whom the authority does not vouch for.
    """
    trusted = ssl.create_default_context(cafile=str(authority))
    with httpx.Client(verify=trusted, trust_env=False, timeout=_SECONDS) as client:
        return client.get(
            f"https://{address}{path}", headers={"Host": host}, extensions={"sni_hostname": host}
        )
