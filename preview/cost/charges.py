"""What AWS charges for each type of resource, a month: the sizes and counts of a plan times the price table."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from preview.cost.prices import Prices
from preview.cost.range import Range
from preview.cost.requests import requested
from preview.recording.plan import Plan, PlannedResource

#: What is charged, and how much, USD a month.
Charge = tuple[str, Range]
Charges = Callable[["Costing", PlannedResource], Iterator[Charge]]

_ELB_SUBNET = "kubernetes.io/role/elb"
# CloudWatch keeps logs for ever unless a retention is set; reckon with a year of that.
_LOG_MONTHS_UNLESS_TOLD = 12
# What EKS Auto Mode picks is its own choice; its general-purpose pool mostly takes instances like these.
AUTO_MODE_INSTANCE = "m7i.large"
_AUTO_MODE_LEAST_NODES = 2
# https://aws.amazon.com/rds/proxy/pricing/
_LEAST_PROXY_CPUS = 2.0


@dataclass(frozen=True)
class Costing:
    """A plan, and the prices of its region."""

    plan: Plan
    prices: Prices

    @property
    def public_zones(self) -> int:
        """How many zones an internet-facing load balancer has addresses in."""
        subnets = self.plan.of_type("aws:ec2/subnet:Subnet")
        return sum(_ELB_SUBNET in (subnet.inputs.get("tags") or {}) for subnet in subnets) or 2

    def by_id(self, type_: str, id_: object) -> PlannedResource | None:
        return next((resource for resource in self.plan.of_type(type_) if resource.id == id_), None)


def _cluster(costing: Costing, cluster: PlannedResource) -> Iterator[Charge]:
    prices = costing.prices
    yield "control plane", Range.exactly(prices.monthly("eksClusterHour"))
    if _at(cluster.inputs, "computeConfig", "enabled"):
        nodes = _fitting_nodes(costing)
        node = prices.instance_month(AUTO_MODE_INSTANCE) * (1 + prices.of("eksAutoModeShare"))
        yield (
            f"{nodes.low:g} to {nodes.high:g} nodes like {AUTO_MODE_INSTANCE}, with Auto Mode's fee",
            nodes * node,
        )


def _fitting_nodes(costing: Costing) -> Range:
    """How many nodes are started for the pods where something starts them one by one."""
    cpus, memory = costing.prices.instance_shape(AUTO_MODE_INSTANCE)
    least, most = (
        max(
            _AUTO_MODE_LEAST_NODES,
            math.ceil(sum(need.nodes(cpus, memory) for need in requested(costing.plan, end))),
        )
        for end in ("min", "max")
    )
    return Range(least, most)


def _node_pool(costing: Costing, pool: PlannedResource) -> Iterator[Charge]:
    """Karpenter's nodes, reckoned on demand; a pool of Spot nodes takes pods off these, and makes it cheaper."""
    if pool.inputs.get("metadata", {}).get("name") != "on-demand":
        return
    nodes = _fitting_nodes(costing)
    shown = f"{nodes.low:g} to {nodes.high:g} nodes like {AUTO_MODE_INSTANCE}"
    yield shown, nodes * costing.prices.instance_month(AUTO_MODE_INSTANCE)


def _node_group(costing: Costing, group: PlannedResource) -> Iterator[Charge]:
    prices = costing.prices
    scaling = group.inputs["scalingConfig"]
    # Karpenter starts nodes of its own, and nothing moves the groups beside it.
    moved = not costing.plan.of_type("kubernetes:karpenter.sh/v1:NodePool")
    nodes = Range(scaling["minSize"], scaling["maxSize"] if moved else scaling["minSize"])
    types = list(group.inputs["instanceTypes"])
    months = [prices.instance_month(type_) for type_ in types]
    share = prices.usage("spotShare") if group.inputs.get("capacityType") == "SPOT" else Range.exactly(1)
    shown = f"{nodes.low:g} to {nodes.high:g} x {' or '.join(types)}"
    yield shown, nodes * Range(min(months), max(months)) * share
    disk = _disk(costing, group)
    yield f"{disk} GiB gp3 a node", nodes * prices.of("ebsGp3GigabyteMonth") * disk


def _disk(costing: Costing, group: PlannedResource) -> int:
    """GiB of each node's root volume; EKS takes 20 where nothing is said."""
    template_id = _at(group.inputs, "launchTemplate", "id")
    template = costing.by_id("aws:ec2/launchTemplate:LaunchTemplate", template_id)
    mappings = (template.inputs.get("blockDeviceMappings") if template else None) or []
    sizes = [_at(mapping, "ebs", "volumeSize") for mapping in mappings]
    return sum(size for size in sizes if size) or group.inputs.get("diskSize") or 20


