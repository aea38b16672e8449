"""Registries of images that others built: their logins, and what tags name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.naming import labels
from components.workload.image_name import image_name
from components.workload.namespace import AgentNamespace
from components.workload.registry_login import RegistryLogin, RegistryLoginArgs
from stacks.agent_settings import Agent
from stacks.settings import Settings


@dataclass(frozen=True)
class Registries:
    """As the agents need them."""

    logins: Mapping[str, RegistryLogin]
    """By host."""
    provider: pulumi.ProviderResource | None
    """Asks registries; None where no image is named by tag."""

    def pull_secrets(self, agent: Agent) -> Sequence[pulumi.Input[str]]:
        """What an agent's pods pull their images with."""
        registries = dict.fromkeys(image_name(image).registry for image in agent.images)
        return [self.logins[registry].pull_secret for registry in registries if registry in self.logins]

    def resolved(self, image: str, opts: pulumi.InvokeOutputOptions) -> pulumi.Output[str]:
        """The image by digest: ``registry/repository:tag@sha256:...`` of one that is named by tag."""
        if self.provider is None or image_name(image).digest:
            return pulumi.Output.from_input(image)
        # Its package is only imported where a stack has tags.
        from components.workload.tagged_image import digest_of

        digest = digest_of(image_name(image), registries=self.provider, opts=opts)
        return pulumi.Output.format("{0}@{1}", image, digest)


def deploy_registries(
    settings: Settings, namespace: AgentNamespace, stack: str, opts: pulumi.ResourceOptions
) -> Registries:
    """Make a pull Secret for each login, and a provider if any image is named by tag."""
    logins = {
        registry.server: RegistryLogin(
            f"registry-{registry.server.replace(':', '-')}",
            RegistryLoginArgs(
                server=registry.server,
                secret_arn=registry.secret_arn,
                namespace=namespace.namespace,
                labels=labels(name="platform", component="platform", instance=stack),
            ),
            opts,
        )
        for registry in settings.registries
    }
    tagged = any(not image_name(image).digest for agent in settings.agents for image in agent.images)
    return Registries(logins, _provider(logins) if tagged else None)


def _provider(logins: Mapping[str, RegistryLogin]) -> pulumi.ProviderResource:
    import pulumi_docker as docker

    from components.workload.tagged_image import registry_address

    return docker.Provider(
        "docker",
        # Registries are asked, and no daemon.
        disable_docker_daemon_check=True,
        registry_auth=[
            docker.ProviderRegistryAuthArgs(
                address=registry_address(server), username=login.username, password=login.password
            )
            for server, login in logins.items()
        ]
        or None,
    )
