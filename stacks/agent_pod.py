"""From what a stack file says of an agent's pods to the components' options."""

from dataclasses import replace

import pulumi
import pulumi_kubernetes as k8s

from components.cluster.node_groups import ARCH_LABEL, ARCH_VALUES, Architecture
from components.workload.container import Companion, ContainerResources
from components.workload.network_policies import Destination
from components.workload.pod_options import PodOptions, PodVolume
from stacks.agent_settings import Agent
from stacks.container_settings import InitContainer, Probe
from stacks.pod_settings import Volume
from stacks.registries import Registries


def pod_options(agent: Agent, registries: Registries, architecture: Architecture) -> PodOptions:
    """The options of an agent's pods.

    Args:
        architecture: that the stack builds images for. Who brings an image may bring one for several.
    """
    pod = agent.pod
    built_for = {} if agent.image else {ARCH_LABEL: ARCH_VALUES[architecture]}
    return PodOptions(
        node_selector={**built_for, **pod.node_selector},
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


def companions(agent: Agent, registries: Registries, opts: pulumi.InvokeOutputOptions) -> list[Companion]:
    """The containers before and beside an agent's own: sidecars first, so that the others can use them."""
    return [
        *(
            replace(
                _companion(each, registries, opts, agent),
                sidecar=True,
                liveness=_probe(each.liveness_probe),
                readiness=_probe(each.readiness_probe),
            )
            for each in agent.pod.sidecars
        ),
        *(_companion(each, registries, opts, agent) for each in agent.pod.init_containers),
    ]


def _companion(
    given: InitContainer, registries: Registries, opts: pulumi.InvokeOutputOptions, agent: Agent
) -> Companion:
    requests, limits = given.resources.requests, given.resources.limits
    fixed = {volume.name for volume in agent.pod.volumes if volume.config_map or volume.secret}
    return Companion(
        name=given.name,
        image=registries.resolved(given.image, opts),
        resources=ContainerResources(
            cpu_request=requests.cpu,
            memory_request=requests.memory,
            cpu_limit=limits.cpu,
            memory_limit=limits.memory,
        ),
        command=given.command,
        args=given.args,
        variables=given.env,
        mounts=[
            k8s.core.v1.VolumeMountArgs(
                name=mount.name,
                mount_path=mount.mount_path,
                read_only=mount.read_only or mount.name in fixed,
            )
            for mount in given.volume_mounts
        ],
    )


def _probe(given: Probe) -> k8s.core.v1.ProbeArgs:
    core = k8s.core.v1
    return core.ProbeArgs(
        http_get=core.HTTPGetActionArgs(path=given.http_get.path, port=given.http_get.port)
        if given.http_get
        else None,
        tcp_socket=core.TCPSocketActionArgs(port=given.tcp_socket.port) if given.tcp_socket else None,
        exec_=core.ExecActionArgs(command=list(given.exec.command)) if given.exec else None,
        initial_delay_seconds=given.initial_delay_seconds,
        period_seconds=given.period_seconds,
        timeout_seconds=given.timeout_seconds,
        failure_threshold=given.failure_threshold,
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
