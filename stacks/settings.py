"""The whole vocabulary of a stack file, valid and frozen.

``langgraph-agents:settings`` in ``Pulumi.<stack>.yaml`` holds one ``Settings``. Rules that bind fields of one part
stand beside them; rules that bind several parts are in ``stacks.rules``.
"""

from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from components.cluster.addons import AUTO_MODE_BRINGS
from components.cluster.node_groups import Architecture, CapacityType
from components.network.network import NatGateways
from components.stores.cache import MAJORS, CacheEngine
from stacks.agent_settings import Agent, AgentDefaults
from stacks.aws_vocabulary import (
    AddonVersions,
    CacheNodeType,
    Cidr,
    ClusterName,
    IamArn,
    InstanceClass,
    InstanceType,
    KmsKeyArn,
    LogRetentionDays,
    RepositoryName,
    SecretArn,
    SecurityGroupId,
    SubnetIds,
    Tags,
    TopicArn,
    VpcCidr,
    VpcId,
)
from stacks.policy_exceptions import PolicySettings
from stacks.vocabulary import (
    Compute,
    Email,
    EngineVersion,
    Flag,
    Fqdn,
    IngressController,
    Issuer,
    KubernetesVersion,
    Model,
    Name,
    ObjectName,
    Pooler,
    RegistryServer,
    Whole,
)


def _only(model: Model, *names: str, made: str = "one") -> None:
    """Refuse what is of a thing that is made, where one that is there is taken.

    Raises:
        ValueError: naming the fields.
    """
    own = model.model_fields_set - {"existing", *names}
    if own:
        fields = type(model).model_fields
        shown = ", ".join(sorted(str(fields[name].alias) for name in own))
        raise ValueError(
            f"existing is there, and {shown} are of {made} that is made: remove the one or the other"
        )


def _recovery_days(days: int) -> int:
    if 0 < days < 7:
        raise ValueError("use 7 to 30, or 0 to delete at once: Secrets Manager has nothing between")
    return days


class ExistingNetwork(Model):
    """A VPC that is there already: nothing of it is made or changed."""

    vpc_id: VpcId
    """It has DNS support and DNS hostnames on."""
    public_subnet_ids: SubnetIds
    """For load balancers: routed to an internet gateway, and tagged ``kubernetes.io/role/elb: 1``."""
    private_subnet_ids: SubnetIds
    """For nodes and pods, in two zones at least: routed to NAT gateways."""
    database_subnet_ids: SubnetIds
    """For RDS and ElastiCache, in two zones at least: routed nowhere. May be the private ones."""

    @model_validator(mode="after")
    def _public_subnets_are_for_load_balancers_alone(self) -> Self:
        inner = {*self.private_subnet_ids, *self.database_subnet_ids}
        if both := [id_ for id_ in self.public_subnet_ids if id_ in inner]:
            raise ValueError(
                f"publicSubnetIds has {', '.join(both)}, which nodes or databases are in as well: name them once"
            )
        return self


class Network(Model):
    """The VPC: one that is made, by ``cidr``, or one that is there, by ``existing``."""

    cidr: VpcCidr | None = None
    """Its addresses, which nothing that it is peered with may use."""
    existing: ExistingNetwork | None = None
    """A VPC of somebody else's."""
    zones: Annotated[Whole, Field(ge=2, le=3)] = 2
    """How many availability zones. EKS and RDS need two; not every region has more than three."""
    nat_gateways: NatGateways = NatGateways.SINGLE
    """One for the VPC, or one for each zone, which a zone's outage then does not cut off."""
    interface_endpoints: tuple[str, ...] = ()
    """AWS services reached privately, by their short names, such as ecr.api, ecr.dkr, logs, secretsmanager, sts. With
    ``existing`` those that the VPC has in its private subnets: agents may reach them, and none is made."""
    flow_logs: Flag = False
    """Record accepted and refused traffic."""

    @model_validator(mode="after")
    def _it_is_made_or_there(self) -> Self:
        if self.cidr is None and self.existing is None:
            raise ValueError(
                "has neither cidr nor existing: set cidr to the addresses of a VPC to be made, such as 10.20.0.0/16, or"
                " existing to one that is there"
            )
        if self.existing is not None:
            _only(self, "interface_endpoints", made="a VPC")
        return self


