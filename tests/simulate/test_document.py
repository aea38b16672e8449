"""The document's ScalingStrategy."""

import pytest

from simulate.document import ScalingStrategy
from simulate.metrics import Phase, Pod, Sample


@pytest.mark.parametrize(
    ("cpu", "memory", "waiting", "replicas", "wanted"),
    [
        (70, 10, 0, 4, 4),
        (71, 10, 0, 4, 5),
        (10, 81, 0, 4, 5),
        (10, 10, 0, 4, 3),
        (300, 10, 0, 4, 6),
        (70, 10, 100, 4, 4),
        (70, 10, 101, 4, 5),
        (10, 10, 101, 4, 5),
        (300, 10, 500, 9, 10),
        (0, 0, 0, 2, 2),
    ],
)
def test_thresholds_the_queue_bounds_and_steps(
    cpu: int, memory: int, waiting: int, replicas: int, wanted: int
) -> None:
    pods = [Pod(f"{n}", Phase.RUNNING, {"cpu": 500, "memory": 1000}) for n in range(replicas)]
    samples = {
        "cpu": {pod.name: Sample(cpu * 5, 0, 15) for pod in pods},
        "memory": {pod.name: Sample(memory * 10, 0, 15) for pod in pods},
    }
    assert ScalingStrategy(2, 10).sync(pods, samples, waiting, replicas) == wanted


def test_without_samples_pods_stay_as_they_are() -> None:
    assert ScalingStrategy(2, 10).sync([], {}, 0, 4) == 4
