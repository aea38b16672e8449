"""Any stack file: the accepted ones compose, and the refused ones name what is wrong."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stacks.loading import SettingsError, load
from stacks.problems import Problem
from stacks.settings import Settings
from tests.conftest import record_with
from tests.stacks.stack_files import settings_of

SECTIONS = {field.alias for field in Settings.model_fields.values()} | {"settings", "apiKeys"}

names = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
agents = st.fixed_dictionaries(
    {"model": st.just("fake")},
    optional={
        "maxIterations": st.integers(1, 1000),
        "logLevel": st.sampled_from(["debug", "info", "warning", "error"]),
        "checkpointer": st.sampled_from(["postgres", "valkey"]),
        "checkpointHistory": st.sampled_from(["all", "keep_latest"]),
        "durability": st.sampled_from(["sync", "async", "exit"]),
        "replicas": st.fixed_dictionaries({"min": st.integers(1, 4), "max": st.integers(1, 8)}),
        "lifetimes": st.fixed_dictionaries(
            {
                "runTimeout": st.integers(1, 500),
                "preStop": st.integers(0, 60),
                "gracePeriod": st.integers(1, 700),
            }
        ),
        "pool": st.fixed_dictionaries({"minSize": st.integers(0, 5), "maxSize": st.integers(2, 20)}),
        "corsOrigins": st.lists(st.sampled_from(["https://a.example.com", "*"]), max_size=2),
        "env": st.dictionaries(
            st.sampled_from(["REGION", "FEATURE", "PORT"]), st.text(max_size=20), max_size=2
        ),
        "image": st.just("registry.example.com/agent@sha256:" + "0" * 64),
    },
)
stack_files = st.fixed_dictionaries(
    {
        "network": st.fixed_dictionaries(
            {
                "cidr": st.sampled_from(["10.0.0.0/16", "10.8.0.0/18", "172.16.0.0/20", "10.0.0.0/21"]),
                "zones": st.integers(2, 3),
                "natGateways": st.sampled_from(["single", "per-zone"]),
                "flowLogs": st.booleans(),
            }
        ),
        "cluster": st.sampled_from(
            [
                {"compute": "auto-mode"},
                {"nodeGroups": [{"name": "a", "instanceTypes": ["m7i.large"], "minSize": 1, "maxSize": 3}]},
                {
                    "architecture": "arm64",
                    "nodeGroups": [{"name": "a", "instanceTypes": ["m7g.large"], "minSize": 2, "maxSize": 2}],
                },
            ]
        ),
        "database": st.fixed_dictionaries(
            {
                "instanceClass": st.sampled_from(
                    ["db.t4g.micro", "db.t4g.medium", "db.m7g.large", "db.r8g.4xlarge"]
                )
            },
            optional={"multiAz": st.booleans(), "engineVersion": st.sampled_from(["17", "18", "17.6", "16"])},
        ),
        "cache": st.fixed_dictionaries(
            {
                "engine": st.sampled_from(["valkey", "redis"]),
                "engineVersion": st.sampled_from(["7.1", "7.2", "8.1"]),
            },
            optional={"replicas": st.integers(0, 5)},
        ),
        "ingress": st.fixed_dictionaries(
            {"hostedZone": st.just("example.com"), "email": st.just("ops@example.com")},
            optional={
                "controller": st.sampled_from(["traefik", "alb"]),
                "idleTimeout": st.integers(60, 4000),
                "replicas": st.integers(1, 3),
            },
        ),
        "agents": st.lists(st.tuples(names, agents), min_size=1, max_size=3).map(
            lambda many: [{**agent, "name": name, "host": f"{name}.example.com"} for name, agent in many]
        ),
    }
)


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(stack_files)
def test_an_accepted_stack_file_composes_and_a_refused_one_names_its_fields(file: dict[str, Any]) -> None:
    problems = refused(file, "any")
    assert_each_names_its_field(problems)
    if not problems:
        recording = record_with("any", file)
        assert set(recording.outputs["agents"]) == {agent["name"] for agent in file["agents"]}


def refused(file: dict[str, Any], stack: str) -> list[Problem]:
    """The problems of a stack file; none when it is accepted."""
    try:
        load(file, stack=stack)
    except SettingsError as error:
        return list(error.problems)
    return []


def assert_each_names_its_field(problems: list[Problem]) -> None:
    for problem in problems:
        assert section(problem.field) in SECTIONS
        assert problem.remedy


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a stack file."""
    if at:
        yield at
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*at, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, (*at, index))


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False),
    st.text(max_size=30),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(place=st.sampled_from(sorted(paths(settings_of("prod")), key=str)), value=values)
def test_whatever_stands_in_one_place_of_a_stack_file_is_taken_or_refused_there_with_a_remedy(
    place: tuple[Any, ...], value: Any
) -> None:
    file = copy.deepcopy(settings_of("prod"))
    at: Any = file
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    assert_each_names_its_field(refused(file, "prod"))


def section(field: str) -> str:
    return field.split(".")[0].split("[")[0]
