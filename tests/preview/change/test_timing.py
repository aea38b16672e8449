"""The deploy-time estimate, on small graphs by hand and on the real stacks."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from preview.change import timing
from preview.change.diff import compare
from preview.change.timing import Timing, UpdateTiming, estimate, estimate_update
from preview.recording.plan import Plan, PlannedResource
from tests.policies.plans import plan_of

CLUSTER, ADDON, KEY = "aws:eks/cluster:Cluster", "aws:eks/addon:Addon", "aws:kms/key:Key"
COMPONENT = "langgraph-agents:components:Network"


def resource(
    name: str, type_: str = KEY, waits_for: Iterable[str] = (), **changes: object
) -> PlannedResource:
    """One whose URN is its name."""
    made = PlannedResource(
        urn=name,
        type=type_,
        name=name,
        parent="",
        custom=":components:" not in type_,
        inputs={},
        outputs={},
        id="",
        dependencies=tuple(waits_for),
        property_dependencies={},
        provider="",
        protect=False,
        aliases=(),
        ignore_changes=(),
        replace_on_changes=(),
        delete_before_replace=False,
        additional_secret_outputs=(),
        retain_on_delete=False,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def estimated(*resources: PlannedResource) -> Timing:
    return estimate(Plan("p", "s", "eu-central-1", False, {r.urn: r for r in resources}, {}))


def seconds(type_: str) -> float:
    return float(timing._table()["types"][type_]["seconds"])


def test_what_waits_for_nothing_is_made_side_by_side() -> None:
    result = estimated(resource("a", CLUSTER), resource("b", KEY), resource("c", KEY))

    assert result.total == seconds(CLUSTER)
    assert [step.name for step in result.chain] == ["a"]
    assert {step.start for step in result.schedule} == {0.0}


def test_the_longest_chain_counts_whatever_the_order() -> None:
    result = estimated(
        resource("last", ADDON, ["cluster"]), resource("cluster", CLUSTER, ["key"]), resource("key", KEY)
    )

    assert [step.name for step in result.chain] == ["key", "cluster", "last"]
    assert result.total == seconds(KEY) + seconds(CLUSTER) + seconds(ADDON)
    assert [step.start for step in result.chain] == [0, seconds(KEY), seconds(KEY) + seconds(CLUSTER)]


def test_a_component_is_there_at_once_and_a_parent_that_is_made_is_waited_for() -> None:
    component = resource("network", COMPONENT, ["slow"])
    slow = resource("slow", CLUSTER)

    below_component = estimated(component, slow, resource("child", KEY, parent="network"))
    below_resource = estimated(slow, resource("child", KEY, parent="slow"))

    assert next(step for step in below_component.schedule if step.name == "child").start == 0
    assert next(step for step in below_resource.schedule if step.name == "child").start == seconds(CLUSTER)


def test_a_provider_that_needs_the_cluster_holds_up_what_it_makes() -> None:
    provider = resource("urn::provider", "pulumi:providers:kubernetes", ["cluster"])
    namespace = resource("namespace", "kubernetes:core/v1:Namespace", provider="urn::provider::id")

    result = estimated(resource("cluster", CLUSTER), provider, namespace)

    assert [step.name for step in result.chain] == ["cluster", "namespace"]


def test_inputs_decide_how_long_it_takes() -> None:
    database = "aws:rds/instance:Instance"

    one, two = (
        estimated(resource("d", database, inputs={"multiAz": zones})).total for zones in (False, True)
    )

    assert one < two


def test_nested_inputs_decide_too() -> None:
    ingress = "kubernetes:networking.k8s.io/v1:Ingress"

    alb = estimated(resource("i", ingress, inputs={"spec": {"ingressClassName": "alb"}}))
    traefik = estimated(resource("i", ingress, inputs={"spec": {"ingressClassName": "traefik"}}))

    assert traefik.total < alb.total


def test_a_cut_saves_no_more_than_until_the_next_chain_holds_things_up() -> None:
    result = estimated(
        resource("cluster", CLUSTER),
        resource("after", ADDON, ["cluster"]),
        resource("database", "aws:rds/instance:Instance"),
    )

    saved = {cut.step.name: cut.saves for cut in result.cuts}
    assert saved["cluster"] == seconds(CLUSTER) + seconds(ADDON) - seconds("aws:rds/instance:Instance")
    assert saved["after"] == seconds(ADDON)
    assert [cut.step.name for cut in result.cuts] == ["cluster", "after"]
    assert "fewer add-ons" in result.cuts[1].how


def test_two_equal_chains_leave_nothing_to_cut() -> None:
    assert estimated(resource("a", CLUSTER), resource("b", CLUSTER)).cuts == ()


def test_an_empty_plan_takes_no_time() -> None:
    result = estimated()

    assert (result.total, result.chain, result.schedule) == (0, (), ())


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_stacks_wait_for_their_cluster_above_all(stack: str) -> None:
    result = estimate(plan_of(stack))

    assert 10 * 60 < result.total < 30 * 60
    assert "cluster-cluster" in [step.name for step in result.chain]
    assert result.chain[-1].end == result.total
    for before, after in zip(result.chain, result.chain[1:], strict=False):
        assert before.end == after.start
    assert {step.urn for step in result.schedule if step.critical} == {step.urn for step in result.chain}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_nothing_starts_before_what_it_waits_for(stack: str) -> None:
    plan = plan_of(stack)
    steps = {step.urn: step for step in estimate(plan).schedule}

    for urn, step in steps.items():
        for other in plan.resources[urn].dependencies:
            if other in steps:
                assert steps[other].end <= step.start


def test_every_slow_type_of_the_stacks_has_a_figure_of_its_own() -> None:
    """A new type falls back to its package's figure; these are the ones that a fallback would be wrong for."""
    known = timing._table()["types"]

    slow = {
        "Cluster",
        "NodeGroup",
        "Addon",
        "Instance",
        "ReplicationGroup",
        "NatGateway",
        "Release",
        "Deployment",
        "Job",
    }
    types = {resource.type for resource in plan_of("prod").resources.values() if resource.kind in slow}
    assert types - {t for t in types if t.startswith("langgraph-agents")} <= known.keys()