def _nat_gateway(costing: Costing, _: PlannedResource) -> Iterator[Charge]:
    prices = costing.prices
    yield "hours", Range.exactly(prices.monthly("natGatewayHour"))
    yield "traffic", prices.usage("natGigabytes") * prices.of("natGatewayGigabyte")


def _address(costing: Costing, _: PlannedResource) -> Iterator[Charge]:
    yield "public IPv4 address", Range.exactly(costing.prices.monthly("publicAddressHour"))


def _endpoint(costing: Costing, endpoint: PlannedResource) -> Iterator[Charge]:
    if endpoint.inputs.get("vpcEndpointType", "Gateway") != "Interface":
        return
    prices, zones = costing.prices, len(endpoint.inputs["subnetIds"])
    yield f"hours in {zones} zones", Range.exactly(zones * prices.monthly("endpointHour"))
    yield "traffic", prices.usage("endpointGigabytes") * prices.of("endpointGigabyte")


def _database(costing: Costing, database: PlannedResource) -> Iterator[Charge]:
    prices, inputs = costing.prices, database.inputs
    zones = 2 if inputs.get("multiAz") else 1
    shown = f"{inputs['instanceClass']}{' in two zones' if zones == 2 else ''}"
    yield shown, Range.exactly(zones * prices.database_month(inputs["instanceClass"]))
    least = inputs["allocatedStorage"]
    storage = Range(least, inputs.get("maxAllocatedStorage") or least)
    yield f"{storage.low:g} to {storage.high:g} GiB gp3", storage * zones * prices.of("rdsGp3GigabyteMonth")
    yield "backups", storage * prices.usage("backupShare") * prices.of("rdsBackupGigabyteMonth")


def _proxy(costing: Costing, proxy: PlannedResource) -> Iterator[Charge]:
    """By the hour for each vCPU of the instance behind it, of which AWS charges two at least."""
    prices, plan = costing.prices, costing.plan
    behind = {
        target.inputs.get("dbInstanceIdentifier")
        for target in plan.of_type("aws:rds/proxyTarget:ProxyTarget")
        if target.inputs.get("dbProxyName") == proxy.inputs["name"]
    }
    databases = [
        database
        for database in plan.of_type("aws:rds/instance:Instance")
        if database.inputs.get("identifier") in behind
    ]
    cpus = max(
        (prices.database_cpus(database.inputs["instanceClass"]) for database in databases),
        default=_LEAST_PROXY_CPUS,
    )
    whose = "" if databases else ", the least, for its instance is not of this stack"
    yield f"{cpus:g} vCPUs{whose}", Range.exactly(cpus * prices.monthly("rdsProxyCpuHour"))


def _cache(costing: Costing, cache: PlannedResource) -> Iterator[Charge]:
    prices, inputs = costing.prices, cache.inputs
    node, nodes = inputs["nodeType"], _cache_nodes(inputs)
    yield f"{nodes} x {node}", Range.exactly(nodes * prices.cache_month(node, inputs.get("engine", "redis")))
    if inputs.get("snapshotRetentionLimit"):
        memory = prices.cache_memory(node)
        yield (
            "snapshots",
            prices.usage("snapshotShare") * memory * prices.of("elasticacheSnapshotGigabyteMonth"),
        )


def _cache_nodes(inputs: Mapping[str, Any]) -> int:
    """By the count of nodes, or by shards and the replicas of each."""
    if "numCacheClusters" in inputs:
        return int(inputs["numCacheClusters"])
    return int(inputs.get("numNodeGroups", 1) * (1 + inputs.get("replicasPerNodeGroup", 0)))


def _key(costing: Costing, _: PlannedResource) -> Iterator[Charge]:
    prices = costing.prices
    yield "key", Range.exactly(prices.of("kmsKeyMonth"))
    yield "requests", prices.usage("keyRequests") * (prices.of("kmsTenThousandRequests") / 10_000)


def _secret(costing: Costing, _: PlannedResource) -> Iterator[Charge]:
    prices = costing.prices
    yield "secret", Range.exactly(prices.of("secretMonth"))
    yield "reads", prices.usage("secretReads") * (prices.of("secretTenThousandReads") / 10_000)


