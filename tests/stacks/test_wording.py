"""What is wrong with a stack file is told in the file's own words, once, with what to write."""

import copy
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stacks.loading import SettingsError, load
from stacks.policy_exceptions import policy_settings
from stacks.problems import Problem
from tests.stacks.stack_files import changed, settings_of
from tests.stacks.test_settings_properties import paths, values

# Words that pydantic has, and nobody who writes a stack file.
_FOREIGN = re.compile(
    r"valid tuple|instance of|[Ii]nput should|[Vv]alue error|[Aa]ssertion|dictionary|validation|NoneType|\bNone\b"
    r"|should be|should have|should match|unable to|docs/configuration\.md says what does"
)


def problems(raw: object, source: Path | None = None) -> list[Problem]:
    """Of settings; none when they are accepted."""
    try:
        load(raw, stack="dev", source=source)
    except SettingsError as error:
        return list(error.problems)
    return []


def remedies(raw: object, source: Path | None = None) -> dict[str, str]:
    return {problem.field: problem.remedy for problem in problems(raw, source)}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("agents.0.name", "Support"),
        ("agents.0.name", None),
        ("agents.0.host", 5),
        ("agents.0.replicas", {"min": "two"}),
        ("agents.0.logLevel", "loud"),
        ("agents.0.colour", "red"),
        ("agents.0", "support"),
        ("cluster.nodeGroups.0.instanceTypes", ["large"]),
        ("cluster.nodeGroups.0.minSize", 0),
    ],
)
def test_one_wrong_field_is_one_problem(path: str, value: Any) -> None:
    assert len(problems(changed("dev", path, value))) == 1


def test_an_agent_without_a_name_lacks_its_name_alone() -> None:
    raw = settings_of("dev")
    del raw["agents"][0]["name"]
    assert remedies(raw) == {"agents[0].name": "is missing: add it"}


LIST = "write a list, [a, b] or each item on a line of its own after a hyphen"
REPLICAS = "write an object with some of min, max"

CASES: list[tuple[str, Any, str, str]] = [
    ("cluster.version", 1.3, "cluster.version", 'write the minor version that EKS offers, in quotes: "1.36"'),
    ("agents.0.host", 5, "agents[0].host", "write a full host name"),
    ("database.engineVersion", 17, "database.engineVersion", 'put it in quotes, "17"'),
    ("agents", None, "agents", f"is empty: {LIST}"),
    ("agents", "support", "agents", LIST),
    (
        "agents.0.replicas",
        None,
        "agents[0].replicas",
        f"is empty: {REPLICAS}, or remove the line",
    ),
    ("agents.0.replicas", 3, "agents[0].replicas", REPLICAS),
    ("agents.0.corsOrigins", "https://a.example.com", "agents[0].corsOrigins", LIST),
    ("agents.0.env", ["A"], "agents[0].env", "write an object, name: text"),
    ("agents.0.env", {"lower": "x"}, "agents[0].env.lower", "use capital letters, digits and underscores"),
    ("agents.0.env", {"A": 8080}, "agents[0].env.A", 'YAML reads this as a number: put it in quotes, "8080"'),
    ("agents.0.env", {"A": True}, "agents[0].env.A", 'to mean the text, put it in quotes, "true"'),
    ("agents.0.env", {"A": ["x"]}, "agents[0].env.A", "write a text"),
    ("agents.0.env", {"OPENAI_API_KEY": "x"}, "agents[0].env", "OPENAI_API_KEY sounds like a secret"),
    ("agents.0.name", "a" * 25, "agents[0].name", "write at most 24 characters"),
    (
        "agents.0.maxIterations",
        2.5,
        "agents[0].maxIterations",
        "write a whole number, without quotes: 1 to 1000",
    ),
    (
        "agents.0.maxIterations",
        "5",
        "agents[0].maxIterations",
        "write a whole number, without quotes: 1 to 1000",
    ),
    (
        "agents.0.maxIterations",
        True,
        "agents[0].maxIterations",
        "write a whole number, without quotes: 1 to 1000",
    ),
    ("agents.0.logLevel", "loud", "agents[0].logLevel", "use debug, info, warning or error"),
    ("agents.0.logLevel", 3, "agents[0].logLevel", "use debug, info, warning or error"),
    ("cluster.logRetentionDays", "30", "cluster.logRetentionDays", "write a whole number, without quotes"),
    ("cluster.logRetentionDays", 31, "cluster.logRetentionDays", "CloudWatch keeps logs"),
    ("production", "no", "production", "write true or false, without quotes"),
    ("production", 0, "production", "write true or false, without quotes"),
    (
        "production",
        None,
        "production",
        "is empty: write true or false, without quotes, or remove",
    ),
    ("policyExceptions", [{"rule": "r"}], "policyExceptions[0].reason", "is missing: add it"),
    (
        "policyExceptions",
        [{"rule": "r", "resource": "x", "reason": "short", "expires": "2027-01-31"}],
        "policyExceptions[0].reason",
        "write at least 10 characters",
    ),
    (
        "policyExceptions",
        [{"rule": "r", "resource": "x", "reason": "no data yet", "expires": 20270131}],
        "policyExceptions[0].expires",
        'write a day as year-month-day, such as "2027-01-31"',
    ),
]


