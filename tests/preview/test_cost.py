"""Monthly cost: arithmetic on small plans that a person can check, and the real stacks."""

from dataclasses import replace
from typing import Any

import pytest

from components.stores.max_connections import MEMORY_GIB
from preview import cost
from preview.cost import CostReport, PriceError, Range, monthly
from preview.cost.charges import CHARGES
from preview.cost.prices import HOURS, prices_of
from preview.recording.plan import AGENT_TYPE, Plan, PlannedResource
from tests.policies.plans import plan_of, setting, with_resources
from tests.preview.change.test_timing import resource

US = prices_of("us-east-1").table

DATABASE, CACHE = "aws:rds/instance:Instance", "aws:elasticache/replicationGroup:ReplicationGroup"
PROXY, TARGET = "aws:rds/proxy:Proxy", "aws:rds/proxyTarget:ProxyTarget"
GROUP, CLUSTER = "aws:eks/nodeGroup:NodeGroup", "aws:eks/cluster:Cluster"
RELEASE, INGRESS = "kubernetes:helm.sh/v3:Release", "kubernetes:networking.k8s.io/v1:Ingress"


def plan(*resources: PlannedResource, region: str = "us-east-1") -> Plan:
    return Plan("p", "s", region, True, {r.urn: r for r in resources}, {})


def report(*resources: PlannedResource) -> CostReport:
    return monthly(plan(*resources))


def charge(type_: str, what: str, **inputs: Any) -> Range:
    """What one resource of a type is charged for ``what``."""
    [item] = [
        item for item in report(resource("it", type_, inputs=inputs)).items if item.what.startswith(what)
    ]
    return item.monthly


def database(**changes: Any) -> Range:
    good = {"instanceClass": "db.m7g.large", "allocatedStorage": 100, "maxAllocatedStorage": 200}
    return report(resource("it", DATABASE, inputs={**good, **changes})).total


def close(amount: Range, low: float, high: float | None = None) -> bool:
    return (amount.low, amount.high) == pytest.approx((low, low if high is None else high))


def test_a_month_has_730_hours() -> None:
    assert HOURS == 730
    assert close(charge(CLUSTER, "control plane"), 73.0)


def test_nodes_cost_from_the_fewest_of_the_cheapest_to_the_most_of_the_dearest() -> None:
    scaling = {"minSize": 2, "maxSize": 4, "desiredSize": 2}

    nodes = charge(GROUP, "2 to 4 x", instanceTypes=["m7i.large", "m6i.large"], scalingConfig=scaling)
    disks = charge(GROUP, "20 GiB", instanceTypes=["m7i.large"], scalingConfig=scaling)

    assert close(nodes, 2 * 0.096 * HOURS, 4 * 0.1008 * HOURS)
    assert close(disks, 2 * 20 * 0.08, 4 * 20 * 0.08)


def test_a_size_is_a_multiple_of_its_familys_large() -> None:
    scaling = {"minSize": 1, "maxSize": 1, "desiredSize": 1}

    for size, factor in {"medium": 0.5, "large": 1, "xlarge": 2, "4xlarge": 8}.items():
        nodes = charge(GROUP, "1 to 1 x", instanceTypes=[f"m7g.{size}"], scalingConfig=scaling)
        assert close(nodes, factor * 0.0816 * HOURS)


def test_the_disks_of_nodes_are_those_of_their_launch_template() -> None:
    template = resource(
        "t",
        "aws:ec2/launchTemplate:LaunchTemplate",
        id="lt-1",
        inputs={"blockDeviceMappings": [{"ebs": {"volumeSize": 50}}]},
    )
    inputs = {
        "instanceTypes": ["m7i.large"],
        "scalingConfig": {"minSize": 1, "maxSize": 1},
        "launchTemplate": {"id": "lt-1"},
    }

    assert "50 GiB gp3 a node" in [
        item.what for item in report(template, resource("g", GROUP, inputs=inputs)).items
    ]


def test_a_second_zone_doubles_the_database_and_its_storage_but_not_its_backups() -> None:
    instance, storage, backup = 0.168 * HOURS, 0.115, 0.095

    assert close(database(), instance + 100 * storage, instance + 200 * (storage + backup))
    assert close(
        database(multiAz=True), 2 * instance + 100 * 2 * storage, 2 * instance + 200 * (2 * storage + backup)
    )