def _log_group(costing: Costing, group: PlannedResource) -> Iterator[Charge]:
    prices = costing.prices
    written = prices.usage("logGigabytes")
    yield "written", written * prices.of("logGigabyte")
    days = group.inputs.get("retentionInDays")
    months = days / 30 if days else _LOG_MONTHS_UNLESS_TOLD
    stored = written * prices.usage("logCompression") * months
    yield "stored", stored * prices.of("logStorageGigabyteMonth")


def _repository(costing: Costing, _: PlannedResource) -> Iterator[Charge]:
    yield "images", costing.prices.usage("imageGigabytes") * costing.prices.of("imageGigabyteMonth")


def _web_acl(costing: Costing, acl: PlannedResource) -> Iterator[Charge]:
    prices, rules = costing.prices, len(acl.inputs.get("rules") or ())
    yield "web ACL", Range.exactly(prices.of("webAclMonth"))
    yield f"{rules} rules", Range.exactly(rules * prices.of("webAclRuleMonth"))
    yield "requests", prices.usage("webRequests") * prices.of("webAclMillionRequests")


def _alarm(costing: Costing, _: PlannedResource) -> Iterator[Charge]:
    yield "alarm", Range.exactly(costing.prices.of("alarmMonth"))


def _dashboard(costing: Costing, _: PlannedResource) -> Iterator[Charge]:
    yield "dashboard", Range.exactly(costing.prices.of("dashboardMonth"))


def _zone(costing: Costing, _: PlannedResource) -> Iterator[Charge]:
    yield "hosted zone", Range.exactly(costing.prices.of("hostedZoneMonth"))


def _release(costing: Costing, release: PlannedResource) -> Iterator[Charge]:
    """A chart whose Service asks for a load balancer."""
    service = _at(release.inputs, "values", "service") or {}
    if service.get("type") == "LoadBalancer":
        yield from _load_balancer(costing, "network", service.get("annotations") or {})


def _service(costing: Costing, service: PlannedResource) -> Iterator[Charge]:
    if _at(service.inputs, "spec", "type") == "LoadBalancer":
        yield from _load_balancer(costing, "network", _at(service.inputs, "metadata", "annotations") or {})


def _ingress(costing: Costing, ingress: PlannedResource) -> Iterator[Charge]:
    """One Application Load Balancer for each group of Ingresses; its first Ingress stands for it."""
    if _at(ingress.inputs, "spec", "ingressClassName") != "alb":
        return
    group = _group(ingress)
    others = costing.plan.of_type("kubernetes:networking.k8s.io/v1:Ingress")
    if group is None or ingress.urn == min(other.urn for other in others if _group(other) == group):
        yield from _load_balancer(
            costing, "application", _at(ingress.inputs, "metadata", "annotations") or {}
        )


def _group(ingress: PlannedResource) -> Any:
    return _at(ingress.inputs, "metadata", "annotations", "alb.ingress.kubernetes.io/group.name")


def _load_balancer(costing: Costing, kind: str, annotations: Mapping[str, Any]) -> Iterator[Charge]:
    prices, zones = costing.prices, costing.public_zones
    yield f"{kind} load balancer", Range.exactly(prices.monthly(f"{kind}LoadBalancerHour"))
    yield "capacity units", prices.usage("loadBalancerUnits") * prices.monthly(f"{kind}LoadBalancerUnitHour")
    if "internet-facing" in annotations.values():
        yield f"{zones} public IPv4 addresses", Range.exactly(zones * prices.monthly("publicAddressHour"))


#: Every type that costs something, and what of it.
CHARGES: Mapping[str, Charges] = {
    "aws:cloudwatch/dashboard:Dashboard": _dashboard,
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _alarm,
    "aws:ec2/eip:Eip": _address,
    "aws:ec2/natGateway:NatGateway": _nat_gateway,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:ecr/repository:Repository": _repository,
    "aws:eks/cluster:Cluster": _cluster,
    "aws:eks/nodeGroup:NodeGroup": _node_group,
    "aws:elasticache/replicationGroup:ReplicationGroup": _cache,
    "aws:kms/key:Key": _key,
    "aws:rds/instance:Instance": _database,
    "aws:rds/proxy:Proxy": _proxy,
    "aws:route53/zone:Zone": _zone,
    "aws:secretsmanager/secret:Secret": _secret,
    "aws:wafv2/webAcl:WebAcl": _web_acl,
    "kubernetes:core/v1:Service": _service,
    "kubernetes:helm.sh/v3:Release": _release,
    "kubernetes:karpenter.sh/v1:NodePool": _node_pool,
    "kubernetes:networking.k8s.io/v1:Ingress": _ingress,
}


def _at(value: Any, *path: str) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
