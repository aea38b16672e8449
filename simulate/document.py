"""The ScalingStrategy that many deployments start from: thresholds, bounds, and a largest step.

CPU at 70 %, memory at 80 %, a queue above 100 adds a pod, at most two pods more and one pod less a step. It has no
tolerance, no stabilisation and no thought for pods that start. A step is one look of the autoscaler.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simulate.metrics import Phase, Pod, Sample

PERCENT = {"cpu": 70, "memory": 80}
QUEUE = 100
UP, DOWN = 2, 1


@dataclass(frozen=True)
class ScalingStrategy:
    """It and the bounds, which are the stack's."""

    least: int
    most: int

    def sync(
        self, pods: Sequence[Pod], samples: Mapping[str, Mapping[str, Sample]], waiting: int, replicas: int
    ) -> int:
        """A step: the replicas that it sets.

        Args:
            waiting: runs that wait for a pod.
        """
        asked = [replicas + 1] if waiting > QUEUE else []
        for resource, percent in PERCENT.items():
            counted = [
                (samples[resource][pod.name].value, pod.requests[resource])
                for pod in pods
                if pod.phase is Phase.RUNNING and not pod.deleting and pod.name in samples.get(resource, {})
            ]
            if counted:
                use = 100 * sum(used for used, _ in counted) / sum(request for _, request in counted)
                asked.append(math.ceil(replicas * use / percent))
        wanted = min(max(max(asked, default=replicas), replicas - DOWN), replicas + UP)
        return min(max(wanted, self.least), self.most)
