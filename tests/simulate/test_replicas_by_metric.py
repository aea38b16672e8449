"""How many replicas a metric asks for. The cases are those that Kubernetes' documentation of the algorithm names."""

import pytest

from simulate.metrics import (
    Phase,
    Pod,
    QueueTarget,
    Readiness,
    ResourceTarget,
    Sample,
    Tolerances,
    UnknownError,
    by_queue,
    by_resource,
)

NOW = 10_000.0
CPU = ResourceTarget("cpu", 70)


def _pod(number: int, **more: object) -> Pod:
    settled = {"started": NOW - 3600, "ready": True, "ready_changed": NOW - 3590}
    return Pod(f"pod-{number}", requests={"cpu": 500}, **{"phase": Phase.RUNNING, **settled, **more})  # type: ignore[arg-type]


def _asked(pods: list[Pod], millicores: dict[int, int], target: ResourceTarget = CPU) -> int:
    samples = {f"pod-{number}": Sample(value, NOW - 5, 15) for number, value in millicores.items()}
    return by_resource(
        target,
        samples,
        pods,
        replicas=len(pods),
        tolerances=Tolerances(),
        readiness=Readiness(),
        now=NOW,
    )


@pytest.mark.parametrize(
    ("millicores", "replicas"),
    [
        (350, 4),
        # 77 %, 1.1 times the target, is the last that is tolerated; 63 % on the other side.
        (385, 4),
        (389, 4),
        (390, 5),
        (315, 4),
        (314, 4),
        (150, 2),
        (700, 8),
        (0, 0),
    ],
)
def test_use_that_differs_by_more_than_a_tenth_asks_for_replicas_in_proportion(
    millicores: int, replicas: int
) -> None:
    assert _asked([_pod(n) for n in range(4)], dict.fromkeys(range(4), millicores)) == replicas


def test_percents_are_whole_ones_so_that_a_fraction_more_is_tolerated() -> None:
    # 77.8 % counts as 77 %, which is exactly a tenth above 70 %.
    assert _asked([_pod(n) for n in range(4)], dict.fromkeys(range(4), 389)) == 4


def test_on_the_way_up_a_pod_without_a_sample_is_taken_to_use_nothing() -> None:
    pods = [_pod(n) for n in range(4)]
    # Three at 100 % ask for 6 of them; with the fourth at nothing it is 75 %, which is tolerated.
    assert _asked(pods, dict.fromkeys(range(3), 500)) == 4


def test_on_the_way_down_a_pod_without_a_sample_is_taken_to_use_all_of_its_request() -> None:
    pods = [_pod(n) for n in range(4)]
    # Three at 20 % and one at 100 %: 40 %, three of four are enough instead of one.
    assert _asked(pods, dict.fromkeys(range(3), 100)) == 3


def test_a_target_above_the_request_is_what_a_pod_without_a_sample_is_taken_to_use_on_the_way_down() -> None:
    # 150 % of 500m where the target is 150 %, so that (100 + 100 + 750) of 1500m are 63 %, and 2 pods are enough.
    assert _asked([_pod(n) for n in range(3)], {0: 100, 1: 100}, ResourceTarget("cpu", 150)) == 2


def test_what_is_missing_never_turns_the_direction() -> None:
    # Two at 60 % are below the target, and with three more at 100 % it is 84 %: nothing is done.
    assert _asked([_pod(n) for n in range(5)], {0: 300, 1: 300}) == 5
    # One at 150 % and five unknown ones are 25 %.
    assert _asked([_pod(n) for n in range(6)], {0: 750}) == 6


def test_pods_that_start_do_not_count_but_dampen_the_way_up() -> None:
    starting = [_pod(n, ready=False, started=NOW - 20, ready_changed=NOW - 20) for n in (2, 3)]
    # Two at 200 %, and the two that start at nothing: 100 %, which asks for six instead of twelve.
    assert _asked([_pod(0), _pod(1), *starting], {0: 1000, 1: 1000, 2: 900, 3: 900}) == 6


def test_pods_that_start_hold_nothing_on_the_way_down() -> None:
    starting = _pod(2, ready=False, started=NOW - 20, ready_changed=NOW - 20)
    assert _asked([_pod(0), _pod(1), starting], {0: 100, 1: 100, 2: 500}) == 1


def test_pending_pods_count_as_those_that_start() -> None:
    pending = _pod(1, phase=Phase.PENDING, started=None, ready=False)
    assert _asked([_pod(0), pending], {0: 1000}) == 3


def test_a_ready_pod_counts_once_a_whole_window_was_measured_since_then() -> None:
    def young(ready_for: float) -> Pod:
        return _pod(1, started=NOW - 60, ready_changed=NOW - ready_for)

    # The sample ended 5 s ago and is of 15 s.
    assert _asked([_pod(0), young(19)], {0: 700, 1: 700}) == 2
    assert _asked([_pod(0), young(20)], {0: 700, 1: 700}) == 4


def test_after_five_minutes_a_pod_that_was_ready_once_counts_even_when_it_is_not() -> None:
    lost = _pod(1, started=NOW - 301, ready=False, ready_changed=NOW - 30)
    never = _pod(1, started=NOW - 301, ready=False, ready_changed=NOW - 301 + 20)
    assert _asked([_pod(0), lost], {0: 700, 1: 700}) == 4
    assert _asked([_pod(0), never], {0: 700, 1: 700}) == 2


def test_pods_that_are_deleted_or_failed_do_not_count_at_all() -> None:
    gone = [_pod(1, deleting=True), _pod(2, phase=Phase.FAILED)]
    assert _asked([_pod(0), *gone], {0: 700, 1: 0, 2: 0}) == 2


def test_readiness_says_nothing_of_memory() -> None:
    pod = Pod("pod-0", Phase.RUNNING, {"memory": 1000}, started=NOW - 5, ready=False, ready_changed=NOW - 5)
    samples = {"pod-0": Sample(1600, NOW, 15)}
    rules = {"tolerances": Tolerances(), "readiness": Readiness()}
    assert by_resource(ResourceTarget("memory", 80), samples, [pod], replicas=1, now=NOW, **rules) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pods", "millicores"),
    [
        ([], {0: 100}),
        ([_pod(0)], {}),
        ([_pod(0, phase=Phase.PENDING)], {0: 100}),
        ([_pod(0), Pod("pod-1", Phase.RUNNING, {}, ready=True, started=0)], {0: 100, 1: 100}),
    ],
    ids=["no pods", "no samples", "none that counts", "no request"],
)
def test_what_cannot_be_told_is_unknown(pods: list[Pod], millicores: dict[int, int]) -> None:
    with pytest.raises(UnknownError):
        _asked(pods, millicores)


@pytest.mark.parametrize(
    ("queue", "replicas", "asked"),
    [
        (100, 10, 10),
        (101, 10, 10),
        (110, 10, 10),
        (111, 10, 12),
        (90, 10, 10),
        (89, 10, 9),
        (1, 0, 1),
        (0, 0, 0),
    ],
)
def test_a_queue_asks_for_a_pod_for_every_so_many(queue: int, replicas: int, asked: int) -> None:
    target = QueueTarget(10_000)
    assert by_queue(target, queue * 1000, replicas=replicas, tolerances=Tolerances()) == asked
