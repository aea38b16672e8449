"""What the settings can choose beside what the repository's own stacks do keeps the rules, and is priced, too."""

import copy
from typing import Any

import pytest

from policies import check
from preview.change.timing import estimate
from preview.cost import monthly
from preview.recording.plan import Plan
from preview.recording.scanner import terraform_plan
from tests.conftest import record_with
from tests.stacks.stack_files import settings_of

CHOICES: dict[str, dict[str, Any]] = {
    "an application load balancer": {"ingress": {"controller": "alb"}},
    "auto mode": {"cluster": {"compute": "auto-mode", "nodeGroups": []}},
    "redis": {"cache": {"engine": "redis", "engineVersion": "7.1"}},
    "a closed API server with named administrators": {
        "cluster": {
            "endpointPublicAccessCidrs": [],
            "adminPrincipalArns": ["arn:aws:iam::123456789012:role/platform"],
        }
    },
}


@pytest.fixture(scope="module", params=CHOICES)
def plan(request: pytest.FixtureRequest) -> Plan:
    settings = copy.deepcopy(settings_of("prod"))
    for part, changes in CHOICES[request.param].items():
        settings[part].update(changes)
    recording = record_with("prod", settings)
    return Plan("langgraph-agents", "prod", "eu-central-1", True, recording.resources, recording.outputs)


def test_every_rule_holds(plan: Plan) -> None:
    assert check(plan) == []


def test_everything_is_priced(plan: Plan) -> None:
    report = monthly(plan)

    assert report.unpriced == ()
    assert report.total.low > 500


def test_the_scanner_knows_every_type(plan: Plan) -> None:
    assert terraform_plan(plan)["resource_changes"]


def test_it_can_be_timed(plan: Plan) -> None:
    assert estimate(plan).total > 600
