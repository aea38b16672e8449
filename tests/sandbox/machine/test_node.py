"""When a real node can be used."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sandbox.cluster.api import Api
from sandbox.machine.node import Node

BEGAN = datetime(2026, 11, 28, 8, 0, 0, tzinfo=UTC)
Obstacle = Callable[[dict[str, Any] | None], str | None]


@pytest.fixture
def obstacle() -> Obstacle:
    """What keeps a node from being used, of which the API server has this."""
    node = Node.__new__(Node)
    node._name = "node"

    def found(live: dict[str, Any] | None) -> str | None:
        return node._obstacle(cast(Api, SimpleNamespace(get=lambda *_: live)), BEGAN)

    return found


def live(at: datetime, status: str = "True", taints: tuple[str, ...] = ()) -> dict[str, Any]:
    heartbeat = at.isoformat().replace("+00:00", "Z")
    ready = {"type": "Ready", "status": status, "message": "it says so", "lastHeartbeatTime": heartbeat}
    return {"spec": {"taints": [{"key": key} for key in taints]}, "status": {"conditions": [ready]}}


def test_what_a_kubelet_said_before_a_crash_is_not_taken_for_the_new_ones_word(obstacle: Obstacle) -> None:
    assert obstacle(live(BEGAN - timedelta(seconds=1))) == "the kubelet has said nothing since it was started"
    assert obstacle(live(BEGAN)) is None


def test_a_node_that_is_not_ready_or_not_free_for_pods_is_waited_for(obstacle: Obstacle) -> None:
    assert obstacle(None) == "the kubelet has not registered it"
    assert obstacle(live(BEGAN, "False")) == "it says so"
    assert obstacle(live(BEGAN, taints=("node.kubernetes.io/not-ready",))) == (
        "it is tainted node.kubernetes.io/not-ready"
    )
