"""The namespace's quota has room for all that runs there, its agents at their maximum with a rollout under way."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from stacks.agent_settings import Agent
from stacks.quota import quota
from stacks.vocabulary import quantity


def agent(replicas: int, cpu: str, memory: str) -> Agent:
    return Agent.model_validate(
        {
            "name": "support",
            "host": "support.example.com",
            "replicas": {"max": replicas},
            "resources": {
                "requests": {"cpu": cpu, "memory": memory},
                "limits": {"cpu": cpu, "memory": memory},
            },
        }
    )


def test_the_quota_of_one_agent_is_its_pods_twice_one_more_and_its_maintenance() -> None:
    # 3 that serve, 3 that finish their runs, 1 of the surge; 3 of maintenance at 100m to 500m and 256Mi to 512Mi.
    assert quota([agent(3, "500m", "1Gi")], certificate_solvers=False, pooled=False) == {
        "pods": "10",
        "requests.cpu": "3800m",
        "requests.memory": "7936Mi",
        "limits.cpu": "5000m",
        "limits.memory": "8704Mi",
    }


def test_each_agent_has_room_for_the_solver_of_its_certificate_at_full_load() -> None:
    agents = [agent(3, "500m", "1Gi")] * 2
    without = quota(agents, certificate_solvers=False, pooled=False)
    with_solvers = quota(agents, certificate_solvers=True, pooled=False)
    room = {name: quantity(with_solvers[name]) - quantity(without[name]) for name in without}
    assert room == {
        "pods": 2,
        "requests.cpu": 2 * quantity("10m"),
        "requests.memory": 2 * quantity("64Mi"),
        "limits.cpu": 2 * quantity("100m"),
        "limits.memory": 2 * quantity("64Mi"),
    }


@given(
    st.lists(
        st.tuples(
            st.integers(1, 100),
            st.sampled_from(["10m", "250m", "1.5", "4"]),
            st.sampled_from(["16Mi", "1.5Gi", "4G"]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_every_agent_can_be_replaced_whole_at_its_maximum(sizes: list[tuple[int, str, str]]) -> None:
    hard = quota([agent(*size) for size in sizes], certificate_solvers=True, pooled=False)
    assert int(hard["pods"]) > sum(2 * replicas + 1 for replicas, _, _ in sizes)
    needed = {
        "cpu": sum(((2 * replicas + 1) * quantity(cpu) for replicas, cpu, _ in sizes), Decimal(0)),
        "memory": sum(((2 * replicas + 1) * quantity(memory) for replicas, _, memory in sizes), Decimal(0)),
    }
    for resource, least in needed.items():
        assert quantity(hard[f"limits.{resource}"]) >= least
        assert quantity(hard[f"requests.{resource}"]) >= least
