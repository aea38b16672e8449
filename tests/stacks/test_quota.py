"""The namespace's quota fits its agents at their maximum, with a rollout under way."""

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


def test_the_quota_of_one_agent_is_its_pods_one_more_and_its_maintenance() -> None:
    assert quota([agent(3, "500m", "1Gi")]) == {
        "pods": "8",
        "requests.cpu": "4000m",
        "requests.memory": "6144Mi",
        "limits.cpu": "4000m",
        "limits.memory": "6144Mi",
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
def test_every_agent_fits_at_its_maximum_with_one_pod_more(sizes: list[tuple[int, str, str]]) -> None:
    hard = quota([agent(*size) for size in sizes])
    assert int(hard["pods"]) > sum(replicas + 1 for replicas, _, _ in sizes)
    needed = {
        "cpu": sum(((replicas + 1) * quantity(cpu) for replicas, cpu, _ in sizes), Decimal(0)),
        "memory": sum(((replicas + 1) * quantity(memory) for replicas, _, memory in sizes), Decimal(0)),
    }
    for resource, least in needed.items():
        assert quantity(hard[f"limits.{resource}"]) >= least
        assert quantity(hard[f"requests.{resource}"]) >= least