class NodeGroup(Model):
    """A managed node group."""

    name: Name
    """Unique among the groups."""
    instance_types: Annotated[tuple[InstanceType, ...], Field(min_length=1)]
    """Interchangeable types, the preferred first."""
    capacity_type: CapacityType = CapacityType.ON_DEMAND
    """On demand, or spot."""
    min_size: Annotated[Whole, Field(ge=1, le=450)]
    """The fewest nodes."""
    max_size: Annotated[Whole, Field(ge=1, le=450)]
    """The most nodes."""
    disk_size: Annotated[Whole, Field(ge=20, le=16_384)] = 50
    """GiB of encrypted gp3 on each node."""

    @model_validator(mode="after")
    def _min_is_at_most_max(self) -> Self:
        if self.min_size > self.max_size:
            raise ValueError(
                f"minSize {self.min_size} is above maxSize {self.max_size}: lower minSize or raise maxSize"
            )
        return self


class KarpenterNodes(Model):
    """What Karpenter may start, with ``compute: karpenter``."""

    cpu_limit: Annotated[Whole, Field(ge=2, le=10_000)] = 100
    """vCPUs that its nodes have together, on demand and Spot each: a bound of the bill."""
    disk_size: Annotated[Whole, Field(ge=20, le=16_384)] = 50
    """GiB of encrypted gp3 on each node."""


class ExistingCluster(Model):
    """An EKS cluster that is there already, in ``network.existing``: docs/existing.md says what it has to have."""

    name: ClusterName
    """Its name."""
    security_group_id: SecurityGroupId | None = None
    """The group of its nodes that databases and caches let in; the one that EKS makes unless set."""


class Cluster(Model):
    """The EKS cluster."""

    existing: ExistingCluster | None = None
    """A cluster of somebody else's, of which only ``version``, ``compute`` and ``architecture`` are said besides."""
    version: KubernetesVersion = "1.36"
    """Kubernetes' minor version."""
    compute: Compute = Compute.NODE_GROUPS
    """Managed node groups, Karpenter beside a small one, or Auto Mode."""
    architecture: Architecture = Architecture.X86_64
    """Of the nodes, and of the image that is built for them."""
    node_groups: tuple[NodeGroup, ...] = ()
    """At least one, unless Auto Mode runs the nodes; with Karpenter the one that Karpenter itself runs on."""
    karpenter: KarpenterNodes = KarpenterNodes()
    """What Karpenter may start."""
    endpoint_public_access_cidrs: tuple[Cidr, ...] = ()
    """Who reaches the API server from the internet; nobody when empty. The private endpoint is always on."""
    admin_principal_arns: tuple[IamArn, ...] = ()
    """IAM roles that administer the cluster, the one that deploys included; when empty, its creator does."""
    log_retention_days: LogRetentionDays = 30
    """How long control-plane logs are kept."""
    addon_versions: AddonVersions = Field(default_factory=dict)
    """Pinned versions of EKS add-ons by name; the others get EKS's default when they are installed."""

    @model_validator(mode="after")
    def _node_groups_go_with_the_compute(self) -> Self:
        if self.existing is not None:
            _only(self, "version", "compute", "architecture")
            return self
        if self.compute is Compute.NODE_GROUPS and not self.node_groups:
            raise ValueError(
                "compute node-groups needs at least one entry in nodeGroups; or set compute: auto-mode"
            )
        if self.compute is Compute.KARPENTER and not self.node_groups:
            raise ValueError(
                "compute karpenter needs one entry in nodeGroups, for Karpenter itself and what it cannot run without:"
                " two m7i.large are enough"
            )
        if self.compute is not Compute.KARPENTER and "karpenter" in self.model_fields_set:
            raise ValueError(
                f"karpenter is for compute karpenter, and compute is {self.compute}: change the one or the other"
            )
        if self.compute is Compute.AUTO_MODE and self.node_groups:
            raise ValueError("compute auto-mode brings its own nodes: remove nodeGroups")
        if self.compute is Compute.AUTO_MODE:
            brought = sorted(AUTO_MODE_BRINGS & self.addon_versions.keys())
            if brought:
                raise ValueError(
                    f"addonVersions pins {', '.join(brought)}, which compute auto-mode brings itself, in versions of"
                    " AWS's choice: remove them there"
                )
            if self.architecture is Architecture.ARM64:
                raise ValueError(
                    "architecture arm64 does not go with compute auto-mode, whose general-purpose nodes all have x86"
                    " processors: set architecture to x86_64, or use node-groups"
                )
        names = [group.name for group in self.node_groups]
        if len(names) != len(set(names)):
            raise ValueError(f"nodeGroups names must be unique, got {', '.join(names)}")
        return self


