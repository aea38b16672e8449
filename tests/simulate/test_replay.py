"""A load and what becomes of it."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulate.assumptions import NODE_SECONDS, SCAN_SECONDS
from simulate.cluster import Cluster
from simulate.fleet import LiveFleet
from simulate.replay import SCALERS, AgentOutcome, replay
from simulate.stack import Fleet
from simulate.trace import Trace
from tests.simulate.fleets import fleet, scaling, trace

STACK, DOCUMENT = SCALERS


def _replayed(of: Fleet, load: Trace, name: str = STACK) -> AgentOutcome:
    return replay(scaling(of), load, name).agents[0]


def _at(outcome: AgentOutcome, values: list[int], second: int) -> int:
    return values[outcome.series.seconds.index(second)]


def test_a_quiet_agent_keeps_its_fewest_pods_and_takes_as_long_as_its_runs() -> None:
    outcome = _replayed(fleet(least=2), trace((0, 60), cpu=0.2))
    assert set(outcome.series.wanted) == {2}
    assert outcome.submitted == pytest.approx(3600, rel=0.05)
    assert outcome.latency(0.5) == pytest.approx(18.4, rel=0.05)
    # A gamma distribution of shape 4: one in twenty takes 1.94 times the mean.
    assert outcome.latency(0.95) == pytest.approx(38.8, rel=0.05)
    assert outcome.wait(0.95) == 0


def test_the_same_load_has_the_same_outcome() -> None:
    assert _replayed(fleet(), trace((0, 60))) == _replayed(fleet(), trace((0, 60)))


def test_load_brings_pods_by_two_a_minute_and_its_end_takes_them_one_by_one() -> None:
    # 240 a minute of 0.8 CPU seconds are 3.2 cores: 9.1 pods at 70 % of half a core.
    outcome = _replayed(fleet(), trace((0, 6), (600, 240), (1800, 6)))
    wanted = outcome.series.wanted
    assert max(wanted[: 600 // 15]) == 1
    assert _at(outcome, wanted, 1500) in (9, 10)
    changes = [after - before for before, after in itertools.pairwise(wanted)]
    assert max(changes) == 2
    assert min(changes) == -1
    # Five minutes after the load has gone, the first pod goes.
    first = next(
        second for second, n in zip(outcome.series.seconds, wanted, strict=True) if second > 1800 and n < 9
    )
    assert 1800 + 300 <= first <= 1800 + 360
    assert wanted[-1] == 1


def test_pods_that_come_are_ready_a_quarter_of_a_minute_later() -> None:
    outcome = _replayed(fleet(), trace((0, 6), (600, 240)))
    series = outcome.series
    came = next(second for second, n in zip(series.seconds, series.wanted, strict=True) if n > 1)
    assert _at(outcome, series.ready, came) == 1
    assert _at(outcome, series.ready, came + 15) == 3


def test_runs_wait_for_a_place_and_an_agent_that_waits_for_its_model_brings_no_pod() -> None:
    # Ten places of a minute each, 20 runs a minute, and next to no CPU.
    outcome = _replayed(fleet(places=10), trace((0, 20), run=60, cpu=0.01))
    assert set(outcome.series.wanted) == {1}
    assert outcome.series.waiting[-1] > 400
    assert outcome.wait(0.95) > 600


def test_with_a_queue_the_same_load_brings_pods() -> None:
    outcome = _replayed(fleet(places=10, queue=8), trace((0, 20), run=60, cpu=0.01))
    assert max(outcome.series.wanted) in (3, 4)
    assert outcome.series.waiting[-1] < 10


def test_workers_go_to_zero_and_come_back_for_the_first_run() -> None:
    outcome = _replayed(fleet(least=0, queue=10), trace((0, 0), (900, 60), (960, 0)))
    series = outcome.series
    assert _at(outcome, series.wanted, 885) == 0
    came = next(second for second, n in zip(series.seconds, series.wanted, strict=True) if n)
    assert 900 <= came <= 930
    # The first one waits for the pod and no longer.
    assert 15 <= outcome.ended[0].waited <= 25
    assert series.wanted[-1] == 0
    assert outcome.open == 0
    assert outcome.submitted == len(outcome.ended)


def test_runs_that_ask_for_more_cpu_than_the_limit_become_slower() -> None:
    # 60 runs a minute of 20 s and 2 CPU seconds are two cores of one, on one pod.
    outcome = _replayed(fleet(most=1), trace((0, 60), cpu=2, seconds=600))
    assert outcome.latency(0.5) > 60


def test_a_run_that_takes_too_long_times_out() -> None:
    outcome = _replayed(fleet(most=1, run_timeout=100.0), trace((0, 60), cpu=4, seconds=1200))
    timed_out = [ended for ended in outcome.ended if ended.timed_out]
    assert len(timed_out) > 100
    assert all(100 <= ended.latency - ended.waited < 105 for ended in timed_out)


def _two_pods_with_runs(grace: float) -> tuple[LiveFleet, int]:
    """At second 60, and how many runs the first pod has."""
    live = LiveFleet(fleet(grace_seconds=grace), trace((0, 60), (60, 0), run=200), Cluster([], [], []))
    live.settle([None, None])
    live.serve(0, 60)
    live.delete(live.servers[0], 60)
    return live, len(live.servers[0].runs)


def test_a_pod_that_is_asked_to_stop_takes_no_more_runs_and_goes_when_it_has_none() -> None:
    live, runs = _two_pods_with_runs(grace=3600)
    assert runs > 20
    assert live.replicas == 1
    live.serve(60, 1000)
    live.reap(1000)
    assert len(live.servers) == 1
    assert live.open == 0
    assert max(ended.latency for ended in live.ended) < 600


def test_after_its_grace_others_go_on_with_what_is_left_of_its_runs() -> None:
    live, runs = _two_pods_with_runs(grace=30)
    executing = live.executing
    live.reap(80)
    assert len(live.servers) == 2
    live.reap(90)
    assert len(live.servers) == 1
    assert len(live.queue) == runs
    assert live.executing == executing - runs
    live.serve(90, 91)
    # 100 places take them all.
    assert not live.queue
    live.serve(91, 1000)
    assert live.submitted == len(live.ended)
    # They have waited half a minute, and were not begun anew.
    assert max(ended.latency for ended in live.ended) < 600


def test_pods_wait_for_nodes_that_boot_and_nodes_go_when_their_pods_have_moved() -> None:
    load = trace((0, 6), (600, 240), (1800, 6), seconds=7200)
    outcome = replay(scaling(fleet(), least=1, most=4), load, STACK)
    (agent,) = outcome.agents
    came = next(second for second, n in zip(outcome.seconds, outcome.nodes, strict=True) if n > 1)
    waited = next(second for second, n in zip(outcome.seconds, outcome.without_node, strict=True) if n)
    # Until the next look, and then until it has booted.
    assert NODE_SECONDS <= came - waited <= NODE_SECONDS + SCAN_SECONDS + 15
    assert max(outcome.nodes) == 4
    # Three on each: the last pods of the ten and of their nodes go one by one.
    assert outcome.nodes[-1] == 1
    assert agent.series.ready[-1] == agent.series.wanted[-1] == 1
    assert agent.submitted == len(agent.ended) + agent.open
    assert not agent.timed_out
    # A node costs $2.40 a day; what boots costs as well.
    mean = sum(outcome.nodes) / len(outcome.nodes)
    assert 2.4 * mean <= outcome.nodes_daily <= 2.4 * mean * 1.05


def test_a_pod_that_stays_moves_off_a_node_that_goes() -> None:
    # What is left of ten pods stands on two nodes, for the autoscaler takes those first that stand beside others.
    load = trace((0, 6), (600, 240), (1800, 6), seconds=9000)
    outcome = replay(scaling(fleet(least=2), least=1, most=4), load, STACK)
    (agent,) = outcome.agents
    assert (max(outcome.nodes), outcome.nodes[-1]) == (4, 1)
    assert agent.series.ready[-1] == agent.series.wanted[-1] == 2
    # Its successor is there before a second one goes.
    assert min(agent.series.ready) >= 1
    assert agent.submitted == len(agent.ended) + agent.open


def test_the_documents_strategy_follows_every_step_of_a_load() -> None:
    load = trace((0, 6), (600, 240), (1800, 6))
    ours, theirs = _replayed(fleet(), load), _replayed(fleet(), load, DOCUMENT)

    def changes(outcome: AgentOutcome) -> int:
        return sum(a != b for a, b in itertools.pairwise(outcome.series.wanted))

    assert changes(theirs) > 2 * changes(ours)


RATES = st.lists(st.sampled_from([0, 1, 30, 300, 1500]), min_size=1, max_size=4).filter(any)


@settings(max_examples=40)
@given(
    rates=RATES,
    run=st.sampled_from([1.0, 20.0, 300.0]),
    cpu=st.sampled_from([0.0, 0.5, 5.0]),
    places=st.integers(1, 50),
    bounds=st.tuples(st.integers(0, 3), st.integers(3, 12)),
    queue=st.none() | st.integers(1, 20),
    grace=st.sampled_from([1.0, 640.0]),
    nodes=st.integers(0, 3),
    name=st.sampled_from(list(SCALERS)),
)
def test_no_run_is_lost_and_pods_stay_within_their_bounds(
    rates: list[int],
    run: float,
    cpu: float,
    places: int,
    bounds: tuple[int, int],
    queue: int | None,
    grace: float,
    nodes: int,
    name: str,
) -> None:
    least, most = bounds
    # Only a queue brings the first pod back.
    least = max(least, 1) if queue is None else least
    load = trace(
        *((300.0 * n, float(rate)) for n, rate in enumerate(rates)),
        run=run,
        cpu=cpu,
        seconds=300.0 * len(rates),
    )
    of = fleet(least, most, places, queue, grace_seconds=grace)
    whole = replay(scaling(of, min(nodes, 1), nodes), load, name)
    (outcome,) = whole.agents
    assert all(running <= nodes for running in whole.nodes)
    assert outcome.submitted == len(outcome.ended) + outcome.open
    assert all(least <= wanted <= most for wanted in outcome.series.wanted)
    assert all(executing <= places * 2 * most for executing in outcome.series.executing)
    assert all(ended.latency >= ended.waited >= 0 for ended in outcome.ended)
