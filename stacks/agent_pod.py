"""From what a stack file says of an agent's pods to the components' options."""

import pulumi_kubernetes as k8s

from components.workload.network_policies import Destination
from components.workload.pod_options import PodOptions, PodVolume
from stacks.agent_settings import Agent
from stacks.pod_settings import Volume
from stacks.registries import Registries


def pod_options(agent: Agent, registries: Registries) -> PodOptions:
    """The options of an agent's pods."""
    pod = agent.pod
    return PodOptions(
        node_selector=pod.node_selector,
        tolerations=[
            k8s.core.v1.TolerationArgs(
                key=each.key,
                operator=each.operator.value,
                value=each.value,
                effect=each.effect.value if each.effect else None,
                toleration_seconds=each.toleration_seconds,
            )
            for each in pod.tolerations
        ],
        annotations=pod.annotations,
        priority_class=pod.priority_class,
        ephemeral_storage=pod.ephemeral_storage,
        volumes=[_volume(each) for each in pod.volumes],
        image_pull_secrets=registries.pull_secrets(agent),
    )


def destinations(agent: Agent) -> list[Destination]:
    """The networks that an agent's pods may reach besides."""
    return [Destination(cidr=each.cidr, ports=each.ports) for each in agent.egress]


def _volume(given: Volume) -> PodVolume:
    core = k8s.core.v1
    volume = core.VolumeArgs(
        name=given.name,
        empty_dir=core.EmptyDirVolumeSourceArgs(size_limit=given.empty_dir.size_limit)
        if given.empty_dir
        else None,
        persistent_volume_claim=core.PersistentVolumeClaimVolumeSourceArgs(
            claim_name=given.persistent_volume_claim.claim_name
        )
        if given.persistent_volume_claim
        else None,
        config_map=core.ConfigMapVolumeSourceArgs(name=given.config_map.name) if given.config_map else None,
        secret=core.SecretVolumeSourceArgs(secret_name=given.secret.secret_name) if given.secret else None,
    )
    fixed = given.config_map is not None or given.secret is not None
    return PodVolume(volume=volume, mount_path=given.mount_path, read_only=given.read_only or fixed)
