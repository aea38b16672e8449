"""KEDA's own part: to zero, back, and a queue that nobody tells."""

from simulate.keda import Keda, ScaledObject


def _keda(least: int = 0) -> Keda:
    scaled = ScaledObject(
        least=least, polling_seconds=5, cooldown_seconds=300, failures=3, fallback_replicas=2
    )
    return Keda(scaled, per_pod=10_000)


def test_a_run_that_waits_brings_the_first_pod() -> None:
    assert _keda().poll(0, 1000, 0) == 1
    assert _keda(3).poll(0, 1000, 0) == 3


def test_the_last_pods_go_when_the_cooldown_is_over_however_many_there_are() -> None:
    keda = _keda()
    assert keda.poll(0, 1000, 4) == 4
    assert keda.poll(300, 0, 4) == 4
    assert keda.poll(305, 0, 4) == 0


def test_without_a_way_to_zero_no_pod_goes_by_it() -> None:
    keda = _keda(2)
    assert keda.poll(0, 1000, 4) == 4
    assert keda.poll(900, 0, 4) == 4
    assert keda.poll(905, 0, 1) == 2


def test_a_queue_that_nobody_tells_keeps_the_pods_that_there_are() -> None:
    keda = _keda()
    assert keda.poll(0, None, 4) == 4
    # Three looks fail as they are; then the autoscaler is told what holds the pods that there are, or the fallback's.
    assert [keda.metric(None, 4) for _ in range(4)] == [None, None, None, 40_000]
    assert keda.metric(None, 1) == 20_000
    assert keda.metric(7000, 4) == 7000
    assert keda.metric(None, 4) is None
