"""What the controller makes of proposals: stabilisation, policies, bounds, and metrics that nobody tells."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from simulate.autoscaler import Autoscaler, Policy, Rules, Select, Spec, Unit
from simulate.metrics import QueueTarget, Readings, ResourceTarget

PODS_UP, PODS_DOWN = Policy(Unit.PODS, 2, 60), Policy(Unit.PODS, 1, 60)
UP, DOWN = Rules([PODS_UP], 0), Rules([PODS_DOWN], 0)


def _spec(up: Rules = UP, down: Rules = DOWN, least: int = 1, most: int = 10) -> Spec:
    return Spec(least=least, most=most, targets=[QueueTarget(1000)], up=up, down=down)


def _series(spec: Spec, wanted: Sequence[int | None], start: int, period: int = 15) -> list[int]:
    """The replicas after each look at queues that ask for so many."""
    autoscaler, replicas, series = Autoscaler(spec), start, []
    for look, queue in enumerate(wanted):
        readings = Readings({}, None if queue is None else queue * 1000)
        replicas = autoscaler.sync(look * period, [], readings, replicas=replicas, status_replicas=replicas)
        series.append(replicas)
    return series


def test_at_most_two_pods_come_in_a_minute() -> None:
    assert _series(_spec(), [10] * 9, 2) == [4, 4, 4, 4, 6, 6, 6, 6, 8]


def test_pods_come_after_half_a_minute_that_wanted_them() -> None:
    spec = _spec(up=Rules([PODS_UP], 30), down=Rules([PODS_DOWN], 300))
    # The first look remembers what there was; the window holds looks that are younger than it.
    assert _series(spec, [2, 10, 10, 10, 10], 2) == [2, 2, 4, 4, 4]
    assert _series(spec, [2, 10, 2, 10, 2, 10], 2) == [2] * 6


def test_one_pod_a_minute_goes_after_five_minutes_that_did_not_want_it() -> None:
    series = _series(_spec(down=Rules([PODS_DOWN], 300)), [8] + [2] * 32, 8)
    assert [look for look, (before, after) in enumerate(itertools.pairwise(series), 1) if after < before] == [
        20,
        24,
        28,
        32,
    ]


def test_the_most_of_the_window_holds_pods() -> None:
    series = _series(_spec(down=Rules([Policy(Unit.PERCENT, 100, 15)], 60)), [8, 2, 6, 2, 2, 2, 2, 2], 8)
    assert series == [8, 8, 8, 8, 6, 6, 2, 2]


def test_replicas_beyond_the_bounds_are_brought_back_whatever_the_metrics_say() -> None:
    assert _series(_spec(least=3, most=5), [None], 9) == [5]
    assert _series(_spec(least=3, most=5), [None], 1) == [3]


def test_what_brings_replicas_back_counts_against_the_policies() -> None:
    assert _series(_spec(least=5), [9] * 6, 1) == [5, 5, 5, 5, 7, 7]


def test_bounds_hold_proposals() -> None:
    assert _series(_spec(most=3), [9, 9], 2) == [3, 3]
    assert _series(_spec(least=2), [0, 0], 3) == [2, 2]


def test_without_a_metric_nothing_changes() -> None:
    assert _series(_spec(), [None] * 3, 4) == [4, 4, 4]


def test_with_one_metric_of_two_pods_come_and_none_go() -> None:
    # Nobody tells what the pods use.
    some = replace(_spec(), targets=[QueueTarget(1000), ResourceTarget("cpu", 70)])
    assert _series(_spec(), [2], 4) == [3]
    assert _series(some, [2], 4) == [4]
    assert _series(some, [9], 4) == [6]


def test_zero_replicas_turn_the_autoscaler_off() -> None:
    assert _series(_spec(), [9], 0) == [0]


def test_of_two_policies_the_one_that_is_selected_holds() -> None:
    policies = [Policy(Unit.PODS, 4, 15), Policy(Unit.PERCENT, 100, 15)]
    assert _series(_spec(up=Rules(policies, 0)), [10], 3) == [7]
    assert _series(_spec(up=Rules(policies, 0, Select.MIN)), [10], 3) == [6]
    assert _series(_spec(up=Rules(policies, 0, Select.DISABLED)), [10], 3) == [3]
    assert _series(_spec(up=Rules([Policy(Unit.PERCENT, 10, 15)], 0)), [10], 3) == [4]
    policies = [Policy(Unit.PODS, 1, 15), Policy(Unit.PERCENT, 50, 15)]
    assert _series(_spec(down=Rules(policies, 0)), [1], 9) == [4]
    assert _series(_spec(down=Rules(policies, 0, Select.MIN)), [1], 9) == [8]


_POLICIES = st.lists(
    st.builds(Policy, st.sampled_from(Unit), st.integers(1, 100), st.sampled_from([15, 60, 180])),
    min_size=1,
    max_size=3,
)
_RULES = st.builds(Rules, _POLICIES, st.sampled_from([0, 30, 300]), st.sampled_from(Select))


@settings(max_examples=200)
@given(
    up=_RULES,
    down=_RULES,
    least=st.integers(1, 5),
    more=st.integers(0, 20),
    start=st.integers(1, 30),
    wanted=st.lists(st.none() | st.integers(0, 60), min_size=1, max_size=60),
)
def test_replicas_never_leave_the_bounds(
    up: Rules, down: Rules, least: int, more: int, start: int, wanted: list[int | None]
) -> None:
    series = _series(_spec(up, down, least, least + more), wanted, start)
    assert all(least <= replicas <= least + more for replicas in series)


@settings(max_examples=200)
@given(
    pods=st.integers(1, 5),
    period=st.sampled_from([15, 60, 180]),
    wanted=st.lists(st.none() | st.integers(0, 60), min_size=1, max_size=60),
)
def test_no_period_moves_replicas_further_than_its_policy(
    pods: int, period: int, wanted: list[int | None]
) -> None:
    rules = Rules([Policy(Unit.PODS, pods, period)], 0)
    series = [10, *_series(_spec(rules, rules, 1, 60), wanted, 10)]
    looks = period // 15
    for look in range(len(wanted)):
        moved = series[look + 1] - series[look]
        # Who moves is held to what there was a period ago; who stays may have come back from further away.
        since = series[look + 1] - series[max(0, look + 1 - looks)]
        assert since <= pods if moved > 0 else since >= -pods if moved < 0 else True