@pytest.mark.parametrize(
    ("instance_class", "cpus"),
    # https://aws.amazon.com/rds/proxy/pricing/: by the vCPUs of the instance, two at least.
    [("db.t4g.micro", 2), ("db.m7g.large", 2), ("db.m7g.xlarge", 4), ("db.r7g.4xlarge", 16)],
)
def test_a_proxy_costs_by_the_vcpus_of_the_instance_behind_it(instance_class: str, cpus: int) -> None:
    instance = {
        "identifier": "agents",
        "instanceClass": instance_class,
        "allocatedStorage": 20,
    }
    items = report(
        resource("proxy", PROXY, inputs={"name": "proxy"}),
        resource("target", TARGET, inputs={"dbProxyName": "proxy", "dbInstanceIdentifier": "agents"}),
        resource(
            "other", DATABASE, inputs={**instance, "identifier": "other", "instanceClass": "db.m7g.16xlarge"}
        ),
        resource("it", DATABASE, inputs=instance),
    ).items
    (item,) = [item for item in items if item.what == f"{cpus} vCPUs"]
    assert close(item.monthly, cpus * 0.015 * HOURS)


def test_a_proxy_of_an_instance_of_another_stack_costs_its_least() -> None:
    assert close(charge(PROXY, "2 vCPUs, the least", name="proxy"), 2 * 0.015 * HOURS)


def test_valkey_costs_a_fifth_less_than_redis() -> None:
    redis = charge(CACHE, "3 x", nodeType="cache.m7g.large", engine="redis", numCacheClusters=3)
    valkey = charge(CACHE, "3 x", nodeType="cache.m7g.large", engine="valkey", numCacheClusters=3)

    assert close(redis, 3 * 0.158 * HOURS)
    assert close(valkey, redis.low * 0.8)


def test_shards_and_their_replicas_are_nodes() -> None:
    nodes = charge(CACHE, "6 x", nodeType="cache.t4g.micro", numNodeGroups=2, replicasPerNodeGroup=2)

    assert close(nodes, 6 * 0.016 * HOURS)


def test_an_interface_endpoint_costs_in_each_zone_and_a_gateway_endpoint_nothing() -> None:
    type_ = "aws:ec2/vpcEndpoint:VpcEndpoint"

    assert close(
        charge(type_, "hours", vpcEndpointType="Interface", subnetIds=["a", "b", "c"]), 3 * 0.01 * HOURS
    )
    assert report(resource("s3", type_, inputs={"vpcEndpointType": "Gateway"})).total == Range()


def test_logs_are_paid_when_written_and_for_as_long_as_they_are_kept() -> None:
    type_ = "aws:cloudwatch/logGroup:LogGroup"

    month, year = (charge(type_, "stored", retentionInDays=days) for days in (30, 360))

    assert close(charge(type_, "written", retentionInDays=30), 1 * 0.5, 10 * 0.5)
    assert close(year, 12 * month.low, 12 * month.high)
    assert close(charge(type_, "stored"), year.low, year.high)


def test_a_load_balancer_is_found_in_the_values_of_a_chart() -> None:
    service = {"type": "LoadBalancer", "annotations": {"x/aws-load-balancer-scheme": "internet-facing"}}

    found = report(resource("traefik", RELEASE, inputs={"values": {"service": service}}))

    assert [item.what for item in found.items] == [
        "network load balancer",
        "capacity units",
        "2 public IPv4 addresses",
    ]
    assert close(found.total, (0.0225 + 0.006 + 2 * 0.005) * HOURS, (0.0225 + 4 * 0.006 + 2 * 0.005) * HOURS)
    assert report(resource("other", RELEASE, inputs={"values": {}})).items == ()


def test_ingresses_of_one_group_share_one_load_balancer() -> None:
    def ingress(name: str, group: str) -> PlannedResource:
        annotations = {"alb.ingress.kubernetes.io/group.name": group}
        return resource(
            name,
            INGRESS,
            inputs={"metadata": {"annotations": annotations}, "spec": {"ingressClassName": "alb"}},
        )

    found = report(ingress("a", "one"), ingress("b", "one"), ingress("c", "two"))

    assert [item.name for item in found.items if item.what.startswith("application")] == ["a", "c"]


def test_spot_nodes_are_reckoned_as_a_share() -> None:
    scaling = {"minSize": 1, "maxSize": 1}
    spot = charge(GROUP, "1 to", instanceTypes=["m7i.large"], scalingConfig=scaling, capacityType="SPOT")

    assert close(spot, 0.3 * 0.1008 * HOURS, 0.7 * 0.1008 * HOURS)


