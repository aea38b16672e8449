"""What is read of a stack's plan."""

from pathlib import Path

import pytest

from preview.cost import monthly
from preview.recording.program import make_plan
from simulate.autoscaler import Policy, Rules, Unit
from simulate.metrics import QueueTarget, ResourceTarget
from simulate.replay import SCALERS, replay
from simulate.stack import Scaling, scaling_of
from tests.preview.projects import Settings, plan_of, project
from tests.simulate.fleets import trace


def _changed(folder: Path, change: object) -> Scaling:
    return scaling_of(make_plan("dev", project(folder, "dev", settings=change)))  # type: ignore[arg-type]


def test_an_agents_autoscaler_pods_and_places_are_those_of_its_objects() -> None:
    prod = scaling_of(plan_of("prod"))
    research, support = prod.fleets
    assert (research.agent, support.agent) == ("research", "support")
    assert (support.spec.least, support.spec.most) == (3, 10)
    assert list(support.spec.targets) == [ResourceTarget("cpu", 70), ResourceTarget("memory", 80)]
    assert support.spec.up == Rules([Policy(Unit.PODS, 2, 60)], 30)
    assert support.spec.down == Rules([Policy(Unit.PODS, 1, 60)], 300)
    assert research.requests == {"cpu": 1000, "memory": 2 * 2**30 * 1000}
    assert (research.cpu_limit, support.cpu_limit) == (2, 1)
    assert (research.places, research.run_timeout, research.grace_seconds) == (100, 600, 640)
    assert support.workload.over_zones
    assert support.scaled is None


def test_nodes_cost_what_the_preview_says_of_their_group() -> None:
    plan = plan_of("prod")
    prod = scaling_of(plan)
    (group,) = prod.groups
    assert (group.least, group.nodes.nodes, group.nodes.zones) == (3, 9, 3)
    total = monthly(plan).total
    assert (prod.other_daily.high + 9 * group.hourly * 24) * 730 / 24 == pytest.approx(total.high)


def test_what_stands_on_the_nodes_besides_is_neither_an_agent_nor_a_job() -> None:
    names = {workload.name: workload.pods for workload in scaling_of(plan_of("prod")).standing}
    assert names["traefik"] == 3
    assert names["coredns"] == 2
    assert not any("support" in name or "migration" in name for name in names)


def test_a_queue_is_scaled_by_the_autoscaler_that_keda_makes(tmp_path: Path) -> None:
    def with_workers(settings: Settings) -> None:
        settings["agents"][0] |= {
            "env": {"MAX_CONCURRENT_RUNS": "40"},
            "workers": {"replicas": {"min": 0, "max": 4}, "autoscaling": {"queue": 8}},
        }

    (workers,) = _changed(tmp_path, with_workers).fleets
    assert workers.deployment == "support-worker"
    assert workers.places == 40
    assert list(workers.spec.targets)[2] == QueueTarget(8000)
    # An autoscaler keeps one pod, and KEDA takes the last.
    assert workers.spec.least == 1
    assert workers.scaled
    assert (workers.scaled.least, workers.scaled.polling_seconds, workers.scaled.cooldown_seconds) == (
        0,
        5,
        300,
    )
    assert not workers.answers_itself


@pytest.mark.parametrize(
    ("compute", "words"),
    [("karpenter", "Karpenter starts nodes to fit"), ("auto-mode", "Auto Mode starts nodes")],
)
def test_nodes_that_are_started_to_fit_are_reckoned_by_the_size_that_holds_every_pod(
    tmp_path: Path, compute: str, words: str
) -> None:
    def changed(settings: Settings) -> None:
        cluster = settings["cluster"]
        cluster["compute"] = compute
        if compute == "karpenter":
            cluster["karpenter"] = {"cpuLimit": 60}
        else:
            del cluster["nodeGroups"]
        settings["agents"][0]["resources"] = {
            "requests": {"cpu": "3", "memory": "2Gi"},
            "limits": {"cpu": "3", "memory": "2Gi"},
        }

    stack = _changed(tmp_path, changed)
    group = stack.groups[-1]
    assert group.nodes.size.instance_type == "m7i.xlarge"
    assert group.nodes.nodes == (15 if compute == "karpenter" else 1000)
    assert any(words in note for note in stack.notes)
    outcome = replay(stack, trace((0, 60), (600, 600), seconds=1800), next(iter(SCALERS)))
    assert max(outcome.nodes) > outcome.nodes[0]
    assert outcome.agents[0].series.ready[-1] > 2
    assert outcome.nodes_daily > 0
