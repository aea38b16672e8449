"""PgBouncer in transaction mode: many connections of the agents' pods over few to PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.naming import config_hash, selector_labels
from components.pooling.authority import ServerCertificate, ServerCertificateArgs
from components.pooling.configuration import Files, PooledDatabase, settings
from components.stores.database_uri import CA_FILE
from components.workload.container import ContainerResources, restricted
from components.workload.network_policies import (
    POOLER_PORT,
    POSTGRES_PORT,
    Egress,
    Ingress,
    Peer,
    Port,
    cidr_peers,
    lookups,
)
from components.workload.pod import as_user, scraped, secrets_volume, spread_out
from components.workload.pod_options import CERTIFICATES_DIR, SECRETS_DIR

#: Names every object, and the Service that clients connect to.
NAME = "pgbouncer"
#: What selects its pods.
POD_LABELS = selector_labels(name=NAME, component="pooler")
#: The Secret whose ``ca.crt`` its clients trust.
CERTIFICATE_SECRET = f"{NAME}-tls"
#: The file of logins, among the secrets.
LOGINS = "userlist.txt"
#: The folder of this component's image: a build context.
IMAGE_CONTEXT = "components/pooling/image"

_SETTINGS_DIR = "/etc/pgbouncer"
_SETTINGS = "pgbouncer.ini"
_TLS_DIR = "/etc/pgbouncer-tls"
_SOCKET_DIR = "/run/pgbouncer"
# Of Debian's package, in the same image.
_EXPORTER = "prometheus-pgbouncer-exporter"
#: Of the exporter's container.
EXPORTER_RESOURCES = ContainerResources(
    cpu_request="10m", memory_request="32Mi", cpu_limit="200m", memory_limit="64Mi"
)
# A stopping pod goes on for so long, until nobody is sent to it any more; then what is under way may end.
_PRE_STOP_SECONDS = 10
_GRACE_SECONDS = 90


def host(namespace: str) -> str:
    """The name by which pods of any namespace reach it."""
    return f"{NAME}.{namespace}.svc"


@dataclass(frozen=True, kw_only=True)
class PgBouncerArgs:
    """What `PgBouncer` needs.

    Attributes:
        namespace: where it runs, and its clients.
        namespace_name: the same as plain text.
        image: by digest, of `IMAGE_CONTEXT`.
        replicas: each takes all clients, and has all connections of `databases`.
        labels: of every object.
        clients: what selects the clients' pods in the namespace.
        databases: what it pools.
        max_clients: connections of clients at most.
        metrics_port: where its figures are read.
        scrapers: who reads them.
        address: the server's host name.
        port: the server's port.
        database_cidrs: the subnets that the server is in.
        name_servers: who resolves names.
        certificates_config_map: holds ``rds-ca.pem``, who signed the server's certificate.
        service_account: its own, which alone may read the logins.
        secret_provider_class: mounts the logins as `LOGINS`.
        secrets_version: changes with them, which rolls the pods.
        resources: of PgBouncer's container.
        node_selector: labels of the nodes that can run the image.
        certificates_ready: the add-on that brings cert-manager; None where it is there already.
        run_after: leaves that its pods wait for: the identity that may read the logins.
    """

    namespace: pulumi.Input[str]
    namespace_name: str
    image: pulumi.Input[str]
    replicas: int
    labels: Mapping[str, str]
    clients: Mapping[str, str]
    databases: Sequence[PooledDatabase]
    max_clients: int
    metrics_port: int
    scrapers: Sequence[Peer]
    address: pulumi.Input[str]
    port: pulumi.Input[int]
    database_cidrs: Sequence[pulumi.Input[str]]
    name_servers: Sequence[Peer]
    certificates_config_map: pulumi.Input[str]
    service_account: str
    secret_provider_class: pulumi.Input[str]
    secrets_version: pulumi.Input[str]
    resources: ContainerResources
    node_selector: Mapping[str, str]
    certificates_ready: pulumi.Resource | None
    run_after: tuple[pulumi.Resource, ...] = ()

    def __post_init__(self) -> None:
        if not POD_LABELS.items() <= self.labels.items():
            raise ValueError(
                f"labels {dict(self.labels)} must have {POD_LABELS}, by which its pods are selected"
            )
        if self.replicas < 1:
            raise ValueError(f"replicas is {self.replicas}: one pod at least pools")


class PgBouncer(pulumi.ComponentResource):
    """Pods over the zones that answer for PostgreSQL, with TLS on both sides.

    Clients trust ``ca.crt`` of the Secret `CERTIFICATE_SECRET`.

    Attributes:
        ready: the leaf with which clients can be answered.
    """

    ready: pulumi.Resource

    def __init__(self, name: str, args: PgBouncerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:PgBouncer", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._metadata = k8s.meta.v1.ObjectMetaArgs(
            name=NAME, namespace=args.namespace, labels=dict(args.labels)
        )
        ini = pulumi.Output.all(args.address, args.port).apply(
            lambda known: settings(
                args.databases,
                address=known[0],
                port=int(known[1]),
                files=Files(
                    logins=f"{SECRETS_DIR}/{LOGINS}",
                    server_authorities=CA_FILE,
                    certificate=f"{_TLS_DIR}/tls.crt",
                    key=f"{_TLS_DIR}/tls.key",
                    socket_folder=_SOCKET_DIR,
                ),
                max_clients=args.max_clients,
            )
        )
        certificate = ServerCertificate(
            f"{name}-tls",
            ServerCertificateArgs(
                namespace=args.namespace,
                server=NAME,
                dns_names=[host(args.namespace_name), f"{host(args.namespace_name)}.cluster.local"],
                labels=args.labels,
                crds_ready=args.certificates_ready,
            ),
            self._child,
        )
        self._certificate_secret = certificate.secret_name
        account = k8s.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata=self._metadata,
            automount_service_account_token=False,
            opts=self._child,
        )
        config_map = k8s.core.v1.ConfigMap(
            f"{name}-config", metadata=self._metadata, data={_SETTINGS: ini}, opts=self._child
        )
        policy = self._network_policy()
        match = k8s.meta.v1.LabelSelectorArgs(match_labels=POD_LABELS)
        deployment = k8s.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=self._metadata,
            spec=k8s.apps.v1.DeploymentSpecArgs(
                replicas=args.replicas,
                selector=match,
                # None more than there are: each has its connections to the server, which are counted.
                strategy=k8s.apps.v1.DeploymentStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=k8s.apps.v1.RollingUpdateDeploymentArgs(max_surge=0, max_unavailable=1),
                ),
                min_ready_seconds=5,
                revision_history_limit=5,
                progress_deadline_seconds=600,
                template=self._pods(account.metadata.name, config_map.metadata.name, ini),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy, *args.run_after]),
        )
        self.ready = k8s.core.v1.Service(
            f"{name}-service",
            metadata=self._metadata,
            spec=k8s.core.v1.ServiceSpecArgs(
                type="ClusterIP",
                selector=POD_LABELS,
                ports=[
                    k8s.core.v1.ServicePortArgs(
                        name="postgresql", port=POOLER_PORT, target_port="postgresql", protocol="TCP"
                    )
                ],
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[deployment]),
        )
        k8s.policy.v1.PodDisruptionBudget(
            f"{name}-pdb",
            metadata=self._metadata,
            spec=k8s.policy.v1.PodDisruptionBudgetSpecArgs(max_unavailable=1, selector=match),
            opts=self._child,
        )
        self.register_outputs({})

    def _network_policy(self) -> k8s.networking.v1.NetworkPolicy:
        args = self._args
        return k8s.networking.v1.NetworkPolicy(
            f"{self._name}-network",
            metadata=self._metadata,
            spec=k8s.networking.v1.NetworkPolicySpecArgs(
                pod_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=POD_LABELS),
                policy_types=["Ingress", "Egress"],
                ingress=[
                    Ingress(
                        from_=[
                            Peer(pod_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(args.clients)))
                        ],
                        ports=[Port(port=POOLER_PORT, protocol="TCP")],
                    ),
                    Ingress(from_=list(args.scrapers), ports=[Port(port=args.metrics_port, protocol="TCP")]),
                ],
                egress=[
                    lookups(args.name_servers),
                    Egress(
                        to=cidr_peers(args.database_cidrs), ports=[Port(port=POSTGRES_PORT, protocol="TCP")]
                    ),
                ],
            ),
            opts=self._child,
        )

    def _pods(
        self, service_account: pulumi.Output[str], config_map: pulumi.Output[str], ini: pulumi.Output[str]
    ) -> k8s.core.v1.PodTemplateSpecArgs:
        args = self._args
        mounts = {
            "secrets": SECRETS_DIR,
            "authorities": CERTIFICATES_DIR,
            "certificate": _TLS_DIR,
            "settings": _SETTINGS_DIR,
        }
        return k8s.core.v1.PodTemplateSpecArgs(
            metadata=k8s.meta.v1.ObjectMetaArgs(
                labels=dict(args.labels),
                annotations={
                    "checksum/config": ini.apply(lambda text: config_hash({_SETTINGS: text})),
                    "checksum/secrets": args.secrets_version,
                    **scraped(args.metrics_port),
                },
            ),
            spec=k8s.core.v1.PodSpecArgs(
                service_account_name=service_account,
                automount_service_account_token=False,
                enable_service_links=False,
                node_selector=dict(args.node_selector),
                termination_grace_period_seconds=_GRACE_SECONDS,
                security_context=as_user(),
                topology_spread_constraints=spread_out(POD_LABELS),
                containers=[
                    k8s.core.v1.ContainerArgs(
                        name=NAME,
                        image=args.image,
                        image_pull_policy="IfNotPresent",
                        args=[f"{_SETTINGS_DIR}/{_SETTINGS}", f"{_TLS_DIR}/tls.crt", f"{_TLS_DIR}/tls.key"],
                        ports=[
                            k8s.core.v1.ContainerPortArgs(
                                name="postgresql", container_port=POOLER_PORT, protocol="TCP"
                            )
                        ],
                        resources=args.resources.requirements(),
                        security_context=restricted(),
                        startup_probe=_listens(period=1, failures=60),
                        readiness_probe=_listens(period=5, failures=2),
                        liveness_probe=_listens(period=10, failures=3),
                        lifecycle=k8s.core.v1.LifecycleArgs(
                            pre_stop=k8s.core.v1.LifecycleHandlerArgs(
                                sleep=k8s.core.v1.SleepActionArgs(seconds=_PRE_STOP_SECONDS)
                            )
                        ),
                        volume_mounts=[
                            *(
                                k8s.core.v1.VolumeMountArgs(name=volume, mount_path=path, read_only=True)
                                for volume, path in mounts.items()
                            ),
                            k8s.core.v1.VolumeMountArgs(name="socket", mount_path=_SOCKET_DIR),
                        ],
                    ),
                    self._exporter(),
                ],
                volumes=[
                    secrets_volume(args.secret_provider_class),
                    k8s.core.v1.VolumeArgs(
                        name="authorities",
                        config_map=k8s.core.v1.ConfigMapVolumeSourceArgs(name=args.certificates_config_map),
                    ),
                    k8s.core.v1.VolumeArgs(
                        name="certificate",
                        secret=k8s.core.v1.SecretVolumeSourceArgs(
                            secret_name=self._certificate_secret, default_mode=0o440
                        ),
                    ),
                    k8s.core.v1.VolumeArgs(
                        name="socket", empty_dir=k8s.core.v1.EmptyDirVolumeSourceArgs(size_limit="1Mi")
                    ),
                    k8s.core.v1.VolumeArgs(
                        name="settings", config_map=k8s.core.v1.ConfigMapVolumeSourceArgs(name=config_map)
                    ),
                ],
            ),
        )

    def _exporter(self) -> k8s.core.v1.ContainerArgs:
        """What tells PgBouncer's figures: pools, clients that wait, connections to the server."""
        args = self._args
        return k8s.core.v1.ContainerArgs(
            name="metrics",
            image=args.image,
            image_pull_policy="IfNotPresent",
            command=[_EXPORTER],
            args=[
                f"--web.listen-address=:{args.metrics_port}",
                "--pgBouncer.connectionString="
                f"postgres://{NAME}@/{NAME}?host={_SOCKET_DIR}&port={POOLER_PORT}&sslmode=disable",
            ],
            ports=[
                k8s.core.v1.ContainerPortArgs(
                    name="metrics", container_port=args.metrics_port, protocol="TCP"
                )
            ],
            resources=EXPORTER_RESOURCES.requirements(),
            security_context=restricted(),
            readiness_probe=_exporter_probe(10),
            liveness_probe=_exporter_probe(30),
            volume_mounts=[k8s.core.v1.VolumeMountArgs(name="socket", mount_path=_SOCKET_DIR)],
        )


def _exporter_probe(period: int) -> k8s.core.v1.ProbeArgs:
    return k8s.core.v1.ProbeArgs(
        http_get=k8s.core.v1.HTTPGetActionArgs(path="/", port="metrics"),
        period_seconds=period,
        timeout_seconds=3,
    )


def _listens(*, period: int, failures: int) -> k8s.core.v1.ProbeArgs:
    return k8s.core.v1.ProbeArgs(
        tcp_socket=k8s.core.v1.TCPSocketActionArgs(port="postgresql"),
        period_seconds=period,
        timeout_seconds=3,
        failure_threshold=failures,
    )