class ExistingDatabase(Model):
    """An RDS PostgreSQL instance that is there already, in the database subnets of ``network.existing``."""

    identifier: ObjectName
    """Its name."""
    admin_secret_arn: SecretArn
    """The entry with the URI of a role that may create databases and roles: it reads
    ``postgresql://NAME:PASSWORD@HOST:5432/postgres?sslmode=verify-full&sslrootcert=/etc/langgraph-agents/rds-ca.pem``."""
    admin_secret_kms_key_arn: KmsKeyArn | None = None
    """The key that encrypts that entry, if it is one of yours: migrations get leave to use it."""
    security_group_id: SecurityGroupId | None = None
    """One of its security groups, to which a rule is added that lets the agents' pods in; unset if they are let in."""


class Database(Model):
    """The RDS PostgreSQL instance that holds the agents' checkpoints, a database for each."""

    existing: ExistingDatabase | None = None
    """An instance of somebody else's, of which only ``instanceClass`` and ``pooler`` are said besides."""
    engine_version: EngineVersion = "17"
    """PostgreSQL's major version (17 or 18), or an exact one."""
    allow_major_upgrade: Flag = False
    """For the one deployment that raises the major version, which takes the database away at once for ten minutes."""
    instance_class: InstanceClass
    """Its size, which also bounds its connections."""
    allocated_storage: Annotated[Whole, Field(ge=20, le=65_536)] = 20
    """GiB of gp3."""
    max_allocated_storage: Annotated[Whole, Field(ge=20, le=65_536)] = 100
    """GiB that storage autoscaling may grow it to."""
    multi_az: Flag = False
    """A standby in another zone."""
    deletion_protection: Flag = False
    """RDS refuses to delete it."""
    backup_retention_days: Annotated[Whole, Field(ge=1, le=35)] = 7
    """How far back a point-in-time restore reaches."""
    performance_insights: Flag = False
    """Which queries load it, kept for seven days."""
    pooler: Pooler = Pooler.NONE
    """What shares connections to it among the agents' pods: PgBouncer in transaction mode, RDS Proxy, or nothing."""

    @model_validator(mode="after")
    def _one_that_is_there_is_as_it_is(self) -> Self:
        if self.existing is not None:
            _only(self, "instance_class", "pooler")
            if self.pooler is Pooler.RDS_PROXY:
                raise ValueError(
                    f"existing is there, and pooler {self.pooler} wants an instance that the stack makes: a rule of its"
                    " security group lets the proxy in, and its connections are nobody else's. Set pooler to"
                    f" {Pooler.PGBOUNCER}, which asks nothing of the instance"
                )
        return self

    @model_validator(mode="after")
    def _storage_can_grow(self) -> Self:
        if self.max_allocated_storage <= self.allocated_storage:
            raise ValueError(
                f"maxAllocatedStorage {self.max_allocated_storage} must be above allocatedStorage"
                f" {self.allocated_storage}: a full disk stops every agent."
                f" Set it to {self.allocated_storage * 2} or more"
            )
        if self.engine_version.split(".")[0] not in {"17", "18"}:
            raise ValueError(f"engineVersion {self.engine_version} is not offered here: use 17 or 18")
        return self


class ExistingCache(Model):
    """An ElastiCache replication group that is there already, in the database subnets of ``network.existing``."""

    replication_group_id: ObjectName
    """Its name. It encrypts in transit, and is not in cluster mode."""
    user_group_id: ObjectName
    """Its user group, which the agents' logins join."""
    security_group_id: SecurityGroupId | None = None
    """One of its security groups, to which a rule is added that lets the agents' pods in; unset if they are let in."""


class Cache(Model):
    """The ElastiCache replication group, with a login and a key prefix for each agent."""

    existing: ExistingCache | None = None
    """A replication group of somebody else's, of which only ``engine`` is said besides."""
    engine: CacheEngine = CacheEngine.VALKEY
    """Valkey, or Redis OSS."""
    engine_version: EngineVersion = "8.1"
    """The engine's version."""
    node_type: CacheNodeType = "cache.t4g.micro"
    """The size of each node."""
    replicas: Annotated[Whole, Field(ge=0, le=5)] = 0
    """Copies in other zones; one or more bring automatic failover."""
    snapshot_retention_days: Annotated[Whole, Field(ge=0, le=35)] = 0
    """Days that daily snapshots are kept; none when 0."""

    @model_validator(mode="after")
    def _the_engine_has_the_version(self) -> Self:
        if self.existing is not None:
            _only(self, "engine")
            return self
        majors = MAJORS[self.engine]
        major, dot, _ = self.engine_version.partition(".")
        if not dot or major not in majors:
            raise ValueError(
                f"engineVersion {self.engine_version} is not offered for {self.engine}: use major and minor, in quotes,"
                f" of {' or '.join(majors)}"
            )
        return self