@pytest.mark.parametrize(("path", "value", "field", "words"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_a_wrong_kind_of_value_is_reported_what_to_write(
    path: str, value: Any, field: str, words: str
) -> None:
    assert words in remedies(changed("dev", path, value))[field]


@pytest.mark.parametrize(
    ("cpu", "memory", "taken"),
    [
        (0.5, "1Gi", ("0.5", "1Gi")),
        (1, 2**30, ("1", "1073741824")),
        ("500m", 1.5e9, ("500m", "1500000000.0")),
    ],
)
def test_a_quantity_may_be_a_number_as_in_kubernetes(cpu: Any, memory: Any, taken: tuple[str, str]) -> None:
    raw = changed("dev", "agents.0.resources", {"requests": {"cpu": cpu, "memory": memory}})
    requests = load(raw, stack="dev").agents[0].resources.requests
    assert (requests.cpu, requests.memory) == taken


@pytest.mark.parametrize("version", ["1.36", "1.30"])
def test_a_version_without_quotes_is_reported_as_it_stands_in_the_file(tmp_path: Path, version: str) -> None:
    raw = changed("dev", "cluster.version", float(version))
    text = yaml.safe_dump(
        {"config": {"langgraph-agents:settings": changed("dev", "cluster.version", "HERE")}}
    )
    source = tmp_path / "Pulumi.dev.yaml"
    source.write_text(text.replace("HERE", version))
    (problem,) = problems(raw, source)
    assert problem.value == version
    assert problem.remedy == f'YAML reads this as a number: put it in quotes, "{version}"'


def test_a_file_that_cannot_be_read_again_costs_only_the_digits(tmp_path: Path) -> None:
    (problem,) = problems(changed("dev", "cluster.version", 1.36), tmp_path / "Pulumi.dev.yaml")
    assert problem.remedy == 'YAML reads this as a number: put it in quotes, "1.36"'


def test_sizes_networks_and_tags_are_reported_together_with_all_other_problems() -> None:
    raw = changed("dev", "tags", {"aws:owner": "me"})
    raw["network"].update(cidr="10.20.0.0/24", zones=9)
    raw["cluster"]["endpointPublicAccessCidrs"] = ["0.0.0.0/0", "10.0.0.0/33", "1.0.0.0/8"]
    raw["cluster"]["nodeGroups"][0]["instanceTypes"] = ["m7i.lrge"]
    raw["cache"].update(nodeType="cache.x9.huge", replicas=9)
    raw["database"].update(instanceClass="db.x9.nano", allocatedStorage=1)
    raw["agents"][0]["name"] = "Support"
    assert remedies(raw).keys() == {
        "tags",
        "network.cidr",
        "network.zones",
        "cluster.endpointPublicAccessCidrs[0]",
        "cluster.endpointPublicAccessCidrs[1]",
        "cluster.endpointPublicAccessCidrs[2]",
        "cluster.nodeGroups[0].instanceTypes[0]",
        "cache.nodeType",
        "cache.replicas",
        "database.instanceClass",
        "database.allocatedStorage",
        "agents[0].name",
    }


def test_an_open_api_server_can_be_excused_outside_production_alone() -> None:
    excuse = {"resource": "cluster-cluster", "reason": "no fixed address", "expires": "2999-01-01"}
    for stack, excused in (("dev", True), ("prod", False)):
        raw = changed(stack, "cluster.endpointPublicAccessCidrs", ["0.0.0.0/0"])
        raw["policyExceptions"] = [{**excuse, "rule": "closed-cluster-endpoint"}]
        assert bool(problems(raw)) is not excused


@pytest.mark.parametrize("expires", ["2027-01-31", "2027-01-31 00:00:00 +0000 UTC"])
def test_the_last_day_of_an_exception_may_stand_with_or_without_quotes(expires: str) -> None:
    entry = {"rule": "backups", "resource": "x", "reason": "no data yet", "expires": expires}
    (exception,) = policy_settings({"policyExceptions": [entry]}, stack="dev").policy_exceptions
    assert exception.expires == date(2027, 1, 31)


@pytest.mark.parametrize("value", ["no", "true", 1, 0, None])
def test_policies_refuse_what_the_settings_refuse(value: Any) -> None:
    with pytest.raises(
        SettingsError, match=r"Pulumi\.dev\.yaml has 1 problem(.|\n)*production: (.|\n)*true or false"
    ):
        policy_settings({"production": value}, stack="dev")


def test_policies_read_settings_of_any_other_program_as_well() -> None:
    for settings_ in ({"colour": "blue"}, None, "text"):
        assert policy_settings(settings_, stack="dev").production is False
    assert policy_settings({"production": True, "colour": "blue"}, stack="dev").production is True


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(
    stack=st.sampled_from(["dev", "prod"]),
    breaks=st.lists(st.tuples(st.integers(0, 10**6), values), min_size=1, max_size=4),
    emptied=st.booleans(),
)
def test_no_message_speaks_of_anything_that_the_file_does_not_know(
    stack: str, breaks: list[tuple[int, Any]], emptied: bool
) -> None:
    raw = copy.deepcopy(settings_of(stack))
    for number, value in breaks:
        places = sorted(paths(raw), key=str)
        *parents, last = places[number % len(places)]
        at: Any = raw
        for step in parents:
            at = at[step]
        if emptied and isinstance(at, dict):
            del at[last]
        else:
            at[last] = value
        if not raw:
            return
    for problem in problems(raw):
        assert not _FOREIGN.search(problem.remedy), problem
