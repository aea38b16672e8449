"""The login to a registry of images, from Secrets Manager to the nodes that pull."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.workload.image_name import DOCKER_HUB

# By this name container runtimes look for Docker Hub's login.
_DOCKER_HUB_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True, kw_only=True)
class RegistryLoginArgs:
    """What `RegistryLogin` needs.

    Attributes:
        server: the registry's host, such as ``ghcr.io``.
        secret_arn: the entry of Secrets Manager: ``{"username": ..., "password": ...}``, as ECS has it.
        namespace: of the pods whose images are pulled.
        labels: of the Secret.
    """

    server: str
    secret_arn: str
    namespace: pulumi.Input[str]
    labels: Mapping[str, str]


class RegistryLogin(pulumi.ComponentResource):
    """A login that whoever deploys may read, and its Secret for ``imagePullSecrets``.

    Attributes:
        username: secret.
        password: secret.
        pull_secret: the Secret's name. A changed login is another Secret, so that pods can pull at any time.
    """

    username: pulumi.Output[str]
    password: pulumi.Output[str]
    pull_secret: pulumi.Output[str]

    def __init__(
        self, name: str, args: RegistryLoginArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:RegistryLogin", name, None, opts)
        entry = aws.secretsmanager.get_secret_version_output(
            secret_id=args.secret_arn, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        text: pulumi.Output[str] = pulumi.Output.secret(entry.apply(lambda found: str(found.secret_string)))
        login = text.apply(lambda found: _login(found, args.secret_arn))
        self.username = login.apply(lambda found: found["username"])
        self.password = login.apply(lambda found: found["password"])
        key = _DOCKER_HUB_KEY if args.server == DOCKER_HUB else args.server
        secret = k8s.core.v1.Secret(
            f"{name}-pull",
            metadata=k8s.meta.v1.ObjectMetaArgs(namespace=args.namespace, labels=dict(args.labels)),
            type="kubernetes.io/dockerconfigjson",
            string_data={".dockerconfigjson": login.apply(lambda found: json.dumps({"auths": {key: found}}))},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.pull_secret = secret.metadata.name
        self.register_outputs({"pull_secret": self.pull_secret})


def _login(text: str, arn: str) -> dict[str, str]:
    try:
        found = json.loads(text)
        return {"username": str(found["username"]), "password": str(found["password"])}
    except (ValueError, KeyError, TypeError):
        # Without the cause, whose text may hold the secret.
        raise pulumi.RunError(
            f'{arn} holds no login to a registry: put {{"username": "...", "password": "..."}} into it'
        ) from None
