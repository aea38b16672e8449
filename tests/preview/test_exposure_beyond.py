"""What leads out of a stack, to other networks and to AWS, is shown and compared."""

import io
from typing import Any

import pytest
from rich.console import Console

from preview.change.diff import compare
from preview.change.impact import impact
from preview.exposure import Edge, exposure
from preview.recording.plan import Plan
from preview.recording.program import make_plan
from preview.recording.urns import name_of
from preview.report import markdown, terminal
from preview.report.review import review
from tests.preview.projects import ROOT, plan_of, project, project_plan

BUCKET = "arn:aws:s3:::reports/*"


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The dev stack, whose agent speaks to a model of Bedrock, a bucket and another network."""

    def change(settings: dict[str, Any]) -> None:
        settings["agents"][0].update(
            model="bedrock_converse:amazon.nova-pro-v1:0",
            permissions=[{"actions": ["s3:GetObject"], "resources": [BUCKET]}],
            egress=[{"cidr": "10.60.4.0/24", "ports": [5432, 1521]}],
        )

    return make_plan("dev", project(tmp_path_factory.mktemp("project"), settings=change))


def said(edges: list[Edge]) -> set[tuple[str, str, str, str]]:
    return {(name_of(e.source), str(e.relation), e.target, e.by) for e in edges}


EXPECTED = {
    ("support-workload-deployment", "connects to", "10.60.4.0/24", "5432/tcp, 1521/tcp"),
    ("support-workload-service-account", "may use", BUCKET, "s3:GetObject"),
    (
        "support-workload-service-account",
        "may use",
        "arn:aws:bedrock:eu-central-1::foundation-model/amazon.nova-pro-v1:0",
        "bedrock:InvokeModel, bedrock:InvokeModelWithResponseStream",
    ),
}


def test_networks_and_permissions_of_an_agent_are_edges_out_of_the_stack(after: Plan) -> None:
    assert said(exposure(after).beyond) == EXPECTED


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_agents_that_ask_for_nothing_reach_nothing_beyond_their_stack(stack: str) -> None:
    assert exposure(plan_of(stack)).beyond == []


def test_a_change_tells_what_it_opens_and_closes_beyond_the_stack(after: Plan) -> None:
    before = project_plan("dev")
    opening = impact(compare(before, after), exposure(before), exposure(after))
    closing = impact(compare(after, before), exposure(after), exposure(before))
    assert said(list(opening.opened)) == EXPECTED
    assert said(list(closing.closed)) == EXPECTED


def test_reports_show_it(after: Plan) -> None:
    judged = review(after, ROOT)
    console = Console(file=io.StringIO(), width=300)
    terminal.show(judged, console)
    assert isinstance(console.file, io.StringIO)
    for text in (console.file.getvalue(), markdown.render(judged)):
        assert "support-workload-deployment connects to 10.60.4.0/24 (5432/tcp, 1521/tcp)" in text
        assert "reports/" in text
        assert "foundation-model/amazon.nova-pro-v1:0" in text