def test_the_table_says_when_and_from_where_its_figures_are() -> None:
    table = timing._table()

    assert table["asOf"].year >= 2026
    assert all(source.startswith("https://") for source in table["sources"].values())
    assert all(entry["seconds"] >= 0 for entry in table["types"].values())


def plan_with(*resources: PlannedResource) -> Plan:
    return Plan("p", "s", "eu-central-1", False, {r.urn: r for r in resources}, {})


def updated(before: Iterable[PlannedResource], after: Iterable[PlannedResource]) -> UpdateTiming:
    return estimate_update(
        compare(plan_with(*before), plan_with(*after)), ["last restarts: requests wait for it"]
    )


def figure(type_: str, operation: str) -> float:
    return float(timing._table()["types"][type_][operation])


def test_an_update_takes_what_changes_and_waits_through_what_stays() -> None:
    first, between, last = (
        resource("first", CLUSTER),
        resource("b", ADDON, ["first"]),
        resource("last", ADDON, ["b"]),
    )
    changed = [
        replace(first, inputs={"version": "1.36"}),
        between,
        replace(last, inputs={"addonVersion": "2"}),
    ]

    result = updated([replace(first, inputs={"version": "1.35"}), between, last], changed)

    assert [(step.name, step.what, step.start) for step in result.steps] == [
        ("first", "updated", 0),
        ("last", "updated", figure(CLUSTER, "update")),
    ]
    assert result.total == figure(CLUSTER, "update") + figure(ADDON, "update")
    assert [step.noticed for step in result.steps] == [(), ("last restarts: requests wait for it",)]


def test_deletions_come_last_and_what_others_depend_on_goes_after_them() -> None:
    below, above = resource("below", CLUSTER), resource("above", ADDON, ["below"])
    new = resource("new", KEY)

    result = updated([below, above], [new])

    made, deleted = seconds(KEY), figure(ADDON, "delete")
    assert [(step.name, step.what, step.start) for step in result.steps] == [
        ("new", "created", 0),
        ("above", "deleted", made),
        ("below", "deleted", made + deleted),
    ]
    assert result.total == made + deleted + figure(CLUSTER, "delete")


def test_deletions_go_in_rounds_and_each_waits_for_the_whole_one_before() -> None:
    """ScheduleDeletes: what depends on nothing that goes is in the last round, beside whatever else does."""
    slow, below = resource("slow", CLUSTER, ["below"]), resource("below", KEY)
    alone = resource("alone", KEY)

    result = updated([below, slow, alone], [])

    assert {step.name: step.start for step in result.steps} == {
        "slow": 0,
        "below": figure(CLUSTER, "delete"),
        "alone": figure(CLUSTER, "delete"),
    }


def test_a_step_names_the_steps_that_it_waits_for_through_what_stays() -> None:
    first, between, last = (
        resource("first", CLUSTER),
        resource("b", ADDON, ["first"]),
        resource("last", ADDON, ["b"]),
    )
    changed = [replace(first, inputs={"version": "2"}), between, replace(last, inputs={"addonVersion": "2"})]

    result = updated([first, between, last], [*changed, resource("new", KEY)])

    assert [(step.name, step.after) for step in result.steps] == [("first", ()), ("new", ()), ("last", (0,))]


def test_what_is_replaced_beside_goes_last_and_what_has_a_fixed_name_goes_first() -> None:
    group = "aws:eks/nodeGroup:NodeGroup"
    old = [
        resource("beside", group, inputs={"instanceTypes": ["a"]}),
        resource("fixed", group, inputs={"instanceTypes": ["a"], "nodeGroupName": "n"}),
    ]

    result = updated(old, [replace(each, inputs={**each.inputs, "instanceTypes": ["b"]}) for each in old])

    made, gone = seconds(group), figure(group, "delete")
    assert {(step.name, step.what): (step.start, step.seconds) for step in result.steps} == {
        ("beside", "replaced"): (0, made),
        ("fixed", "replaced"): (0, gone + made),
        ("beside", "deleted after it was replaced"): (gone + made, gone),
    }


def test_what_waits_for_its_window_is_later_and_takes_no_time_of_the_update() -> None:
    database = "aws:rds/instance:Instance"
    old = resource(
        "d", database, inputs={"instanceClass": "a", "multiAz": True, "maintenanceWindow": "sun:03:30"}
    )

    result = updated([old], [replace(old, inputs={**old.inputs, "instanceClass": "b"})])

    assert result.later == ("d: failover, 2 minutes, in the maintenance window (sun:03:30)",)
    assert result.total == figure(database, "update")


def test_nothing_to_change_takes_no_time() -> None:
    key = resource("key", KEY)

    assert (updated([key], [key]).total, updated([key], [key]).steps) == (0, ())
