"""The pods of an agent: server, migration and retention run one image with one security context and the same mounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components.workload.container import ContainerResources, companion_container, restricted
from components.workload.pod_options import CERTIFICATES_DIR, SECRETS_DIR, PodOptions

#: The image's user (service/Dockerfile).
USER_ID = 1000


# Karpenter's label and taint of Spot nodes (components.cluster.karpenter).
_CAPACITY_TYPE, _SPOT = "karpenter.sh/capacity-type", "spot"
_SPOT_TOLERATION = k8s.core.v1.TolerationArgs(
    key=_CAPACITY_TYPE, operator="Equal", value=_SPOT, effect="NoSchedule"
)
# Preferred and not required: where AWS has no Spot instances left, others do.
_SPOT_AFFINITY = k8s.core.v1.AffinityArgs(
    node_affinity=k8s.core.v1.NodeAffinityArgs(
        preferred_during_scheduling_ignored_during_execution=[
            k8s.core.v1.PreferredSchedulingTermArgs(
                weight=100,
                preference=k8s.core.v1.NodeSelectorTermArgs(
                    match_expressions=[
                        k8s.core.v1.NodeSelectorRequirementArgs(
                            key=_CAPACITY_TYPE, operator="In", values=[_SPOT]
                        )
                    ]
                ),
            )
        ]
    )
)


@dataclass(frozen=True, kw_only=True)
class PodArgs:
    """What every pod of an agent needs."""

    image: pulumi.Input[str]
    """By digest."""
    service_account: pulumi.Input[str]
    secret_provider_class: pulumi.Input[str]
    """Names the SecretProviderClass whose objects are mounted at ``SECRETS_DIR``."""
    config_map: pulumi.Input[str]
    """Its keys become environment variables."""
    certificates_config_map: pulumi.Input[str]
    """Mounted at ``CERTIFICATES_DIR``."""
    pooler_certificates: k8s.core.v1.VolumeProjectionArgs | None = None
    """Mounted there too: who signed the certificate of the pooler by which the database is reached."""
    resources: ContainerResources
    labels: Mapping[str, str]
    annotations: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    options: PodOptions = field(default_factory=PodOptions)
    termination_grace_period_seconds: int = 30
    spot: bool = False
    """Prefer Karpenter's Spot nodes, whose taint it tolerates."""


def pod_template(
    args: PodArgs,
    *,
    container: str,
    command: Sequence[str] | None = None,
    restart_policy: str = "Always",
    ports: Mapping[str, int] | None = None,
    liveness: k8s.core.v1.ProbeArgs | None = None,
    readiness: k8s.core.v1.ProbeArgs | None = None,
    startup: k8s.core.v1.ProbeArgs | None = None,
    lifecycle: k8s.core.v1.LifecycleArgs | None = None,
    topology_spread: Sequence[k8s.core.v1.TopologySpreadConstraintArgs] | None = None,
) -> k8s.core.v1.PodTemplateSpecArgs:
    """A pod template that the restricted Pod Security Standard admits.

    Args:
        container: the container's name.
        command: replaces the image's entry point; ``None`` keeps it.
        ports: container ports by name.
    """
    options = args.options
    further = {"ephemeral-storage": options.ephemeral_storage} if options.ephemeral_storage else {}
    annotations = {**options.annotations, **args.annotations}
    return k8s.core.v1.PodTemplateSpecArgs(
        metadata=k8s.meta.v1.ObjectMetaArgs(labels=dict(args.labels), annotations=annotations or None),
        spec=k8s.core.v1.PodSpecArgs(
            service_account_name=args.service_account,
            # The CSI driver asks for tokens itself; nothing in the pod speaks to the API server.
            automount_service_account_token=False,
            # Dozens of Services would otherwise become hundreds of variables, some with the names of settings.
            enable_service_links=False,
            restart_policy=restart_policy,
            image_pull_secrets=[
                k8s.core.v1.LocalObjectReferenceArgs(name=secret) for secret in options.image_pull_secrets
            ]
            or None,
            node_selector=dict(options.node_selector) or None,
            priority_class_name=options.priority_class,
            termination_grace_period_seconds=args.termination_grace_period_seconds,
            topology_spread_constraints=list(topology_spread) if topology_spread else None,
            tolerations=[*([_SPOT_TOLERATION] if args.spot else []), *options.tolerations] or None,
            affinity=_SPOT_AFFINITY if args.spot else None,
            security_context=as_user(),
            init_containers=[companion_container(each) for each in options.companions] or None,
            containers=[
                k8s.core.v1.ContainerArgs(
                    name=container,
                    image=args.image,
                    image_pull_policy="IfNotPresent",
                    command=list(command) if command else None,
                    ports=[
                        k8s.core.v1.ContainerPortArgs(name=name, container_port=port, protocol="TCP")
                        for name, port in (ports or {}).items()
                    ]
                    or None,
                    env_from=[
                        k8s.core.v1.EnvFromSourceArgs(
                            config_map_ref=k8s.core.v1.ConfigMapEnvSourceArgs(name=args.config_map)
                        )
                    ],
                    resources=args.resources.requirements(**further),
                    security_context=restricted(),
                    liveness_probe=liveness,
                    readiness_probe=readiness,
                    startup_probe=startup,
                    lifecycle=lifecycle,
                    volume_mounts=[
                        k8s.core.v1.VolumeMountArgs(name="secrets", mount_path=SECRETS_DIR, read_only=True),
                        k8s.core.v1.VolumeMountArgs(
                            name="certificates", mount_path=CERTIFICATES_DIR, read_only=True
                        ),
                        k8s.core.v1.VolumeMountArgs(name="tmp", mount_path="/tmp"),  # noqa: S108
                        *(
                            k8s.core.v1.VolumeMountArgs(
                                name=each.volume.name, mount_path=each.mount_path, read_only=each.read_only
                            )
                            for each in options.volumes
                        ),
                    ],
                )
            ],
            volumes=[
                secrets_volume(args.secret_provider_class),
                _certificates(args),
                # The root file system is read-only, and some libraries want a place for a moment.
                k8s.core.v1.VolumeArgs(
                    name="tmp",
                    empty_dir=k8s.core.v1.EmptyDirVolumeSourceArgs(
                        size_limit=options.ephemeral_storage or "64Mi"
                    ),
                ),
                *(each.volume for each in options.volumes),
            ],
        ),
    )


