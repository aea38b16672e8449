"""The stores of a plan, what stands before them, and which workloads get to them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from preview.exposure.model import Edge, Relation
from preview.exposure.network import Network
from preview.exposure.policies import NetworkPolicies
from preview.exposure.workloads import Workload
from preview.recording.plan import Plan, PlannedResource

_PROXY = "aws:rds/proxy:Proxy"
_TARGET = "aws:rds/proxyTarget:ProxyTarget"
# Where every proxy for PostgreSQL listens.
_POSTGRESQL = 5432


@dataclass(frozen=True)
class Store:
    """A database, a proxy of one or a cache, as the network sees it."""

    resource: PlannedResource
    port: int
    groups: tuple[str, ...]
    """Its security groups."""
    subnets: tuple[str, ...]
    public: bool
    """Whether it has a public address."""


def stores(plan: Plan, network: Network) -> Iterator[Store]:
    """The databases, their proxies and the caches."""
    for database in plan.of_type("aws:rds/instance:Instance"):
        i = database.inputs
        name = str(i.get("dbSubnetGroupName"))
        yield Store(
            database,
            int(database.outputs.get("port") or 5432),
            tuple(i.get("vpcSecurityGroupIds") or ()),
            tuple(network.subnets_of("aws:rds/subnetGroup:SubnetGroup", name, plan)),
            i.get("publiclyAccessible") is True,
        )
    for proxy in plan.of_type(_PROXY):
        i = proxy.inputs
        yield Store(
            proxy,
            _POSTGRESQL,
            tuple(i.get("vpcSecurityGroupIds") or ()),
            tuple(map(str, i.get("vpcSubnetIds") or ())),
            public=False,
        )
    for cache in plan.of_type("aws:elasticache/replicationGroup:ReplicationGroup"):
        i = cache.inputs
        name = str(i.get("subnetGroupName"))
        yield Store(
            cache,
            int(i.get("port") or 6379),
            tuple(i.get("securityGroupIds") or ()),
            tuple(network.subnets_of("aws:elasticache/subnetGroup:SubnetGroup", name, plan)),
            public=False,
        )


def reaches(
    all_stores: Iterable[Store], running: Iterable[Workload], network: Network, policies: NetworkPolicies
) -> Iterator[Edge]:
    """An edge from every workload to every store that it can connect to."""
    running = list(running)
    for store in all_stores:
        rule = network.from_pods(store.groups, store.port)
        if rule is None:
            continue
        cidrs = network.cidrs(store.subnets)
        for workload in running:
            verdict = policies.to_addresses(workload.namespace, workload.labels, cidrs, store.port)
            if verdict.allowed:
                yield Edge(
                    workload.resource.urn,
                    store.resource.urn,
                    Relation.CONNECTS,
                    f"{store.port}/tcp",
                    (f"security group rule {rule.by}", verdict.why),
                )


def forwards(all_stores: Iterable[Store], network: Network, plan: Plan) -> Iterator[Edge]:
    """An edge from every proxy to the database that it is told of and that lets it in."""
    found = list(all_stores)
    databases = {str(store.resource.inputs.get("identifier")): store for store in found}
    for proxy in found:
        for target in plan.of_type(_TARGET) if proxy.resource.type == _PROXY else ():
            database = databases.get(str(target.inputs.get("dbInstanceIdentifier")))
            if database is None or target.inputs.get("dbProxyName") != proxy.resource.inputs.get("name"):
                continue
            rule = network.from_groups(proxy.groups, database.groups, database.port)
            if rule is not None:
                yield Edge(
                    proxy.resource.urn,
                    database.resource.urn,
                    Relation.CONNECTS,
                    f"{database.port}/tcp",
                    (f"security group rule {rule.by}", f"target {target.name}"),
                )