def test_auto_mode_is_reckoned_by_what_the_pods_ask_for() -> None:
    cluster = resource("cluster", CLUSTER, inputs={"computeConfig": {"enabled": True}})
    prod = plan_of("prod")
    pods = [r for r in prod.resources.values() if r.kind in ("Deployment", "HorizontalPodAutoscaler")]

    [nodes] = [item for item in report(cluster, *pods).items if "Auto Mode" in item.what]

    # support asks 0.5 cores and 1 GiB, 3 to 10 times; research 1 and 2, 3 to 6 times; a node has 2 and 8.
    assert nodes.what.startswith("3 to 6 nodes")
    assert close(nodes.monthly, 3 * 0.1008 * HOURS * 1.12, 6 * 0.1008 * HOURS * 1.12)


def test_the_nodes_that_karpenter_starts_are_reckoned_without_auto_modes_fee_and_once() -> None:
    pools = [
        resource(name, "kubernetes:karpenter.sh/v1:NodePool", inputs={"metadata": {"name": name}})
        for name in ("on-demand", "spot")
    ]
    prod = plan_of("prod")
    pods = [r for r in prod.resources.values() if r.kind in ("Deployment", "HorizontalPodAutoscaler")]

    [nodes] = [item for item in report(*pools, *pods).items if "nodes like" in item.what]

    assert close(nodes.monthly, 3 * 0.1008 * HOURS, 6 * 0.1008 * HOURS)


def test_nothing_moves_a_node_group_beside_karpenter() -> None:
    scaling = {"minSize": 1, "maxSize": 4}
    group = resource("group", GROUP, inputs={"instanceTypes": ["m7i.large"], "scalingConfig": scaling})
    pool = resource("pool", "kubernetes:karpenter.sh/v1:NodePool", inputs={"metadata": {"name": "spot"}})

    [alone] = [item for item in report(group).items if "m7i.large" in item.what]
    [beside] = [item for item in report(group, pool).items if "m7i.large" in item.what]

    assert (alone.what, beside.what) == ("1 to 4 x m7i.large", "1 to 1 x m7i.large")


@pytest.mark.parametrize(
    ("type_", "path", "size", "named"),
    [
        (DATABASE, "instanceClass", "db.z9.large", "rdsPostgresLargeHour"),
        (CACHE, "nodeType", "cache.z9.large", "elasticacheLargeHour"),
        (GROUP, "instanceTypes", ["z9.large"], "ec2LargeHour"),
        (GROUP, "instanceTypes", ["m7i.metal"], "ec2LargeHour"),
    ],
)
def test_a_size_without_a_price_is_an_error_that_names_it_and_never_zero(
    type_: str, path: str, size: Any, named: str
) -> None:
    prod = plan_of("prod")
    [changed] = prod.of_type(type_)
    inputs = dict(changed.inputs)
    setting(path, size)(inputs)

    with pytest.raises(PriceError) as error:
        monthly(with_resources(prod, [replace(changed, inputs=inputs)]))

    message = str(error.value)
    assert message.startswith(
        f"{changed.name}: the price table has no {size if isinstance(size, str) else size[0]}"
    )
    assert f"preview/cost/prices.yaml ({named}" in message
    assert error.value.exit_code == 2


def test_all_sizes_without_a_price_are_reported_at_once() -> None:
    first = resource("a", DATABASE, inputs={"instanceClass": "db.z9.large", "allocatedStorage": 20})
    second = resource("b", CACHE, inputs={"nodeType": "cache.z9.large", "numCacheClusters": 1})

    with pytest.raises(PriceError, match=r"(?s)a: .*db\.z9\.large.*b: .*cache\.z9\.large"):
        report(first, second)


def test_a_type_that_may_cost_something_is_listed_and_one_that_never_does_is_not() -> None:
    found = report(
        resource("fleet", "aws:gamelift/fleet:Fleet"),
        resource("role", "aws:iam/role:Role"),
        resource("map", "kubernetes:core/v1:ConfigMap", inputs={"spec": {}}),
        resource("password", "random:index/randomPassword:RandomPassword"),
    )

    assert found.unpriced == ("aws:gamelift/fleet:Fleet",)
    assert "not priced: aws:gamelift/fleet:Fleet" in found.notes
    assert found.total == Range()


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_everything_in_the_stacks_is_priced_or_known_to_be_free(stack: str) -> None:
    assert monthly(plan_of(stack)).unpriced == ()


@pytest.mark.parametrize("region", ["eu-central-1", "us-east-1"])
def test_every_database_class_that_a_stack_may_name_is_priced(region: str) -> None:
    prices = prices_of(region)
    for name in MEMORY_GIB:
        assert prices.database_month(name) > 0