def as_user() -> k8s.core.v1.PodSecurityContextArgs:
    """What the restricted Pod Security Standard asks of a pod, as the user of the images that are built here."""
    return k8s.core.v1.PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=USER_ID,
        run_as_group=USER_ID,
        fs_group=USER_ID,
        seccomp_profile=k8s.core.v1.SeccompProfileArgs(type="RuntimeDefault"),
    )


def secrets_volume(secret_provider_class: pulumi.Input[str]) -> k8s.core.v1.VolumeArgs:
    """The objects of a SecretProviderClass as files; its name is ``secrets``."""
    return k8s.core.v1.VolumeArgs(
        name="secrets",
        csi=k8s.core.v1.CSIVolumeSourceArgs(
            driver="secrets-store.csi.k8s.io",
            read_only=True,
            volume_attributes={"secretProviderClass": secret_provider_class},
        ),
    )


def scraped(metrics_port: int) -> dict[str, str]:
    """The annotations by which Prometheus finds a pod's metrics."""
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/path": "/metrics",
        "prometheus.io/port": str(metrics_port),
    }


def spread_out(selector: Mapping[str, str]) -> list[k8s.core.v1.TopologySpreadConstraintArgs]:
    """Over the zones in any case, and over the nodes where there are some."""
    return [
        k8s.core.v1.TopologySpreadConstraintArgs(
            max_skew=1,
            topology_key=topology_key,
            when_unsatisfiable=when_unsatisfiable,
            label_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(selector)),
            # Count each revision by itself: during a rollout the old one's pods would push the new ones together.
            match_label_keys=["pod-template-hash"],
        )
        for topology_key, when_unsatisfiable in (
            ("topology.kubernetes.io/zone", "DoNotSchedule"),
            ("kubernetes.io/hostname", "ScheduleAnyway"),
        )
    ]


def _certificates(args: PodArgs) -> k8s.core.v1.VolumeArgs:
    """Whom connections to PostgreSQL trust."""
    if args.pooler_certificates is None:
        return k8s.core.v1.VolumeArgs(
            name="certificates",
            config_map=k8s.core.v1.ConfigMapVolumeSourceArgs(name=args.certificates_config_map),
        )
    return k8s.core.v1.VolumeArgs(
        name="certificates",
        projected=k8s.core.v1.ProjectedVolumeSourceArgs(
            sources=[
                k8s.core.v1.VolumeProjectionArgs(
                    config_map=k8s.core.v1.ConfigMapProjectionArgs(name=args.certificates_config_map)
                ),
                args.pooler_certificates,
            ]
        ),
    )