class Image(Model):
    """The image that the stack builds, for the agents that name none of their own."""

    context: str = "service"
    """The build context, a folder relative to Pulumi.yaml, with its Dockerfile."""
    keep: Annotated[Whole, Field(ge=2, le=1000)] = 20
    """How many images a repository keeps at least, for rollbacks."""
    repository: RepositoryName | None = None
    """An ECR repository of the stack's account and region that is there already, for all images that the stack builds.
    Its lifecycle is its owner's, so ``keep`` does not go with it."""

    @model_validator(mode="after")
    def _a_repository_that_is_there_keeps_what_its_owner_says(self) -> Self:
        if self.repository is not None and "keep" in self.model_fields_set:
            raise ValueError(
                f"keep is of repositories that are made, and {self.repository} is there: remove keep"
            )
        return self


class Registry(Model):
    """The login to a registry of images that agents name by ``image``."""

    server: RegistryServer
    """Its host, as images have it, such as ghcr.io; Docker Hub's is docker.io."""
    secret_arn: SecretArn
    """The entry of Secrets Manager that holds ``{"username": "...", "password": "..."}``. Whoever deploys reads it."""


class Ingress(Model):
    """How callers reach the agents."""

    controller: IngressController = IngressController.TRAEFIK
    """Traefik behind a Network Load Balancer, or an Application Load Balancer."""
    hosted_zone: Fqdn
    """The Route 53 zone that all hosts are in."""
    email: Email
    """Let's Encrypt writes here before a certificate ends unrenewed."""
    issuer: Issuer = Issuer.STAGING
    """Who signs certificates."""
    replicas: Annotated[Whole, Field(ge=1, le=20)] = 1
    """Traefik's pods."""
    idle_timeout: Annotated[Whole, Field(ge=60, le=4000)] = 350
    """Seconds that a connection may be silent: above the longest run, or its stream is cut."""


class Alarms(Model):
    """Whom CloudWatch tells when the database, the cache or a NAT gateway of the stack is in trouble: a topic that is
    made, by ``emails``, or one that is there, by ``topicArn``."""

    emails: tuple[Email, ...] = ()
    """Who is told. Each address confirms it by a link in a first e-mail."""
    topic_arn: TopicArn | None = None
    """An SNS topic of the stack's region that is there already, such as one that PagerDuty or Slack listens to. Its
    policy, and that of its key, let CloudWatch write to it."""

    @model_validator(mode="after")
    def _somebody_is_told(self) -> Self:
        if bool(self.emails) == (self.topic_arn is not None):
            raise ValueError(
                "has both emails and topicArn: subscribe the addresses to that topic, or remove topicArn"
                if self.emails
                else "tells nobody: set emails to addresses, or topicArn to a topic that is there"
            )
        return self


class Settings(PolicySettings):
    """One stack."""

    # What policies read is read by itself as well, and then ignores the rest.
    model_config = ConfigDict(extra="forbid")

    namespace: Name = "langgraph-agents"
    """The Kubernetes namespace of the agents."""
    tags: Tags = Field(default_factory=dict)
    """On every AWS resource, besides the project's and the stack's name."""
    secret_recovery_days: Annotated[Whole, Field(ge=0, le=30), AfterValidator(_recovery_days)] = Field(
        default_factory=lambda data: 7 if data.get("production") else 0
    )
    """How long a deleted secret can be restored, and its name is taken: 7 to 30, or 0 for neither. Unless set 7 in
    production, which does not take 0, and 0 elsewhere."""
    network: Network
    """The VPC."""
    cluster: Cluster = Cluster(compute=Compute.AUTO_MODE)
    """The EKS cluster."""
    database: Database
    """RDS PostgreSQL."""
    cache: Cache = Cache()
    """ElastiCache."""
    image: Image = Image()
    """The image build."""
    registries: tuple[Registry, ...] = ()
    """Logins to the registries of ready images. Public images need none, and ECR knows the nodes by their role."""
    ingress: Ingress
    """Load balancer, certificates, DNS."""
    alarms: Alarms | None = None
    """Alarms on what the agents stand on. None unless set: docs/alarms.md."""
    defaults: AgentDefaults = AgentDefaults()
    """What all agents share; each may set its own."""
    agents: tuple[Agent, ...]
    """The agents. None, ``[]``, is a platform for the agents of other stacks: docs/existing.md."""