def test_no_type_is_both_free_and_charged() -> None:
    assert [type_ for type_ in CHARGES if prices_of("us-east-1").is_free(type_)] == []


def test_a_region_without_prices_borrows_and_says_so() -> None:
    there = monthly(replace(plan_of("dev"), region="ap-south-2"))

    assert (there.region, there.priced_region) == ("ap-south-2", "us-east-1")
    assert there.total == monthly(replace(plan_of("dev"), region="us-east-1")).total
    assert any("has no ap-south-2: us-east-1 stands in" in note for note in there.notes)


def test_the_regions_of_the_table_have_the_same_prices() -> None:
    tables = [prices_of(region).table for region in ("eu-central-1", "us-east-1")]

    assert tables[0].keys() == tables[1].keys()
    for key, value in tables[0].items():
        if isinstance(value, dict):
            assert value.keys() == tables[1][key].keys(), key
    assert close(Range.exactly(US["eksClusterHour"]), 0.1)


@pytest.mark.parametrize(("stack", "low", "high"), [("dev", 300, 1000), ("prod", 1000, 5000)])
def test_the_stacks_cost_about_what_one_would_expect(stack: str, low: float, high: float) -> None:
    total = monthly(plan_of(stack)).total

    assert low < total.low < total.high < high


def test_components_add_up_to_the_total_the_dearest_first() -> None:
    found = monthly(plan_of("prod"))

    assert close(sum(found.by_component.values(), start=Range()), found.total.low, found.total.high)
    assert next(iter(found.by_component)) == "cluster"
    assert {"network", "database", "cache", "traefik", "support", "research"} <= found.by_component.keys()


def test_an_agent_costs_what_is_its_own_and_a_part_of_the_nodes() -> None:
    agents = monthly(plan_of("prod")).agents

    assert agents.keys() == {"support", "research"}
    # research has the same secrets and asks for twice as much of each pod, at 3 to 6 instead of 3 to 10 replicas.
    assert agents["research"].own == agents["support"].own
    assert close(Range.exactly(agents["research"].nodes.low), 2 * agents["support"].nodes.low)
    assert close(Range.exactly(agents["research"].nodes.high), 1.2 * agents["support"].nodes.high)


def test_an_agent_without_pods_or_charges_costs_nothing() -> None:
    assert report(resource("quiet", AGENT_TYPE, custom=False)).agents == {
        "quiet": cost.AgentCost(Range(), Range())
    }


def test_a_difference_is_reported_by_component_the_largest_first() -> None:
    prod = plan_of("prod")
    [instance] = prod.of_type(DATABASE)
    [nodes] = prod.of_type(GROUP)
    larger = replace(instance, inputs={**instance.inputs, "instanceClass": "db.m7g.xlarge"})
    fewer = replace(
        nodes, inputs={**nodes.inputs, "scalingConfig": {"minSize": 3, "maxSize": 8, "desiredSize": 3}}
    )
    before, after = monthly(prod), monthly(with_resources(prod, [larger, fewer]))

    changes = after.changes(before)

    assert [change.component for change in changes] == ["database", "cluster"]
    assert close(changes[0].difference, 2 * 0.2 * HOURS)
    node = 0.2415 * HOURS + 50 * 0.0952
    assert close(changes[1].difference, 0, -node)
    assert close(after.difference(before), 2 * 0.2 * HOURS, 2 * 0.2 * HOURS - node)


def test_a_component_that_comes_or_goes_is_reported_as_such() -> None:
    prod = plan_of("prod")
    without = replace(
        prod, resources={u: r for u, r in prod.resources.items() if prod.agent(r) != "research"}
    )

    [gone] = monthly(without).changes(monthly(prod))
    [come] = monthly(prod).changes(monthly(without))

    assert (gone.component, gone.after) == ("research", None)
    assert (come.component, come.before) == ("research", None)
    assert gone.difference.high == pytest.approx(-come.difference.high)


def test_the_same_plan_has_no_changes() -> None:
    assert monthly(plan_of("prod")).changes(monthly(plan_of("prod"))) == []


def test_the_report_says_how_old_its_prices_are_and_what_it_takes_for_granted() -> None:
    found = monthly(plan_of("prod"))

    assert found.as_of.isoformat() == "2026-11-22"
    assert found.notes == [
        "AWS list prices of eu-central-1, on demand, as of 2026-11-22; verify before you budget"
    ]
    assert "20 to 200 GB through each NAT gateway" in found.assumptions
    assert "what model providers charge" in found.not_included
